"""Pipes by the Python client: sent as they come, where the destination takes parts of any size."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from claimcheck_client import Problem
from claimcheck_client.sending import SetUp
from claimcheck_client.source import PIPED
from claimcheck_client.steps import Http

from tests.clients.python.place import Caller, Place

DATA = os.urandom(PIPED + 7)


class Pipe(io.BytesIO):
    """Can be read once; where it is broken, only so far."""

    def __init__(self, data: bytes, broken_at: int | None = None) -> None:
        super().__init__(data)
        self._broken_at = broken_at

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1, /) -> bytes:
        if self._broken_at is not None and self.tell() >= self._broken_at:
            raise BrokenPipeError
        return super().read(size)


@pytest.mark.parametrize(("destination", "puts"), [("parts", 2), ("held", 2), ("sized", 4)])
async def test_what_can_be_read_once(
    caller: Caller, place: Place, destination: str, puts: int, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"filename": "pipe.bin", "metadata": {"page": 3}, "path": "a/b.bin"}
    told: list[tuple[int, int]] = []
    file = await caller(
        "upload", Pipe(DATA), destination, **how, on_progress=lambda *so: told.append(so)
    )
    # In parts of 5 MiB where the size had to be announced, of 16 MiB where not.
    assert place.proxy.seen.count("PUT") == puts
    assert (file["filename"], file["metadata"], file["path"]) == tuple(how.values())
    assert file["size"] == len(DATA)
    assert told[-1] == (len(DATA), 0 if puts == 2 else len(DATA))
    got = await caller("download", file["id"], tmp_path / "got")
    assert got.read_bytes() == DATA


async def test_it_goes_into_a_record(blocking: Caller) -> None:
    at = {"type": "product", "id": "pipe", "field": "clip"}
    file = await blocking("upload", Pipe(DATA), "parts", filename="a.bin", attach_to=at)
    record = await blocking("records.get", "product", "pipe")
    assert record["fields"]["clip"]["file_id"] == file["id"]


async def test_names_that_uppy_has_for_itself(blocking: Caller) -> None:
    metadata = {"size": 3, "note": ""}
    file = await blocking("upload", Pipe(DATA), "parts", filename="a.bin", metadata=metadata)
    assert file["metadata"] == metadata


async def test_a_part_that_fails_is_sent_again(
    blocking: Caller, place: Place, tmp_path: Path
) -> None:
    place.proxy.disturb("PUT", "lose")
    file = await blocking("upload", Pipe(DATA), "parts", filename="a.bin")
    assert place.proxy.seen.count("PUT") == 3
    got = await blocking("download", file["id"], tmp_path / "got")
    assert got.read_bytes() == DATA


async def test_a_pipe_that_breaks_leaves_nothing(
    caller: Caller, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[str] = []

    def noted(self: Any, step: Http) -> Any:
        if step.method == "DELETE":
            dropped.append(step.url)
        return original(self, step)

    original = SetUp.request
    monkeypatch.setattr(SetUp, "request", noted)
    with pytest.raises(BrokenPipeError):
        await caller("upload", Pipe(DATA, PIPED), "parts", filename="a.bin")
    [path] = dropped
    with pytest.raises(Problem) as problem:
        await caller("request", "GET", path)
    assert problem.value.type == "upload-not-found"
