"""Requests to a bucket as a browser sends them: with what was signed and no credentials."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from app.store.signer import Presigned, PresignedPost

_SECONDS: Final = 10
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]+)</Code>")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, header names in lower case. Status 0: there was none, `body` says why."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether it is a 4xx: a 5xx is the store's own failure and says nothing of the request."""
        return 400 <= self.status < 500

    @property
    def summary(self) -> str:
        """Status and S3's error code, for findings."""
        if not self.status:
            return f"no answer ({self.body.decode(errors='replace')})"
        code = _CODE.search(self.body)
        return f"{self.status} {code[1].decode()}" if code else str(self.status)

    def elements(self, header: str) -> set[str]:
        """The elements of a comma-separated header, in lower case."""
        return {w.strip().lower() for w in self.headers.get(header, "").split(",") if w.strip()}


class Browser:
    """Sends requests exactly as written, follows no redirect, and raises no exception."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | aiohttp.FormData | None = None,
    ) -> Answer:
        """Send the request; the answer has at most 64 KiB of its body."""
        try:
            async with self._session.request(
                method,
                # Sent as it is written, because that is signed.
                URL(url, encoded=True),
                headers=headers,
                data=data,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(1 << 16)
                names = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, names, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(0, {}, (str(error) or type(error).__name__).encode())

    async def put(self, signed: Presigned, data: bytes, **headers: str) -> Answer:
        """Send the presigned PUT; `headers` (`_` for `-`) are added to its own or replace them."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("PUT", signed.url, {**signed.headers, **more}, data)

    async def post(
        self, signed: PresignedPost, data: bytes, origin: str | None = None, **fields: str
    ) -> Answer:
        """Send the presigned form; `fields` (`_` for `-`) are added to its own or replace them."""
        form = aiohttp.FormData(quote_fields=False)
        more = {name.replace("_", "-"): value for name, value in fields.items()}
        for name, value in {**signed.fields, **more}.items():
            form.add_field(name, value)
        form.add_field("file", data, filename="file", content_type="application/octet-stream")
        return await self.send("POST", signed.url, {"Origin": origin} if origin else None, form)


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A browser without cookies, proxies and cache."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:
        yield Browser(session)
