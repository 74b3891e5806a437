"""Both majors of Uppy's client: requests that they send for parts, and how they read answers."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI
from starlette.types import Message

from tests.support.steps import slug

MIB = 1024 * 1024
DOOR = "/uppy/to/files/s3/multipart"
RULES = {
    "CLAIMCHECK_DESTINATIONS__FILES__MIN_SIZE": "1",
    "CLAIMCHECK_DESTINATIONS__FILES__MAX_SIZE": str(12 * MIB),
    "CLAIMCHECK_DESTINATIONS__EMPTY__MIN_SIZE": "0",
    "CLAIMCHECK_DESTINATIONS__HELD__INTEGRITY": "md5",
}
ACCEPT = {5: {"Accept": "application/json"}, 6: {"Accept": "*/*"}}
# What the two put into metadata: 5 strings, 6 whatever there is.
METADATA = {
    5: {"name": "日本.bin", "type": "text/plain"},
    6: {"name": "日本.bin", "relativePath": None, "n": 5, "list": [1, {"a": None}], "type": ""},
}


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


def explained(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"]
    assert body["message"] == body["detail"]
    assert body["code"] == slug(response)
    return str(body["code"])


@dataclass
class Held:
    """A bucket that is `asked` to join parts, and does so once it is `released`."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


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


def read_by_5(body: bytes) -> str | None:
    """The error that Uppy 5 shows for an answer with status 200."""
    answer = json.loads(body)
    return str(answer["message"]) if answer.get("error") else None


def read_by_6(body: bytes) -> str | None:
    """The error that Uppy 6 shows, which takes whatever JSON it gets for success."""
    try:
        json.loads(body)
    except ValueError as error:
        return f"{error}: {body.decode()}"
    return None
