"""Uppy's uploads in parts, over HTTP, in the words of both majors of its client."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from app import uploads
from app.bucket import ObjectHandle
from app.errors import BucketRefused, BucketUnavailable, DatabaseUnavailable, Problem
from app.main import create_app
from app.routers import uppy
from app.settings import Settings
from tests.support.service import UNKNOWN_ID, prepared
from tests.support.steps import slug

MIB = 1024 * 1024
DOOR = "/uppy/to/files/s3/multipart"
RULES = {
    "CLAIMCHECK_DESTINATIONS__FILES__MIN_SIZE": "1",
    "CLAIMCHECK_DESTINATIONS__FILES__MAX_SIZE": str(12 * MIB),
    "CLAIMCHECK_DESTINATIONS__EMPTY__MIN_SIZE": "0",
}
ACCEPT = {5: {"Accept": "application/json"}, 6: {"Accept": "*/*"}}
# What the two put into metadata: 5 strings, 6 whatever there is.
METADATA = {
    5: {"name": "日本.bin", "type": "text/plain"},
    6: {"name": "日本.bin", "relativePath": None, "n": 5, "list": [1, {"a": None}], "type": ""},
}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | RULES)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


class Uppy:
    """An upload as Uppy makes it."""

    def __init__(self, client: httpx.AsyncClient, web: httpx.AsyncClient, major: int = 6) -> None:
        self.client, self.web, self.major = client, web, major
        self.upload_id = self.key = ""
        self.etags: dict[int, str] = {}

    @property
    def path(self) -> str:
        return f"{DOOR}/{quote(self.upload_id, safe='')}"

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = ACCEPT[self.major]
        key = more.pop("key", self.key)
        params = {**httpx.QueryParams(httpx.URL(path).query), "key": key}
        return await self.client.request(method, path, headers=headers, params=params, **more)

    async def create(self, door: str = DOOR, **body: Any) -> dict[str, Any]:
        body = {"filename": "日本.bin", "type": "text/plain"} | body
        response = await self.client.post(door, json=body, headers=ACCEPT[self.major])
        assert response.status_code == 200, response.text
        self.upload_id, self.key = response.json()["uploadId"], response.json()["key"]
        return response.json()

    async def sign(self, number: int | str) -> httpx.Response:
        return await self.ask("GET", f"{self.path}/{number}")

    async def send(self, number: int, data: bytes) -> None:
        signed = (await self.sign(number)).json()
        response = await self.web.put(signed["url"], content=data)
        assert response.status_code == 200, response.text
        etag = response.headers["etag"]
        self.etags[number] = etag if self.major == 5 else etag.strip('"')

    async def listed(self) -> list[dict[str, Any]]:
        response = await self.ask("GET", self.path)
        assert response.status_code == 200, response.text
        return response.json()

    def parts(self) -> dict[str, Any]:
        return {"parts": [{"PartNumber": n, "ETag": e} for n, e in self.etags.items()]}

    async def complete(self, body: Any = None) -> httpx.Response:
        return await self.ask("POST", f"{self.path}/complete", json=body or self.parts())

    async def abort(self) -> None:
        response = await self.ask("DELETE", self.path)
        # Uppy 5 parses every answer.
        assert (response.status_code, response.json()) == (200, {})

    async def state(self) -> str:
        response = await self.client.get(f"/v1/uploads/{self.upload_id}")
        return response.json().get("state", "gone")


@pytest.fixture
def upload(client: httpx.AsyncClient, web: httpx.AsyncClient) -> Uppy:
    return Uppy(client, web)


def explained(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"]
    assert body["message"] == body["detail"]
    assert body["code"] == slug(response)
    return str(body["code"])


@pytest.mark.parametrize("major", [5, 6])
async def test_a_file_in_parts(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings, major: int
) -> None:
    upload = Uppy(client, web, major)
    created = await upload.create(metadata=METADATA[major])
    bucket = settings.destinations["files"].bucket
    assert set(created) == {"key", "uploadId", "bucket"}
    assert UUID(created["uploadId"])
    assert created["bucket"] == bucket
    assert created["key"].startswith("files/")
    assert await upload.listed() == []

    signed = (await upload.sign(1)).json()
    assert set(signed) == {"method", "url", "expires"}
    assert signed["method"] == "PUT"
    assert 3590 <= signed["expires"] <= 3600
    await upload.send(2, b"end")
    await upload.send(1, b"x" * 5 * MIB)
    parts = await upload.listed()
    assert [(p["PartNumber"], p["Size"]) for p in parts] == [(1, 5 * MIB), (2, 3)]
    assert all(p["ETag"].strip('"') == upload.etags[p["PartNumber"]].strip('"') for p in parts)

    # A client that went on after a reload has quotes around some of them, and not in order.
    response = await upload.complete(
        {"parts": [{"PartNumber": "2", "ETag": None}, {"PartNumber": 1, "ETag": '"x"'}]}
    )
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"location", "key", "bucket"}
    assert (answer["key"], answer["bucket"]) == (upload.key, bucket)
    file = (await client.get(f"/v1/files/{upload.upload_id}")).json()
    assert answer["location"] == file["url"]
    assert (file["state"], file["size"]) == ("confirmed", 5 * MIB + 3)
    assert (file["filename"], file["content_type"]) == ("日本.bin", "text/plain")
    assert (await web.get(file["presigned_url"])).content == b"x" * 5 * MIB + b"end"

    # The answer was lost, or Uppy 5 has lost patience: nothing is lost here.
    await upload.abort()
    assert (await upload.complete()).json() == answer
    assert [p["PartNumber"] for p in await upload.listed()] == [1, 2]
    assert all(p["ETag"] for p in await upload.listed())
    assert explained(await upload.sign(3), 409) == "upload-not-pending"
    assert await upload.state() == "confirmed"


async def test_the_destination_is_in_the_metadata(upload: Uppy, client: httpx.AsyncClient) -> None:
    created = await upload.create("/uppy//s3/multipart", metadata={"destination": "empty"})
    assert created["key"].startswith("empty/")
    for metadata in (None, [], "x", {"destination": None}, {}):
        body = {"filename": "a", "type": None, "metadata": metadata}
        response = await client.post("/uppy/s3/multipart", json=body)
        assert explained(response, 422) == "unknown-destination"


async def test_an_empty_file_is_one_empty_part(upload: Uppy, client: httpx.AsyncClient) -> None:
    await upload.create("/uppy/to/empty/s3/multipart")
    await upload.send(1, b"")
    assert (await upload.complete()).status_code == 200
    assert (await client.get(f"/v1/files/{upload.upload_id}")).json()["size"] == 0


async def test_a_batch_of_urls(upload: Uppy, web: httpx.AsyncClient) -> None:
    await upload.create()
    response = await upload.ask("GET", f"{upload.path}/batch?partNumbers=1,10000,2")
    urls = response.json()["presignedUrls"]
    assert set(urls) == {"1", "2", "10000"}
    assert (await web.put(urls["2"], content=b"x")).status_code == 200
    for wrong, problem in (
        ("", "validation-failed"),
        ("1,,2", "validation-failed"),
        ("1,a", "validation-failed"),
        ("0,1", "unknown-part"),
        ("1,10001", "unknown-part"),
    ):
        response = await upload.ask("GET", f"{upload.path}/batch?partNumbers={wrong}")
        assert explained(response, 422) == problem, wrong


@pytest.mark.parametrize("number", [0, 10_001, -1, 10**30, "x", "1.5"])
async def test_part_numbers_that_there_are_not(upload: Uppy, number: int | str) -> None:
    await upload.create()
    code = explained(await upload.sign(number), 422)
    assert code == ("unknown-part" if isinstance(number, int) else "validation-failed")
    body = {"parts": [{"PartNumber": number, "ETag": "x"}]}
    assert explained(await upload.complete(body), 422) == "validation-failed"
    assert await upload.state() == "pending"


@pytest.mark.parametrize(
    "body",
    [
        {"parts": []},
        {"parts": None},
        {"parts": [{}]},
        {"parts": [{"PartNumber": 2}]},
        {"parts": [{"PartNumber": 1}, {"PartNumber": 3}]},
        {"nothing": 1},
        [],
    ],
)
async def test_part_lists_that_make_no_file(upload: Uppy, body: Any) -> None:
    await upload.create()
    await upload.send(1, b"x")
    response = await upload.ask("POST", f"{upload.path}/complete", json=body)
    assert explained(response, 422) == "validation-failed"
    assert await upload.state() == "pending"


async def test_missing_parts_can_be_sent_and_completed(
    upload: Uppy, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    await upload.create()
    await upload.send(1, b"a" * 5 * MIB)
    # The last one is missing: without Uppy's own count a shorter file would come of it.
    claimed = {"parts": [{"PartNumber": n, "ETag": "x"} for n in (1, 2)]}
    response = await upload.complete(claimed)
    assert explained(response, 409) == "upload-not-arrived"
    assert response.json()["missing_parts"] == [2]
    await upload.send(2, b"b")
    # Left over from an attempt that was cut otherwise: no part of the file.
    await upload.send(3, b"c")
    assert (await upload.complete(claimed)).status_code == 200
    file = (await client.get(f"/v1/files/{upload.upload_id}")).json()
    assert (await web.get(file["presigned_url"])).content == b"a" * 5 * MIB + b"b"


@pytest.mark.parametrize(("sizes", "door"), [([5, 5, 3], DOOR), ([0], DOOR)])
async def test_a_sum_out_of_range_is_refused_and_aborted(
    upload: Uppy, web: httpx.AsyncClient, sizes: list[int], door: str
) -> None:
    await upload.create(door)
    for number, size in enumerate(sizes, 1):
        await upload.send(number, b"x" * size * MIB)
    url = (await upload.sign(1)).json()["url"]
    assert explained(await upload.complete(), 422) == "upload-rejected"
    assert await upload.state() == "rejected"
    assert (await web.put(url, content=b"x")).status_code == 404  # the bucket has dropped it
    assert explained(await upload.complete(), 422) == "upload-rejected"


async def test_however_often_it_is_asked_one_task_waits_for_the_bucket(
    upload: Uppy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that a client gives up would leave one behind, for as long as the bucket works."""
    await upload.create()
    await upload.send(1, b"x")
    begun, has_begun, may_end, real = 0, asyncio.Event(), asyncio.Event(), uploads.confirm

    async def slow(*arguments: Any, **named: Any) -> Any:
        nonlocal begun
        begun += 1
        has_begun.set()
        await may_end.wait()
        return await real(*arguments, **named)

    monkeypatch.setattr(uploads, "confirm", slow)
    calls = [asyncio.create_task(upload.complete()) for _ in range(20)]
    await has_begun.wait()
    for call in calls[:10]:
        call.cancel()
    may_end.set()
    answers = await asyncio.gather(*calls[10:])
    assert {answer.status_code for answer in answers} == {200}
    assert begun == 1
    assert (await upload.complete()).status_code == 200


