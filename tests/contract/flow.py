"""A store with the service and a browser in front of it, and the ways to spoil what is sent."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import httpx

from app.store.signer import utc_now
from tests.contract.stores import Kind, OpenStore
from tests.support.steps import announced, send, stored

Instructions = dict[str, Any]
# A value to send instead, what to make of the one that was given, or None to leave it out.
Edit = str | Callable[[str], str] | None


class Clock:
    """The service's clock, which can be made to lie; the stores keep the true time."""

    def __init__(self) -> None:
        self._shift = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._shift

    @contextmanager
    def ahead(self, **of_truth: float) -> Iterator[None]:
        """Ahead by that `timedelta`, or behind if it is negative."""
        self._shift = timedelta(**of_truth)
        try:
            yield
        finally:
            self._shift = timedelta()


@dataclass(frozen=True)
class Flow:
    """`api` talks to the service, `web` is the browser, which has only what it was given."""

    kind: Kind
    store: OpenStore
    api: httpx.AsyncClient
    web: httpx.AsyncClient
    clock: Clock

    async def announce(
        self, destination: str, data: bytes = b"hello", filename: str = "a.txt", **body: Any
    ) -> dict[str, Any]:
        return await announced(self.api, data, filename, destination=destination, **body)

    async def send(self, instructions: Instructions, data: bytes = b"hello") -> httpx.Response:
        return await send(self.web, instructions, data)

    async def confirm(self, upload: dict[str, Any]) -> httpx.Response:
        return await self.api.post(f"/v1/uploads/{upload['id']}/confirm")

    async def file(self, destination: str, data: bytes = b"hello", **body: Any) -> dict[str, Any]:
        """A confirmed file."""
        return await stored(self.api, self.web, data, destination=destination, **body)

    async def link(self, file: dict[str, Any]) -> str:
        """A fresh link to the file."""
        response = await self.api.get(f"/v1/files/{file['id']}")
        assert response.status_code == 200, response.text
        return str(response.json()["presigned_url"])

    async def read(self, url: str) -> bytes:
        response = await self.web.get(url)
        assert response.status_code == 200, response.text
        return response.content


def error_code(response: httpx.Response) -> str | None:
    """The code in S3's XML, None in an answer without a body."""
    if not response.content:
        return None
    return ElementTree.fromstring(response.content).findtext("{*}Code")


def refused(response: httpx.Response, status: int = 403, code: str | None = None) -> None:
    """With that status, and that code where the stores agree on one."""
    assert response.status_code == status, response.text
    if code is not None:
        assert error_code(response) == code


def turned_away(flow: Flow, response: httpx.Response) -> None:
    """As what has no signature is."""
    if flow.kind.plain:
        assert response.status_code in flow.kind.plain, response.text
    else:
        refused(response, *flow.kind.anonymous)


def problem(response: httpx.Response, status: int, slug: str) -> str:
    """The detail of the service's problem."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["type"] == f"urn:claimcheck:problem:{slug}"
    return str(body["detail"])


def sha256(data: bytes) -> str:
    """In base64, as it is announced."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def edited(
    instructions: Instructions, edits: Mapping[str, Edit], url: Callable[[str], str] = str
) -> Instructions:
    """Other instructions: `edits` to the fields or headers by name, `url` to the URL."""
    part = "fields" if instructions["method"] == "POST" else "headers"
    sent = dict(instructions[part])
    for name, edit in edits.items():
        value = edit(sent[name]) if callable(edit) else edit
        sent.pop(name, None)
        if value is not None:
            sent[name] = value
    return {**instructions, part: sent, "url": url(instructions["url"])}


def flipped(text: str) -> str:
    """Another last character: the signature's in a URL, where it stands last."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def replacing(pattern: str, replacement: str) -> Callable[[str], str]:
    """Replaces what must be there."""

    def replace(text: str) -> str:
        changed, count = re.subn(pattern, replacement, text)
        assert count == 1, f"{pattern} is {count} times in {text}"
        return changed

    return replace


DRESS = {"cache_control": "private, max-age=60", "content_disposition": "inline"}
