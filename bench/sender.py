"""Sends requests over HTTP/1.1, each once, from a process of its own.

Where wrk sends for seconds, this sends so many, so that what a server spent belongs to exactly
those. `python -m bench.sender` reads a JSON object a line, `host`, `port`, `connections` and
`requests` as text, and writes one for each: `seconds` from the first to the last answer, how many
had each status in `statuses`, and in `failure` what went wrong first, null if nothing did.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httptools

from bench.servers import BenchError

_CONNECTIONS: Final = 32
_SECONDS: Final = 120  # for all requests of one object

# Sends these requests to the server at a URL; the seconds that took. Raises BenchError if any
# answer is an error, or does not come.
Send = Callable[[str, Sequence[str]], float]


def as_http(
    url: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> str:
    """A request to the server at a URL as HTTP/1.1 has it, with a body of JSON."""
    written = "" if body is None else json.dumps(body)
    lines = [
        *(f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"),
        *("Content-Type: application/json", f"Content-Length: {len(written)}"),
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join([*lines, "", written])


@contextmanager
def open_sender() -> Iterator[Send]:
    """Start the process; it ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.sender"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    to, answers = process.stdin, process.stdout

    def send(url: str, requests: Sequence[str]) -> float:
        at = urlsplit(url)
        wanted = {"host": at.hostname, "port": at.port, "connections": _CONNECTIONS}
        to.write(json.dumps(wanted | {"requests": requests}) + "\n")
        to.flush()
        said = json.loads(answers.readline() or '{"failure": "the sender ended"}')
        if said["failure"]:
            raise BenchError(f"{requests[0].splitlines()[0]}: {said['failure']}")
        seconds: float = said["seconds"]
        return seconds

    with process:
        try:
            yield send
        finally:
            to.close()


@dataclass
class _Seen:
    statuses: Counter[int] = field(default_factory=Counter)
    failure: str | None = None


class _Connection(asyncio.Protocol):
    """Sends the next request once the one before is answered, until none is left."""

    def __init__(self, left: Iterator[bytes], seen: _Seen) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = left
        self._seen = seen
        self._begin_answer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send_next()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed a connection"))

    def on_body(self, body: bytes) -> None:
        if self._parser.get_status_code() >= 400:
            self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._seen.statuses[status] += 1
        if status >= 400 and self._seen.failure is None:
            self._seen.failure = f"{status} {self._body[:2000].decode(errors='replace')}"
        self._begin_answer()
        self._send_next()

    def _begin_answer(self) -> None:
        self._parser, self._body = httptools.HttpResponseParser(self), b""

    def _send_next(self) -> None:
        request = next(self._left, None)
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()


async def _send(host: str, port: int, connections: int, requests: list[str]) -> dict[str, Any]:
    left, seen = iter([request.encode() for request in requests]), _Seen()
    loop, start = asyncio.get_running_loop(), time.perf_counter()
    try:
        async with asyncio.timeout(_SECONDS):
            opened = [
                await loop.create_connection(lambda: _Connection(left, seen), host, port)
                for _ in range(min(connections, len(requests)))
            ]
            await asyncio.gather(*(connection.done for _, connection in opened))
    except (OSError, TimeoutError, httptools.HttpParserError) as error:
        seen.failure = seen.failure or f"not all were answered: {error!r}"
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "statuses": seen.statuses, "failure": seen.failure}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_send(**json.loads(line)))), flush=True)  # noqa: T201