class Away:
    """A call that fails a few times before it does what it does."""

    def __init__(self, call: Callable[..., Any], problem: Problem, times: int) -> None:
        self.call, self.problem, self.left = call, problem, times

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.left:
            self.left -= 1
            raise self.problem
        return await self.call(*arguments, **named)

    def __get__(self, instance: object, _: type) -> Callable[..., Any]:
        """As a method."""
        return partial(self, instance)


async def test_a_store_or_a_database_that_is_away_for_a_moment_fails_no_completion(
    upload: Uppy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uppy 5 drops the upload at once when it fails, hours of it perhaps."""
    upload.major = 5
    monkeypatch.setattr(uppy, "FIRST_WAIT", 0.0)
    await upload.create()
    await upload.send(1, b"x")
    bucket = BucketUnavailable("It is down.", retry_after=1)
    database = DatabaseUnavailable("It is down.", retry_after=1)
    calls: list[Away] = []
    for module, name, problem in (
        (uppy, "get_upload", database),
        (uploads, "confirm", database),
        (ObjectHandle, "list_parts", bucket),
    ):
        calls.append(Away(getattr(module, name), problem, times=2))
        monkeypatch.setattr(module, name, calls[-1])
    assert (await upload.complete()).status_code == 200
    assert [call.left for call in calls] == [0, 0, 0]
    assert await upload.state() == "confirmed"


async def test_a_store_that_stays_away_fails_it_in_the_end(
    upload: Uppy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uppy, "PERSISTENCE", 0.0)
    await upload.create()
    await upload.send(1, b"x")
    bucket = BucketUnavailable("It is down.", retry_after=1)
    with monkeypatch.context() as patch:
        patch.setattr(ObjectHandle, "list_parts", Away(ObjectHandle.list_parts, bucket, 1))
        assert explained(await upload.complete(), 503) == "bucket-unavailable"
    assert (await upload.complete()).status_code == 200


async def test_abort_drops_the_parts(upload: Uppy, web: httpx.AsyncClient) -> None:
    await upload.create()
    await upload.send(1, b"x")
    url = (await upload.sign(1)).json()["url"]
    await upload.abort()
    await upload.abort()
    assert await upload.state() == "gone"
    assert (await web.put(url, content=b"x")).status_code == 404
    assert explained(await upload.complete(), 404) == "upload-not-found"
    assert explained(await upload.sign(1), 404) == "upload-not-found"


def every_call(upload: Uppy) -> list[tuple[str, str]]:
    return [
        ("GET", f"{upload.path}/1"),
        ("GET", f"{upload.path}/batch?partNumbers=1"),
        ("GET", upload.path),
        ("POST", f"{upload.path}/complete"),
    ]


async def test_nobody_gets_at_anothers_upload(
    upload: Uppy, database_url: str, web: httpx.AsyncClient
) -> None:
    await upload.create()
    await upload.send(1, b"x")
    url = (await upload.sign(1)).json()["url"]
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE files SET tenant = 'somebody else'")
    for method, path in every_call(upload):
        body = upload.parts() if method == "POST" else None
        # Whatever key is echoed.
        for key in (upload.key, "files/other"):
            response = await upload.ask(method, path, json=body, key=key)
            assert explained(response, 404) == "upload-not-found", path
    await upload.abort()
    assert await connection.fetchval("SELECT state FROM files") == "pending"
    await connection.close()
    assert (await web.put(url, content=b"x")).status_code == 200  # nothing was dropped


async def test_a_key_that_is_not_the_uploads_is_refused(
    upload: Uppy, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    other = Uppy(client, web)
    await other.create()
    await upload.create()
    await upload.send(1, b"x")
    for method, path in [*every_call(upload), ("DELETE", upload.path)]:
        body = upload.parts() if method == "POST" else None
        response = await upload.ask(method, path, json=body, key=other.key)
        assert explained(response, 404) == "upload-not-found", path
    assert await upload.state() == "pending"
    assert (await upload.complete()).status_code == 200
    assert await other.state() == "pending"


async def test_unknown_and_foreign_ids(upload: Uppy) -> None:
    upload.upload_id, upload.key = UNKNOWN_ID, "k"
    upload.etags[1] = "x"
    for method, path in every_call(upload):
        response = await upload.ask(method, path, json=upload.parts())
        assert explained(response, 404) == "upload-not-found"
    await upload.abort()
    # Such as S3's own, from another server.
    upload.upload_id = "2~ab"
    for method, path in [*every_call(upload), ("DELETE", upload.path)]:
        response = await upload.ask(method, path, json=upload.parts())
        assert explained(response, 422) == "validation-failed"


async def test_a_body_of_ten_thousand_parts_is_read(upload: Uppy) -> None:
    await upload.create()
    part = {"ETag": f'"{"0123456789abcdef" * 8}"'}
    body = {"parts": [{"PartNumber": n, **part} for n in range(1, 10_001)]}
    assert len(json.dumps(body)) > 1.5 * MIB
    response = await upload.complete(body)
    assert explained(response, 409) == "upload-not-arrived"
    body["parts"].append({"PartNumber": 1})
    assert explained(await upload.complete(body), 422) == "validation-failed"
    body["parts"][0]["ETag"] = "x" * 1024 * 1024
    assert explained(await upload.complete(body), 413) == "request-too-large"


class Reader:
    """A client of the application that takes the answer as it comes."""

    def __init__(self, app: FastAPI, upload: Uppy, major: int) -> None:
        self.status, self.body = 0, b""
        self.beats = asyncio.Event()
        self._body = json.dumps(upload.parts()).encode()
        headers = {"host": "127.0.0.1", "content-type": "application/json", **ACCEPT[major]}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "path": f"{upload.path}/complete",
            "raw_path": b"",
            "root_path": "",
            "scheme": "http",
            "query_string": f"key={quote(upload.key)}".encode(),
            "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        body, self._body = self._body, b""
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        if len(self.body) > 2:
            self.beats.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The bucket takes its time to join parts: until this is set. Nobody waits long."""
    monkeypatch.setattr(uppy, "PATIENCE", 0.01)
    monkeypatch.setattr(uppy, "HEARTBEAT", 0.01)
    joined, join = asyncio.Event(), ObjectHandle.complete_upload

    async def late(*arguments: Any, **named: Any) -> Any:
        await joined.wait()
        return await join(*arguments, **named)

    monkeypatch.setattr(ObjectHandle, "complete_upload", late)
    return joined


@pytest.mark.parametrize("major", [5, 6])
async def test_a_long_completion_keeps_the_connection_alive(
    app: FastAPI, upload: Uppy, held: asyncio.Event, client: httpx.AsyncClient, major: int
) -> None:
    await upload.create()
    await upload.send(1, b"x")
    reader = Reader(app, upload, major)
    await reader.beats.wait()
    assert (reader.status, reader.body.strip()) == (200, b"")
    # Uppy 5 gives up and cancels: not any more.
    assert await upload.state() == "completing"
    await upload.abort()
    assert await upload.state() == "completing"
    held.set()
    await reader.task
    assert set(json.loads(reader.body)) == {"location", "key", "bucket"}
    assert await upload.state() == "confirmed"


async def test_a_client_that_goes_away_leaves_a_file(
    app: FastAPI, upload: Uppy, held: asyncio.Event
) -> None:
    await upload.create()
    await upload.send(1, b"x")
    reader = Reader(app, upload, 6)
    await reader.beats.wait()
    reader.task.cancel()
    await asyncio.wait({reader.task})
    held.set()
    assert (await upload.complete()).status_code == 200
    assert await upload.state() == "confirmed"


def read_by_5(body: bytes) -> str | None:
    """What Uppy 5 makes of an answer with status 200: the error that it shows."""
    answer = json.loads(body)
    return str(answer["message"]) if answer.get("error") else None


def read_by_6(body: bytes) -> str | None:
    """The same for Uppy 6, which takes whatever JSON it gets for success."""
    try:
        json.loads(body)
    except ValueError as error:
        return f"{error}: {body.decode()}"
    return None


@pytest.mark.parametrize(("major", "read"), [(5, read_by_5), (6, read_by_6)])
@pytest.mark.parametrize("failure", [BucketRefused("The bucket says no."), RuntimeError("oops")])
async def test_a_failure_after_the_status_is_still_told(
    app: FastAPI,
    upload: Uppy,
    held: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
    major: int,
    read: Callable[[bytes], str | None],
    failure: Exception,
) -> None:
    async def fail(*arguments: Any, **named: Any) -> None:
        await held.wait()
        raise failure

    monkeypatch.setattr(ObjectHandle, "complete_upload", fail)
    await upload.create()
    await upload.send(1, b"x")
    reader = Reader(app, upload, major)
    await reader.beats.wait()
    held.set()
    await reader.task
    shown = read(reader.body)
    assert shown
    assert ("The bucket says no." in shown) == isinstance(failure, BucketRefused)
    assert "oops" not in shown
