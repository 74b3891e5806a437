"""A client of ClamAV's daemon: a stream of bytes goes in, what clamd says of it comes out.

The protocol is clamd(8)'s: `zINSTREAM`, then chunks, each behind its length in four bytes, then a
length of zero. clamd keeps the stream in a file, and scans it when it has all of it.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from app.core.scans import Scan

_CONNECT_SECONDS: Final = 5.0
# For a chunk to be taken; and, from the end of the stream, for the verdict: clamd's own limit is
# two minutes a file (clamd.conf(5), MaxScanTime), and it may have others before this one.
_SEND_SECONDS: Final = 60.0
_ANSWER_SECONDS: Final = 600.0
_MOST_ANSWER: Final = 4096
# Names under which clamd tells that it has not scanned all of a file (AlertExceedsMax).
_LIMITS: Final = "Heuristics.Limits.Exceeded"


class ClamdUnavailable(Exception):
    """clamd did not answer, or not by its protocol; the message says why."""


class Answer(NamedTuple):
    """clamd's answer about a stream, and why."""

    verdict: Scan
    reason: str | None


@dataclass(frozen=True, slots=True)
class Clamd:
    """The clamd at a URL: `tcp://host:3310`, or `unix:///run/clamav/clamd.ctl`."""

    url: str

    async def scan(self, chunks: AsyncIterable[bytes]) -> Answer:
        """Send these bytes to be scanned. Raises ClamdUnavailable, and what the chunks raise."""
        # A socket, as a stream of asyncio's reads no more once it could not write.
        with await self._connect() as connection:
            if await _send(connection, b"zINSTREAM\0"):
                async for chunk in chunks:
                    if not await _send(connection, struct.pack(">I", len(chunk)), chunk):
                        # It takes no more, and says why.
                        break
                else:
                    await _send(connection, struct.pack(">I", 0))
            return _parsed(await _read(connection))

    async def _connect(self) -> socket.socket:
        """Raises ClamdUnavailable."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._connected()
        except (OSError, TimeoutError) as error:
            raise ClamdUnavailable(
                f"clamd at {self.url} cannot be reached ({_words(error)}): see that it runs, and "
                "that CLAIMCHECK_CLAMD_URL is its address."
            ) from error

    async def _connected(self) -> socket.socket:
        loop, parts = asyncio.get_running_loop(), urlsplit(self.url)
        places: list[tuple[int, Any]] = [(socket.AF_UNIX, parts.path)]
        if parts.scheme == "tcp":
            found = await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
            places = [(family, address) for family, _, _, _, address in found]
        failure = OSError("it has no address")
        for family, address in places:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, address)
            except OSError as error:
                connection.close()
                failure = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure


async def _send(connection: socket.socket, *pieces: bytes) -> bool:
    """Whether clamd has taken them."""
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            for piece in pieces:
                await asyncio.get_running_loop().sock_sendall(connection, piece)
    except TimeoutError as error:
        raise ClamdUnavailable(f"clamd took nothing for {_SEND_SECONDS:.0f} s.") from error
    except OSError:
        return False
    return True


async def _read(connection: socket.socket) -> str:
    loop, answer = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while not answer.endswith(b"\0") and len(answer) < _MOST_ANSWER:
                more = await loop.sock_recv(connection, _MOST_ANSWER)
                if not more:
                    break
                answer += more
    except TimeoutError as error:
        raise ClamdUnavailable(f"clamd gave no verdict within {_ANSWER_SECONDS:.0f} s.") from error
    except OSError:
        pass  # the connection is gone, perhaps behind an answer
    # One that was cut off is none.
    return answer.rstrip(b"\0").decode(errors="replace").strip() if b"\0" in answer else ""


def _parsed(answer: str) -> Answer:
    said = answer.removeprefix("stream:").strip()
    if said == "OK":
        return Answer(Scan.CLEAN, None)
    name, _, kind = said.rpartition(" ")
    if kind == "FOUND":
        if name.startswith(_LIMITS):
            return Answer(Scan.FAILED, f"clamd has not scanned all of it: {name}")
        return Answer(Scan.INFECTED, name)
    if kind == "ERROR":
        return Answer(Scan.FAILED, f"clamd: {name.rstrip('.')}")
    raise ClamdUnavailable(f"clamd ended without a verdict{said and f': {said[:200]}'}.")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
