"""Uploads by the Python client: in each way, broken off, disturbed, changed, and never mixed."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from claimcheck_client import Client, FileChanged, Problem, Unreachable
from claimcheck_client.memory import Entry, cache_directory
from claimcheck_client.types import Field
from claimcheck_client.upload import _Upload

from app.core.principal import Principal, Scope
from app.runtime.resources import open_resources
from app.uploads.confirm import end_by_itself
from app.uploads.lookup import get_upload
from tests.clients.python.place import PART, Caller, Place

Sample = Callable[..., Path]


class Broken(Exception):
    """The process ends here, as far as the upload can see."""


def breaks_after(count: int) -> Callable[[int, int], None]:
    def tell(sent: int, total: int) -> None:
        if sent > count:
            raise Broken

    return tell


async def bytes_of(caller: Caller, file: dict[str, Any], tmp_path: Path) -> bytes:
    path = await caller("download", file["id"], tmp_path / "got")
    return bytes(path.read_bytes())


@pytest.mark.parametrize("destination", ["files", "put", "parts", "held", "small-held"])
async def test_each_way(caller: Caller, destination: str, tmp_path: Path) -> None:
    for data in (b"hello, \r\n--", b""):
        how = {"filename": "Größe.txt", "metadata": {"page": 3}}
        file = await caller("upload", data, destination, **how)
        assert (file["filename"], file["size"], file["metadata"]) == (
            "Größe.txt",
            len(data),
            {"page": 3},
        )
        assert await bytes_of(caller, file, tmp_path) == data


@pytest.mark.parametrize("destination", ["parts", "held"])
async def test_parts(caller: Caller, destination: str, sample: Sample, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = sample(2 * PART + 7)
    file = await caller("upload", path, destination, on_progress=lambda *so: told.append(so))
    assert (file["filename"], file["parts_verified"]) == ("film.bin", destination == "held")
    assert await bytes_of(caller, file, tmp_path) == path.read_bytes()
    assert told[-1] == (path.stat().st_size,) * 2
    assert sorted(told) == told
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("how", ["lose", (503, "SlowDown"), (403, "AccessDenied"), "flip"])
@pytest.mark.parametrize("destination", ["put", "held"])
async def test_faults(
    blocking: Caller, place: Place, destination: str, how: Any, sample: Sample, tmp_path: Path
) -> None:
    if (destination, how) == ("put", "flip"):
        destination = "small-held"  # without an MD5 nobody can know
    path = sample(PART + 7)
    place.proxy.disturb("PUT", how)
    file = await blocking("upload", path, destination)
    assert place.proxy.seen.count("PUT") == (3 if destination == "held" else 2)
    assert await bytes_of(blocking, file, tmp_path) == path.read_bytes()


@pytest.mark.parametrize("destination", ["parts", "held"])
async def test_it_goes_on(
    caller: Caller, place: Place, destination: str, sample: Sample, tmp_path: Path
) -> None:
    path = sample(3 * PART + 7)
    with pytest.raises(Broken):
        await caller("upload", path, destination, on_progress=breaks_after(2 * PART + 1))
    os.utime(path, (1, 1))  # time says nothing of contents
    place.proxy.seen.clear()
    told: list[int] = []
    file = await caller("upload", path, destination, on_progress=lambda sent, _: told.append(sent))
    assert place.proxy.seen.count("PUT") == 2
    assert told[:2] == [PART, 2 * PART]
    assert await bytes_of(caller, file, tmp_path) == path.read_bytes()
    # A third call is another upload.
    assert (await caller("upload", path, destination))["id"] != file["id"]


@pytest.mark.parametrize("destination", ["parts", "held"])
async def test_two_files_are_never_mixed(
    blocking: Caller, place: Place, destination: str, sample: Sample, tmp_path: Path
) -> None:
    """Of one name, size and time, and equal wherever the client takes samples."""
    path = sample(3 * PART)
    with pytest.raises(Broken):
        await blocking("upload", path, destination, on_progress=breaks_after(2 * PART + 1))
    first = path.read_bytes()
    at = PART + (200 << 10)
    second = first[:at] + bytes([first[at] ^ 1]) + first[at + 1 :]
    entry = next((tmp_path / "cache").iterdir())
    before = path.stat()
    path.write_bytes(second)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(Broken):
        await blocking("upload", path, destination, on_progress=breaks_after(2 * PART + 1))
    assert [entry] == list((tmp_path / "cache").iterdir())  # it did try to go on in the first
    file = await blocking("upload", path, destination)
    assert await bytes_of(blocking, file, tmp_path) == second
    path.write_bytes(first)
    file = await blocking("upload", path, destination)
    assert await bytes_of(blocking, file, tmp_path) == first


async def test_an_answer_to_confirm_that_nobody_heard(
    blocking: Caller, place: Place, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample(PART + 7)
    confirmed: list[Any] = []

    def breaks(self: Entry) -> None:
        confirmed.append(dict(self.found))
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(Entry, "forget", breaks)
        with pytest.raises(Broken):
            await blocking("upload", path, "parts")
    place.proxy.seen.clear()
    file = await blocking("upload", path, "parts")
    assert file["id"] == confirmed[0]["id"]
    assert "PUT" not in place.proxy.seen


async def test_another_file_is_not_taken_for_one_that_is_confirmed(
    blocking: Caller, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample(PART + 7)

    def breaks(self: Entry) -> None:
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(Entry, "forget", breaks)
        with pytest.raises(Broken):
            await blocking("upload", path, "parts")
    data = bytearray(path.read_bytes())
    data[200 << 10] ^= 1
    path.write_bytes(data)
    file = await blocking("upload", path, "parts")
    assert await bytes_of(blocking, file, tmp_path) == bytes(data)


@pytest.mark.parametrize("is_changed", [True, False], ids=["changed", "unchanged"])
async def test_no_other_bytes_come_into_a_record(
    blocking: Caller,
    place: Place,
    sample: Sample,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_changed: bool,
) -> None:
    """All parts had arrived, the upload confirmed itself, and no sample sees what was changed."""
    path = sample(PART + 7)
    field = {"type": "product", "id": f"self-{is_changed}", "field": "clips"}

    def breaks(self: _Upload) -> Any:
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(_Upload, "_confirm", breaks)
        with pytest.raises(Broken):
            await blocking("upload", path, "parts", attach_to=field)
    [entry] = (tmp_path / "cache").iterdir()
    upload_id = json.loads(entry.read_text())["id"]
    async with open_resources(place.settings) as res:
        staff = Principal("staff", "", frozenset({Scope.FILES_ALL}))
        upload = await get_upload(res, staff, UUID(upload_id))
        assert (await end_by_itself(res, upload)).file
    if is_changed:
        data = bytearray(path.read_bytes())
        data[200 << 10] ^= 1
        path.write_bytes(data)
    file = await blocking("upload", path, "parts", attach_to=field)
    assert (file["id"] == upload_id) is not is_changed
    record = await blocking("records.get", field["type"], field["id"])
    assert [held["file_id"] for held in record["fields"]["clips"]] == [file["id"]]
    assert await bytes_of(blocking, file, tmp_path) == path.read_bytes()


async def test_parts_that_are_being_joined_are_waited_for(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another confirm is at work, which may not put it into the record: it is asked until then."""
    path, asked = sample(PART + 7), list[str]()
    data = path.read_bytes()
    sums = b"".join(hashlib.md5(piece).digest() for piece in (data[:PART], data[PART:]))
    file = {"id": "1", "etag": f'"{hashlib.md5(sums).hexdigest()}-2"'}
    states = ["completing", "completing", "confirmed"]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        if asked[-1] == "POST /v1/uploads/1/renew":
            problem = {"type": "urn:claimcheck:problem:upload-not-pending"}
            return httpx.Response(409, json=problem)
        if asked[-1] == "GET /v1/uploads/1":
            return httpx.Response(200, json={"state": states.pop(0)})
        return httpx.Response(200, json=file)

    def remembered(*_: Any) -> Entry:
        entry = Entry(None, None)
        entry.save(id="1", part_size=PART)
        return entry

    monkeypatch.setattr("claimcheck_client.upload._ASKED_EVERY", 0.01)
    monkeypatch.setattr("claimcheck_client.sending.remembered", remembered)
    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        client = Client("http://service", "key", cache=tmp_path / "cache", http=http)
        field: Field = {"type": "product", "id": "1", "field": "clips"}
        assert client.upload(path, "parts", attach_to=field)["id"] == "1"
    looks = ["GET /v1/uploads/1"] * 3
    confirm = ["GET /v1/files/1", "POST /v1/uploads/1/confirm"]
    assert asked == ["POST /v1/uploads/1/renew", *looks, *confirm]


