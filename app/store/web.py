"""The pooled HTTP session over which objects are looked at and buckets listed, set up as AWS's own
clients are.

Loaded late (`app.store.client.load_web`): aiohttp takes a sixth of the time to the first answer,
and reads the machine's certificates.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from botocore.exceptions import HTTPClientError
from yarl import URL

from app.core.destination import Destination

# Seconds.
CONNECT_TIMEOUT: Final = 3
READ_TIMEOUT: Final = 8
# An idle connection is closed before common servers do it, in seconds.
_KEEP_ALIVE: Final = 12
POOL_SIZE: Final = 50
# Of the body of a refusal so much is read.
_ERROR_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, its header names in any case, and the first bytes of its body."""

    status: int
    reason: str
    headers: Mapping[str, str]
    start: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Web:
    """Sends requests exactly as written, and follows no redirect."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, method: str, url: str, headers: Mapping[str, str], length: int) -> Answer:
        """The answer, with so many bytes at most: if there are more, the connection is closed.

        Raises HTTPClientError for an answer that cannot be read, OSError, TimeoutError.
        """
        target = URL(url, encoded=True)  # which is what is signed
        try:
            async with self._session.request(
                method,
                target,
                headers=headers,
                allow_redirects=False,
                proxy=proxy_for(target.scheme, target.raw_authority),
            ) as answer:
                ok = 200 <= answer.status < 300
                start = await _read(answer, length if ok else _ERROR_BYTES)
                return Answer(answer.status, answer.reason or "", answer.headers, start)
        except aiohttp.ClientError as error:
            if isinstance(error, OSError):
                raise
            raise HTTPClientError(error=error) from error


async def _read(answer: aiohttp.ClientResponse, length: int) -> bytes:
    pieces, left = [], length
    while left > 0 and (more := await answer.content.read(left)):
        pieces.append(more)
        left -= len(more)
    return b"".join(pieces)


@asynccontextmanager
async def open_web(destinations: Iterable[Destination]) -> AsyncIterator[Web]:
    """A session for all endpoints: up to 50 connections to each, no cookies, bytes as stored."""
    encrypted = any((d.endpoint_url or "https").startswith("https") for d in destinations)
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=POOL_SIZE,
        keepalive_timeout=_KEEP_ALIVE,
        # Reading a hundred certificates takes 30 ms.
        ssl=await asyncio.to_thread(_trusting) if encrypted else True,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        yield Web(session)


@lru_cache(maxsize=128)
def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy of the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) for this origin, as botocore
    finds it (botocore.utils.get_environ_proxies).
    """
    found = None if proxy_bypass(host) else getproxies().get(scheme)
    return found if found is None or "://" in found else f"http://{found}"


def _trusting() -> ssl.SSLContext:
    """Trusts the certificates of AWS_CA_BUNDLE or the profile's `ca_bundle`, else those that come
    with botocore.
    """
    # Loaded here, where something is encrypted.
    from aiobotocore.session import AioSession
    from botocore.httpsession import get_cert_path

    configured = AioSession().get_config_variable("ca_bundle")
    bundle = configured or os.environ.get("REQUESTS_CA_BUNDLE") or get_cert_path(verify=True)
    return ssl.create_default_context(cafile=bundle)
