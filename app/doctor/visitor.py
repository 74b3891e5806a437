"""The browser's part: requests to the bucket with nothing but what was signed."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from app.signer import Presigned, PresignedPost

_SECONDS: Final = 10
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]+)</Code>")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case. Status 0: nothing did, `body` says why."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the store said no; a failure of its own is neither."""
        return 400 <= self.status < 500

    @property
    def said(self) -> str:
        """Status and S3's error code, in words."""
        if not self.status:
            return f"no answer ({self.body.decode(errors='replace')})"
        code = _CODE.search(self.body)
        return f"{self.status} {code[1].decode()}" if code else str(self.status)

    def listed(self, header: str) -> set[str]:
        """A header's words, in lower case."""
        return {w.strip().lower() for w in self.headers.get(header, "").split(",") if w.strip()}


class Visitor:
    """Sends requests exactly as they are, follows nothing, and raises nothing."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | aiohttp.FormData | None = None,
    ) -> Answer:
        try:
            async with self._session.request(
                method,
                # What is signed is sent as it is written.
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
        """Follow the instructions; further headers are added or put in place of theirs."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("PUT", signed.url, {**signed.headers, **more}, data)

    async def post(
        self, signed: PresignedPost, data: bytes, origin: str | None = None, **fields: str
    ) -> Answer:
        """Follow the instructions; further fields are put in place of theirs."""
        form = aiohttp.FormData(quote_fields=False)
        more = {name.replace("_", "-"): value for name, value in fields.items()}
        for name, value in {**signed.fields, **more}.items():
            form.add_field(name, value)
        form.add_field("file", data, filename="file", content_type="application/octet-stream")
        return await self.send("POST", signed.url, {"Origin": origin} if origin else None, form)


@asynccontextmanager
async def open_visitor() -> AsyncIterator[Visitor]:
    """A visitor without cookies, proxies or memory."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:
        yield Visitor(session)
