"""The pooled HTTP session over which objects are looked at, as AWS's own clients are set up."""

import os
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Final

import aiohttp
from aiobotocore.session import AioSession
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from app.core.destination import Destination

# Seconds.
CONNECT_TIMEOUT: Final = 3
READ_TIMEOUT: Final = 8
# An idle connection is closed before common servers do it, in seconds.
_KEEP_ALIVE: Final = 12
POOL_SIZE: Final = 50


@asynccontextmanager
async def open_web(destinations: Iterable[Destination]) -> AsyncIterator[aiohttp.ClientSession]:
    """A session for all endpoints: up to 50 connections to each, no cookies, bytes as stored."""
    encrypted = any((d.endpoint_url or "https").startswith("https") for d in destinations)
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=POOL_SIZE,
        keepalive_timeout=_KEEP_ALIVE,
        ssl=ssl.create_default_context(cafile=_authorities()) if encrypted else True,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        yield session


@lru_cache(maxsize=128)
def proxy_for(origin: str) -> str | None:
    """The proxy of the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) for this origin."""
    scheme = origin.partition(":")[0]
    found: str | None = get_environ_proxies(origin).get(scheme)
    return found if found is None or "://" in found else f"http://{found}"


def _authorities() -> str:
    """The certificates to trust: AWS_CA_BUNDLE or the profile's `ca_bundle`, else those that come
    with botocore.
    """
    configured = AioSession().get_config_variable("ca_bundle")
    return str(configured or os.environ.get("REQUESTS_CA_BUNDLE") or get_cert_path(verify=True))
