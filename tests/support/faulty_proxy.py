"""A proxy between the service and its store: holds calls back, loses answers, gives others.

It hands requests on as they came, so that signatures stay right.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

How = Literal["before", "after", "lose", "half", "flip"]


def call_of(method: str, target: str) -> str:
    """S3's name of a request; the method alone where no test asks for more."""
    query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
    names = {
        ("POST", "uploads"): "Create",
        ("GET", "uploads"): "ListUploads",
        ("POST", "uploadId"): "Complete",
        ("GET", "uploadId"): "ListParts",
        ("DELETE", "uploadId"): "Abort",
    }
    found = [names[method, name] for name in query if (method, name) in names]
    return found[0] if found else method


@dataclass
class Rule:
    """The fault of a call: held before or after the store has it, its answer lost or cut in half, a
    byte of its body flipped, or this answer (status and XML code) instead. `after` as many calls
    that pass. `asked` is set as soon as it comes, `done` once the store has answered what is held
    after it.
    """

    how: How | tuple[int, str]
    times: int
    after: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class FaultyProxy:
    """`address` stands for the store's; `seen` are the names of all calls that came."""

    def __init__(self, store: str) -> None:
        self._store = urlsplit(store)
        self._rules: dict[str, list[Rule]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self.address = ""
        self.seen: list[str] = []

    def disturb(
        self, call: str, how: How | tuple[int, str], times: int = 1, after: int = 0
    ) -> Rule:
        """Treat the next calls of that name so; those `after` as many others."""
        rule = Rule(how, times, after)
        self._rules.setdefault(call, []).append(rule)
        return rule

    def release(self) -> None:
        """Let go of all that is held."""
        for rules in self._rules.values():
            for rule in rules:
                rule.released.set()

    def mend(self) -> None:
        """Hand on whatever comes from now on."""
        self._rules.clear()

    def _rule(self, call: str) -> Rule | None:
        for rule in self._rules.get(call, []):
            if rule.after:
                rule.after -= 1
            elif rule.times:
                rule.times -= 1
                rule.asked.set()
                return rule
        return None

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        # A task that is cancelled before its first step never comes to its own `finally`.
        task.add_done_callback(lambda _: writer.close())

    async def end(self) -> None:
        """Hang up on whoever is still held."""
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            length = [
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ]
            if b"\r\nexpect: 100-continue\r\n" in head.lower():
                # Until then no body comes (RFC 9110 section 10.1.1).
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(length[0]) if length else b""
            call = call_of(method, target)
            self.seen.append(call)
            rule = self._rule(call)
            how = rule.how if rule else None
            if rule and how == "before":
                await rule.released.wait()
            if isinstance(how, tuple):
                status, code = how
                xml = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
                writer.write(
                    f"HTTP/1.1 {status} Said\r\nContent-Type: application/xml\r\n"
                    f"Content-Length: {len(xml)}\r\nConnection: close\r\n\r\n".encode()
                    + (b"" if method == "HEAD" else xml)
                )
                return
            if how == "flip":
                body = body[:-1] + bytes([body[-1] ^ 1])
            answer = await self._ask(head, body)
            if rule and how == "after":
                rule.done.set()
                await rule.released.wait()
            if how != "lose":
                writer.write(answer[: len(answer) // 2] if how == "half" else answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._store.hostname, self._store.port)
        ours = (b"connection:", b"expect:")  # and not signed
        lines = [n for n in head[:-4].split(b"\r\n") if not n.lower().startswith(ours)]
        try:
            writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
            return await reader.read()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def faulty_proxy(store: str) -> AsyncIterator[FaultyProxy]:
    """A running proxy in front of the store at this URL."""
    proxy = FaultyProxy(store)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    async with server:
        proxy.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
        await proxy.end()
