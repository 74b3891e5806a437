"""Faults between the service and its database or store: silence, cuts, refusals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx

from tests.support.faulty_proxy import FaultyProxy


class Line:
    """A TCP line to a server that can be cut, or go silent without being cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cut = False
        self.port = 0

    def silence(self) -> None:
        """Connections are taken and stay, but no byte passes."""
        self._flowing.clear()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self._cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self._cut = False
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        self._open.add(writer)
        with suppress(OSError):
            await self._flowing.wait()
            there, far = await asyncio.open_connection(*self._target)
            self._open.add(far)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, far))
                both.create_task(self._copy(there, writer))
            self._open.discard(far)
        self._open.discard(writer)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                target.write(data)
                await target.drain()
        target.close()


@asynccontextmanager
async def line_to(host: str, port: int) -> AsyncIterator[Line]:
    line = Line(host, port)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        line.cut()
        server.close()


class Silence:
    """A store that takes requests and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await reader.read()
        writer.close()


@asynccontextmanager
async def silence() -> AsyncIterator[Silence]:
    store = Silence()
    async with await asyncio.start_server(store.serve, "127.0.0.1", 0) as server:
        store.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield store


def cut_off(environ: dict[str, str], store: Silence | FaultyProxy) -> dict[str, str]:
    """The service's own requests go there; browsers reach the bucket."""
    return environ | {
        "AWS_S3_ENDPOINT_URL": store.address,
        "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
    }


@dataclass
class Fault:
    """A bucket that fails as told: its DELETEs after so many, or with no answer until released."""

    deletes_left: int = 1_000
    hold: asyncio.Event | None = None
    asked: asyncio.Event | None = None


@asynccontextmanager
async def faulty(endpoint: str, fault: Fault) -> AsyncIterator[str]:
    """The store at another address, for the service alone; its requests have no bodies."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = [tuple(line.split(": ", 1)) for line in head[1:] if line]
        if fault.hold is not None and fault.asked is not None:
            fault.asked.set()
            await fault.hold.wait()
        if method == "DELETE":
            fault.deletes_left -= 1
        if method == "DELETE" and fault.deletes_left < 0:
            status, body = 500, b"<Error><Code>InternalError</Code></Error>"
        else:
            async with httpx.AsyncClient(timeout=60) as store:
                url = httpx.URL(endpoint).copy_with(raw_path=target.encode())
                response = await store.request(method, url, headers=headers)
            status, body = response.status_code, response.content
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