async def test_a_file_that_changes_is_no_file(
    blocking: Caller, sample: Sample, tmp_path: Path
) -> None:
    path = sample(PART + 7)

    ids = []

    def change(sent: int, total: int) -> None:
        if sent == total:
            [entry] = (tmp_path / "cache").iterdir()
            ids.append(json.loads(entry.read_text())["id"])
            os.utime(path, (1, 1))

    with pytest.raises(FileChanged, match="was changed"):
        await blocking("upload", path, "parts", on_progress=change)
    with pytest.raises(Problem) as found:
        await blocking("request", "GET", f"/v1/uploads/{ids[0]}")
    assert found.value.type == "upload-not-found"


async def test_a_file_that_shrinks_is_no_file(blocking: Caller, sample: Sample) -> None:
    path = sample(PART + 7)

    def shrink(sent: int, total: int) -> None:
        os.truncate(path, 10)

    with pytest.raises(FileChanged, match="is shorter"):
        await blocking("upload", path, "parts", on_progress=shrink)


async def test_what_can_be_read_once(caller: Caller, tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    file = await caller("upload", Pipe(b"from a pipe"), "files", filename="pipe.txt")
    assert await bytes_of(caller, file, tmp_path) == b"from a pipe"


async def test_files_that_are_open_stay_open(caller: Caller, tmp_path: Path) -> None:
    given = io.BytesIO(b"hello")
    await caller("upload", given, "files", filename="a.txt", with_sha256=True)
    assert not given.closed


async def test_problems(caller: Caller, place: Place) -> None:
    with pytest.raises(Problem, match="There is no destination") as found:
        await caller("upload", b"", "nowhere", filename="a.txt")
    assert (found.value.type, found.value.status) == ("unknown-destination", 422)
    assert found.value.request_id
    with pytest.raises(Problem) as found:
        await caller("upload", b"\x89PNG", "texts", filename="a.png")
    assert found.value.type == "content-type-not-allowed"


async def test_no_key_and_a_new_key(place: Place) -> None:
    keys = iter(["wrong", place.key, place.key, place.key])
    with Client(place.url, cache=None) as client, pytest.raises(Problem) as found:
        client.destinations()
    assert found.value.type == "credential-required"
    with Client(place.url, lambda: next(keys), cache=None) as client:
        assert client.destinations()


async def test_nobody_there(place: Place) -> None:
    """It is told where nobody is, without what of the URL nobody else may know."""
    client = Client("http://me:secret@127.0.0.1:9/api", cache=None)
    with client, pytest.raises(Unreachable) as found:
        client.request("GET", "/v1/destinations?a=b", retries=0)
    assert str(found.value).startswith("http://127.0.0.1:9 cannot be reached.")
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    ("slug", "is_of_upload"),
    [("upload-not-found", True), ("part-differs", True), ("record-not-found", False)],
)
def test_only_another_state_of_the_upload_begins_it_anew(slug: str, is_of_upload: bool) -> None:
    problem = Problem(404, {"type": f"urn:claimcheck:problem:{slug}"}, None)
    assert problem.is_of_another_state is is_of_upload


def test_where_another_server_answers_it_asks_whether_the_address_is_right() -> None:
    problem = Problem(404, {}, None)
    assert str(problem) == "The service answered with status 404. Is its address right?"
    assert problem.may_repeat


def test_users_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    assert cache_directory() is None
