"""A store that gives the answers it was told to give, in their order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.runtime.resources import open_resources
from app.settings.model import load_settings
from app.store.objects import ObjectHandle

# Status, headers, body.
Answer = tuple[int, dict[str, str], bytes]


class Scripted:
    """A store that gives these answers in turn (a status of 0: it hangs up); `asked` has the
    method, the target and the headers of each request.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                self.asked.append((method, target, headers))
                status, said, body = self._answers.pop(0)
                if status == 0:
                    writer.close()
                    return
                said = {"Content-Length": str(len(body)), **said}
                head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
                writer.write(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode())
                if method != "HEAD":
                    writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def scripted(
    environ: dict[str, str], *answers: Answer, **change: str
) -> AsyncIterator[tuple[ObjectHandle, Scripted]]:
    """A key in a store which gives these answers."""
    store = Scripted(*answers)
    async with await asyncio.start_server(store.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        endpoint = {"AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        settings = load_settings(environ | endpoint | change)
        async with open_resources(settings) as res:
            yield res.object_at(settings.destinations["files"], "files/a b.png"), store


def error(code: str, more: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code>{more}</Error>".encode()
