"""Metadata and paths: what is kept of them, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.metadata import (
    MAX_BYTES,
    as_lines,
    clean_path,
    merge_metadata,
    read_lines,
    read_metadata,
    write_metadata,
)

NAMES = st.text(min_size=1, max_size=8).filter(lambda n: n.isprintable() and n == n.strip() != "")
VALUES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-1e9, 1e9),
)
METADATA = st.dictionaries(NAMES.filter(lambda name: "=" not in name), VALUES, max_size=5)


@given(METADATA)
def test_what_is_written_is_read(metadata: dict[str, str | bool | int | float]) -> None:
    written = write_metadata(metadata)
    assert read_metadata(written) == metadata
    again = read_metadata(read_lines(as_lines(written)))
    assert again == metadata
    assert list(map(type, again.values())) == list(map(type, metadata.values()))


def test_nothing_is_kept_as_nothing() -> None:
    assert write_metadata({}) is None
    assert read_metadata(None) == {}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({str(n): n for n in range(21)}, "there are 21 names; give at most 20"),
        ({"": 1}, "1 to 64 printable"),
        ({"x" * 65: 1}, "1 to 64 printable"),
        ({"a\n": 1}, "printable"),
        ({" a": 1}, "no spaces around"),
        ({"a=b": 1}, "no `=`"),
        ({"a": float("nan")}, "a: give a finite number"),
        ({"a": float("inf")}, "a: give a finite number"),
        ({"a": 2**53}, "a: numbers must lie between"),
        ({"a": -1e300}, "a: numbers must lie between"),
        ({"a": "\ud800"}, "not valid Unicode"),
        ({"a": "é" * 1024}, f"at most {MAX_BYTES:,} are kept"),
    ],
)
def test_what_is_refused(metadata: dict[str, str | int | float], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        write_metadata(metadata)


def test_the_largest_that_is_kept() -> None:
    room = MAX_BYTES - len('{"a":""}')
    assert write_metadata({"a": "x" * room}) == json.dumps({"a": "x" * room}, separators=(",", ":"))
    with pytest.raises(ValueError, match=r"2,049 bytes"):
        write_metadata({"a": "x" * (room + 1)})
    assert len(read_metadata(write_metadata({str(n): n for n in range(20)}))) == 20


def test_merging() -> None:
    written = write_metadata({"a": 1, "b": "two"})
    assert merge_metadata(written, {}) == written
    assert read_metadata(merge_metadata(written, {"b": None, "c": True})) == {"a": 1, "c": True}
    assert merge_metadata(written, {"a": None, "b": None}) is None
    with pytest.raises(ValueError, match="22 names"):
        merge_metadata(written, {str(n): n for n in range(20)})


def test_lines_that_say_nothing_or_too_little() -> None:
    assert read_lines(" \n\n") is None
    assert read_metadata(read_lines('a=1\nb = "1"\nc = x = y\nd =\ne = [1]\nf = null')) == {
        "a": 1,
        "b": "1",
        "c": "x = y",
        "d": "",
        "e": "[1]",
        "f": "null",
    }
    with pytest.raises(ValueError, match="has no `=`: album"):
        read_lines("album")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("a.png", "a.png"),
        ("Spring/harbour/été.png", "Spring/harbour/été.png"),
        ("e\u0301/a", "é/a"),
        (".git/config", ".git/config"),
        ("a\u202eb/c", "ab/c"),
        ("x/" * 511 + "ab", "x/" * 511 + "ab"),
    ],
)
def test_paths_that_are_kept(path: str, kept: str) -> None:
    assert clean_path(path) == kept


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "//host/x", "../a", "a/../b", "a/..", "./a", "a//b", "a/"),
        *(
            "..\\a",
            "a\\b",
            "\\\\host\\x",
            "C:/a",
            "c:a",
            "a/\0",
            "a/\x1b",
            "a/... /b",
            "\u200b../a",
        ),
        *("a/\u200b../b", "a/.\u200b./b", "a" * 1025, "x/" * 512 + "a", "a/\ud800"),
    ],
)
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        clean_path(path)
