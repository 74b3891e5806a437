"""Archives are judged by their directories, in few reads and little memory, whatever they say."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.contents import HEAD_BYTES, detect
from app.core.formats import ZIP, family_of
from app.core.ranges import Reader
from app.core.zip_directory import MOST, READ, TAIL, Archive, judge
from tests.support.archives import Entry, Sample, samples, zipped

SAMPLES = list(samples())
_ENTRIES = 10_000


def judged(data: bytes, *, surely: bool | None = None) -> tuple[Archive | None, list[int]]:
    """How confirm judges it, and the lengths of the reads that follow the first."""
    if surely is None:
        surely = family_of(detect(data[:HEAD_BYTES])) == ZIP
    reading = judge(len(data), _ENTRIES, surely=surely)
    reader = Reader(reading, len(data), data[:HEAD_BYTES])
    reads = []
    wanted = reader.run()
    while wanted is not None:
        offset, length = wanted
        reads.append(length)
        wanted = reader.run(data[offset : offset + length])
    return reader.found, reads


def test_there_are_forty() -> None:
    assert len(SAMPLES) >= 40


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_each_is_judged_right_in_three_reads(sample: Sample) -> None:
    found, reads = judged(sample.data, surely=True if sample.archive else None)
    assert found == sample.archive
    # The first one, which brings the beginning, not counted.
    assert len(reads) <= 2 or sample.name in {"large-directory", "65536-entries"}
    assert all(length <= max(READ, TAIL) for length in reads)


@pytest.mark.parametrize(
    "name", ["program-in-front", "script-in-front", "comment-and-program", "adjusted-program"]
)
def test_what_begins_as_something_else_is_told_by_its_end(name: str) -> None:
    sample = next(one for one in SAMPLES if one.name == name)
    assert judged(sample.data)[0] == sample.archive
    # But for what only has a zip somewhere within it.
    assert judged(sample.data + b"more")[0] is None


def test_the_memory_for_a_directory_is_bounded() -> None:
    data = zipped([Entry(b"n" * 800)] * 9_800)
    assert 7 * READ < len(data) < MOST
    tracemalloc.start()
    found, reads = judged(data, surely=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == Archive(True, 9_800, 49_000)
    assert len(reads) == 9
    assert peak < 5 * READ


def test_a_directory_full_of_empty_fields_is_read_once() -> None:
    entry = Entry(extra=b"\xfe\xca\0\0" * 16_000)
    found, _ = judged(zipped([entry] * 100), surely=True)
    assert found == Archive(True, 100, 500)


@given(
    st.sampled_from([one for one in SAMPLES if len(one.data) < 100_000]),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=8)), max_size=6),
)
def test_mutated_archives_never_hurt(sample: Sample, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(sample.data)
    for place, new in changes:
        at = max(0, len(data) - place)
        data[at : at + len(new)] = new
    found, reads = judged(bytes(data), surely=True)
    assert found is not None
    assert len(reads) <= 11


def test_an_end_that_promises_more_than_there_is() -> None:
    for count, length, offset in ((0xFFFF, 2**32 - 1, 0), (1, 2**31, 2**31), (1, 46, 2**32 - 1)):
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, offset, 0)
        found, _ = judged(b"PK\3\4" + bytes(100) + end)
        assert found is not None
        assert not found.judged
