"""A wire between a browser and a server that can be slow, cut or blocked; it counts bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_CHUNK = 1 << 16
_LARGE = 1 << 20  # bytes of a request that holds part of a file


class Wire:
    """Bytes on their way to the server, counted in `sent`. The way back is left alone."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._cuts: list[int] = []
        self._gate = asyncio.Event()
        self._gate.set()
        self._stop_at: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._answers_to_lose = 0
        self._flips = 0
        self.sent = 0
        self.rate: float | None = None  # bytes a second, all connections together

    def cut(self, *after: int) -> None:
        """Break the next connections on which as many bytes came, in that order."""
        self._cuts += after

    def lose_answers(self, count: int) -> None:
        """Break as many connections as the answer to a large request begins."""
        self._answers_to_lose = count

    def flip(self, count: int) -> None:
        """Change one bit in the body of as many large requests."""
        self._flips = count

    @property
    def answers_left(self) -> int:
        return self._answers_to_lose

    @property
    def cuts_left(self) -> int:
        return len(self._cuts)

    def stop_after(self, size: int) -> None:
        """Let as many bytes pass from now on, then none until `go_on`."""
        self._stop_at = self.sent + size
        self._stopped.clear()

    async def stopped(self) -> None:
        """Wait until as many bytes have passed. Raises TimeoutError after a minute."""
        async with asyncio.timeout(60):
            await self._stopped.wait()

    def go_on(self) -> None:
        self._stop_at = None
        self._gate.set()

    async def break_all(self) -> None:
        """Break every connection; what is held up in them gets lost."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(*self._to)
        came = 0
        down = asyncio.create_task(self._copy(there, writer, lambda: came >= _LARGE))
        try:
            while data := await reader.read(_CHUNK):
                came += len(data)
                self.sent += len(data)
                if self._cuts and came >= self._cuts[0]:
                    self._cuts.pop(0)
                    writer.transport.abort()
                    break
                if self._stop_at is not None and self.sent >= self._stop_at:
                    self._gate.clear()
                    self._stopped.set()
                await self._gate.wait()
                if self.rate:
                    async with self._one_at_a_time:
                        await asyncio.sleep(len(data) / self.rate)
                if self._flips and came >= _LARGE:
                    self._flips -= 1
                    data = data[:-1] + bytes([data[-1] ^ 1])
                here.write(data)
                await here.drain()
        except OSError:
            pass
        finally:
            down.cancel()
            for end in (here, writer):
                end.close()

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        was_large: Callable[[], bool],
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                if self._answers_to_lose and was_large():
                    self._answers_to_lose -= 1
                    # With no answer at all, on a connection that had served before, Chromium itself
                    # sends the request again, unseen by its page.
                    writer.write(data[: len(b"HTTP/1.1 ")])
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to the server at `url`, and the address of its near end."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    wire = Wire(parts.hostname, parts.port)
    near = socket.socket()
    # What lies in the socket's buffer has left the browser, but not come here.
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * _CHUNK)
    near.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(wire.accept, sock=near, limit=_CHUNK)
    port = near.getsockname()[1]
    try:
        yield wire, f"http://127.0.0.1:{port}"
    finally:
        server.close()
        await wire.break_all()
