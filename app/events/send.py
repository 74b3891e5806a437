"""Sends a webhook to where it may go, and nowhere else.

A name is resolved once, and each address is checked where its socket is made: what is connected to
is the very address that was checked, under the name's own SNI, Host and certificate. So a name
that leads elsewhere at its second look-up leads nowhere. Nothing is followed or decompressed, no
cookie is kept and no proxy of the environment is asked.

Loaded late, with aiohttp, by who sends.
"""

import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final, NamedTuple

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver

from app.core.public_address import is_allowed
from app.events.targets import NOT_ALLOWED, networks_of
from app.settings.model import Settings

TRY_SECONDS: Final = 10
MAX_ANSWER: Final = 64 * 1024
# Of the answer to a try that failed, for people to read.
_SHOWN: Final = 500
# Node.js closes idle connections after 5 s (server.keepAliveTimeout): ours are closed before that,
# so that none is used while it is being closed.
_IDLE_SECONDS: Final = 4


class Answer(NamedTuple):
    """The outcome of one try.

    `status` is the HTTP status, None where there was no answer; `error` says in a sentence why the
    try failed, None where it did not. `retry_after` is the header of that name; `seconds` how long
    it took.
    """

    status: int | None
    error: str | None
    retry_after: str | None
    seconds: float


class _Refused(OSError):
    """The address is none that webhooks may go to."""


@asynccontextmanager
async def open_client(
    settings: Settings, resolver: AbstractResolver | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose connections lead to allowed addresses alone. Certificates are verified by the
    system's authorities, or those of SSL_CERT_FILE.
    """
    networks = networks_of(settings)

    def checked_socket(found: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = found
        if not is_allowed(ip_address(str(place[0])), networks):
            raise _Refused(NOT_ALLOWED.format(place[0]))
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        ssl=ssl.create_default_context(),
        limit=0,  # the caller sends no more at once than it wants
        resolver=resolver,
        socket_factory=checked_socket,
        keepalive_timeout=_IDLE_SECONDS,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=TRY_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        headers={"User-Agent": "Claimcheck", "Content-Type": "application/json"},
    ) as client:
        yield client


async def post(
    client: aiohttp.ClientSession, url: str, headers: dict[str, str], body: bytes
) -> Answer:
    """One try. Every failure of the receiver or of the way there is an Answer with an `error`."""
    started = time.monotonic()
    try:
        async with client.post(url, data=body, headers=headers, allow_redirects=False) as response:
            status = response.status
            said = await _read(response)
            error = None if 200 <= status < 300 else _refusal(status, said)
            retry_after = response.headers.get("Retry-After")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failure:
        return Answer(None, _in_words(failure), None, time.monotonic() - started)
    return Answer(status, error, retry_after, time.monotonic() - started)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the answer. It is read to its end, so that the connection can be used again,
    but no further than MAX_ANSWER: then the connection is closed.
    """
    shown, count = b"", 0
    async for chunk in response.content.iter_any():
        shown = shown or chunk[:_SHOWN]
        count += len(chunk)
        if count > MAX_ANSWER:
            response.close()
            break
    return shown


def _refusal(status: int, said: bytes) -> str:
    if 300 <= status < 400:
        return f"It answered {status}: redirects are not followed, so give the URL it leads to."
    # NUL is the one character that PostgreSQL's texts cannot have.
    text = " ".join(said.decode("utf-8", "replace").replace("\0", " ").split())
    return f"It answered {status}: {text}" if text else f"It answered {status}."


def _in_words(failure: Exception) -> str:
    cause = getattr(failure, "os_error", failure)
    if isinstance(cause, _Refused):
        return str(cause)
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "Its name cannot be resolved."
    if isinstance(failure, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return f"Its TLS certificate or protocol is not accepted: {_line(cause)}"
    if isinstance(failure, TimeoutError):
        return f"It did not answer within {TRY_SECONDS} seconds."
    if isinstance(failure, aiohttp.ClientConnectorError):
        return f"There was no connection to be had: {_line(cause)}"
    return f"The connection was cut, or the answer was no HTTP: {_line(failure)}"


def _line(failure: object) -> str:
    return " ".join(str(failure).split())[:_SHOWN] or type(failure).__name__
