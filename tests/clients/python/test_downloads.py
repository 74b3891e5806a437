"""Downloads by the Python client: they go on in the same bytes, or not at all."""

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from claimcheck_client import AsyncClient, Client, FileChanged, Problem
from claimcheck_client.download import _own_name

from tests.clients.python.place import Caller, Place
from tests.support.service import UNKNOWN_ID

Sample = Callable[..., Path]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_it_goes_on_after_a_lost_line(
    caller: Caller, place: Place, sample: Sample, tmp_path: Path
) -> None:
    path = sample(3 << 20)
    file = await caller("upload", path, "put")
    place.proxy.disturb("GET", "half")
    told: list[int] = []
    target = tmp_path / "new"
    target.mkdir()
    got = await caller("download", file, target, on_progress=lambda so, _: told.append(so))
    assert got == target / "film.bin"
    assert list(target.iterdir()) == [got]
    assert got.read_bytes() == path.read_bytes()
    assert place.proxy.seen.count("GET") == 2
    assert (sorted(told), told[-1]) == (told, 3 << 20)


async def test_it_goes_on_after_a_crash(
    blocking: Caller, place: Place, sample: Sample, tmp_path: Path
) -> None:
    path = sample(3 << 20)
    file = await blocking("upload", path, "put")

    def breaks(sent: int, total: int) -> None:
        if sent > 1 << 20:
            raise KeyError

    with pytest.raises(KeyError):
        await blocking("download", file["id"], tmp_path / "got", on_progress=breaks)
    [part] = (path for path in os.scandir(tmp_path) if path.name.startswith(".got."))
    have = part.stat().st_size
    told: list[int] = []
    got = await blocking(
        "download", file["id"], tmp_path / "got", on_progress=lambda so, _: told.append(so)
    )
    assert 1 << 20 < have == told[0]
    assert got.read_bytes() == path.read_bytes()


async def test_other_bytes_are_not_taken(blocking: Caller, place: Place, tmp_path: Path) -> None:
    file = await blocking("upload", b"hello", "files", filename="a.txt")
    place.proxy.disturb("GET", (412, "PreconditionFailed"))
    with pytest.raises(FileChanged, match="other bytes"):
        await blocking("download", file["id"], tmp_path / "got")
    assert not (tmp_path / "got").exists()


async def left_part(blocking: Caller, file: dict[str, Any], target: Path) -> Path:
    """A part with all of the file, whose process has died before it could move it."""

    def breaks(sent: int, total: int) -> None:
        if sent == total:
            raise KeyError

    with pytest.raises(KeyError):
        await blocking("download", file["id"], target, on_progress=breaks)
    [part] = target.parent.glob(f".{target.name}.*.part")
    assert part.stat().st_size == file["size"]
    return part


async def test_a_part_that_is_too_long_is_not_taken(caller: Caller, tmp_path: Path) -> None:
    file = await caller("upload", b"hello", "files", filename="a.txt")
    part = await left_part(caller, file, tmp_path / "got")
    part.write_bytes(b"other bytes")
    got = await caller("download", file, tmp_path / "got")
    assert got.read_bytes() == b"hello"
    assert not part.exists()


async def test_two_at_once_do_not_mix(
    caller: Caller, place: Place, sample: Sample, tmp_path: Path
) -> None:
    path, target = sample(1 << 20), tmp_path / "new" / "got"
    target.parent.mkdir()
    file = await caller("upload", path, "put")
    held = place.proxy.disturb("GET", "after")
    first = asyncio.create_task(caller("download", file, target))
    await held.asked.wait()
    await caller("download", file, target)
    assert target.read_bytes() == path.read_bytes()
    place.proxy.release()
    await first
    assert target.read_bytes() == path.read_bytes()
    assert names(target.parent) == ["got"]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("other", "said"), [(b"other bytes", "more bytes"), (b"jello", "not those that were confirmed")]
)
async def test_other_bytes_are_not_taken_later(
    kind: type[Client | AsyncClient], other: bytes, said: str, tmp_path: Path
) -> None:
    contents = [other, b"hello"]
    file = {
        "id": "1",
        "filename": "a.txt",
        "size": 5,
        "etag": None,
        "checksum_verified": True,
        "checksum_sha256": base64.b64encode(hashlib.sha256(b"hello").digest()).decode(),
        "presigned_url": "http://store/bucket",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/files/1":
            return httpx.Response(200, json=file)
        assert "range" not in request.headers
        return httpx.Response(200, content=contents.pop(0))

    over: Any = httpx.MockTransport(answer)
    http: Any = (httpx.Client if kind is Client else httpx.AsyncClient)(transport=over)
    caller = Caller(kind("http://service", "key", http=http))
    with pytest.raises(FileChanged, match=said):
        await caller("download", "1", tmp_path / "got")
    assert names(tmp_path) == []
    got = await caller("download", "1", tmp_path / "got")
    assert got.read_bytes() == b"hello"
    assert names(tmp_path) == ["got"]


async def test_names_of_others_replace_nothing(blocking: Caller, tmp_path: Path) -> None:
    file = await blocking("upload", b"hello", "files", filename="a.txt")
    there = tmp_path / "a.txt"
    there.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"a\.txt"):
        await blocking("download", file["id"], tmp_path)
    assert there.read_bytes() == b"mine"
    assert await blocking("download", file["id"], there) == there
    assert there.read_bytes() == b"hello"


async def test_long_names(blocking: Caller, tmp_path: Path) -> None:
    name = 83 * "\N{CJK UNIFIED IDEOGRAPH-6587}" + ".txt"  # 253 bytes
    file = await blocking("upload", b"hello", "files", filename=name)
    assert await blocking("download", file["id"], tmp_path) == tmp_path / name
    assert names(tmp_path) == [name]


async def test_a_link_that_has_expired(blocking: Caller, place: Place, tmp_path: Path) -> None:
    file = await blocking("upload", b"hello", "files", filename="a.txt")
    place.proxy.disturb("GET", (403, "AccessDenied"))
    got = await blocking("download", file["id"], tmp_path / "got")
    assert got.read_bytes() == b"hello"


async def test_no_such_file(blocking: Caller, tmp_path: Path) -> None:
    with pytest.raises(Problem) as problem:
        await blocking("download", UNKNOWN_ID, tmp_path / "got")
    assert problem.value.type == "file-not-found"


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("a.txt", "a.txt"),
        ("../../a.txt", "a.txt"),
        ("..\\b", "b"),
        ("..", "the-id"),
        ("", "the-id"),
    ],
)
def test_names_lead_nowhere_else(filename: str, name: str) -> None:
    assert _own_name({"id": "the-id", "filename": filename}) == name  # type: ignore[typeddict-item]
