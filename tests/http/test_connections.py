"""Limits on connections, at the socket: bytes, time and number, before any code of a route."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.http import connections
from app.http.connections import HEAD_BYTES, HEAD_FIELDS, PIPELINED, LimitedProtocol

GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class App:
    """Answers a request with its headers' number and its body's length, once it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.scopes: list[Scope] = []
        self.disconnected = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        size, more = 0, scope["path"] != "/unread"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return
            size += len(message["body"])
            more = message["more_body"]
        await self.may_answer.wait()
        body = json.dumps([len(scope["headers"]), size]).encode()
        if scope["path"] == "/large":
            body = bytes(32 * 1024 * 1024)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def port(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of a server whose limits of time nobody reaches, but for those whom it has refused."""
    for name, seconds in (("HEAD_SECONDS", 600), ("UNREAD_SECONDS", 600), ("_LINGER_SECONDS", 0.3)):
        monkeypatch.setattr(connections, name, seconds)
    config, state = Config(app, log_config=None, access_log=False), ServerState()
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedProtocol(config, state, {}), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    app.may_answer.set()
    server.close()
    while state.connections:
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
    assert not LimitedProtocol.waiting
    await server.wait_closed()


@pytest.fixture
def soon(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are reached soon."""
    for name in ("HEAD_SECONDS", "UNREAD_SECONDS"):
        monkeypatch.setattr(connections, name, 0.3)


@pytest.fixture
async def connect(port: int) -> AsyncIterator[Callable[[], Any]]:
    opened: list[asyncio.StreamWriter] = []

    async def one() -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        return reader, writer

    yield one
    for writer in opened:
        writer.transport.abort()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers, json.loads(body)


async def refused(reader: asyncio.StreamReader, status: int, slug: str) -> dict[str, Any]:
    """The problem that the connection ends with."""
    found, headers, problem = await answer(reader)
    assert (found, problem["type"]) == (status, f"urn:claimcheck:problem:{slug}")
    assert headers["connection"] == "close"
    assert problem["request_id"] == headers["x-request-id"]
    assert await reader.read() == b""
    return dict(problem)


async def send_for_ever(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Until nobody takes it any more: of pieces without an end the server soon has enough."""
    with suppress(ConnectionError):
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)


async def becomes(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        GET + b"X: " + b"a" * HEAD_BYTES + b"\r\n\r\n",
        GET + (b"X: " + b"a" * 4096 + b"\r\n") * 16 + b"\r\n",
        GET + b"X" * HEAD_BYTES + b": a\r\n\r\n",
        GET + b"X:\r\n" * HEAD_FIELDS + b"\r\n",
        b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\n\r\n",
        # Trailers, which are headers too (RFC 9112 section 7.1.2).
        CHUNKED + b"0\r\nX: " + b"a" * HEAD_BYTES + b"\r\n\r\n",
        CHUNKED + b"0\r\n" + b"X:\r\n" * HEAD_FIELDS + b"\r\n",
    ],
)
async def test_headers_beyond_the_limit_are_refused(connect: Any, request_: bytes) -> None:
    reader, writer = await connect()
    writer.write(request_)
    problem = await refused(reader, 431, "headers-too-large")
    assert problem["limit"] == HEAD_BYTES
    assert "fewer or shorter" in problem["detail"]


@pytest.mark.parametrize(
    "start",
    [
        GET + b"X: ",
        GET,
        b"GET /",
        CHUNKED + b"0\r\nX: ",
        CHUNKED + b"5;x=",
        b"",
    ],
)
async def test_headers_without_an_end_are_not_kept(connect: Any, app: App, start: bytes) -> None:
    reader, writer = await connect()
    writer.write(start)
    # Of no line that could be another header: all of it is one value, one name, one address.
    sending = asyncio.create_task(send_for_ever(writer, b"a" * 16384))
    if start:
        await refused(reader, 431, "headers-too-large")
    else:
        await refused(reader, 400, "malformed-request")
    await sending
    assert not app.scopes or app.disconnected.is_set()


async def test_headers_at_the_limit_are_taken(connect: Any) -> None:
    reader, writer = await connect()
    whole = GET + b"X: \r\n" * (HEAD_FIELDS - 2) + b"X: \r\n\r\n"
    for _ in range(2):
        room = HEAD_BYTES - len(whole)
        writer.write(whole.replace(b"X: \r", b"X: " + b"a" * room + b"\r", 1))
        status, _, [count, _] = await answer(reader)
        assert (status, count) == (200, HEAD_FIELDS)


async def test_trailers_do_not_become_headers(connect: Any, app: App) -> None:
    reader, writer = await connect()
    writer.write(CHUNKED + b"0\r\nAuthorization: Bearer x\r\n\r\n")
    assert (await answer(reader))[2] == [2, 5]
    assert [name for name, _ in app.scopes[0]["headers"]] == [b"host", b"transfer-encoding"]


async def test_a_body_in_small_chunks_is_taken(connect: Any) -> None:
    reader, writer = await connect()
    writer.write(CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n")
    assert (await answer(reader))[2] == [2, 50_005]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("start", [b"", b"\r\n", b"GET / HT", GET + b"X: a"])
async def test_headers_that_do_not_come_end_the_connection(connect: Any, start: bytes) -> None:
    reader, writer = await connect()
    writer.write(start)
    if start.strip():
        await refused(reader, 408, "headers-overdue")
    else:
        assert await reader.read() == b""


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("trickle", [b"\r\n", b"X: a\r\n"])
async def test_nor_is_it_kept_by_what_trickles_in_after_an_answer(
    connect: Any, trickle: bytes
) -> None:
    reader, writer = await connect()
    writer.write(GET + b"\r\n")
    assert (await answer(reader))[0] == 200
    if trickle.strip():
        writer.write(GET)
    await send_for_ever(writer, trickle)


@pytest.mark.usefixtures("soon")
async def test_nor_by_a_body_that_nobody_reads(connect: Any) -> None:
    reader, writer = await connect()
    writer.write(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
    assert (await answer(reader))[0] == 200
    await send_for_ever(writer, b"a")


@pytest.mark.usefixtures("soon")
async def test_nor_by_an_answer_that_nobody_takes(connect: Any, app: App) -> None:
    reader, writer = await connect()
    writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    # Nothing is read here until the server has given up; then what had been sent, and the end.
    await becomes(lambda: app.scopes and LimitedProtocol.waiting)
    await becomes(lambda: not LimitedProtocol.waiting)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(32 * 1024 * 1024)


async def test_but_one_that_is_taken_slowly_is_given_whole(connect: Any) -> None:
    reader, writer = await connect()
    writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    await becomes(lambda: LimitedProtocol.waiting)
    [protocol] = LimitedProtocol.waiting
    head = await reader.readuntil(b"\r\n\r\n")
    left = 32 * 1024 * 1024
    while protocol._end_timer is not None and left > 0:
        # As if the time were over, of which the client has taken some.
        before = protocol._unread
        while left > 0 and protocol.transport.get_write_buffer_size() >= before:
            left -= len(await reader.read(1024 * 1024))
        if protocol._end_timer is not None:
            protocol._end_timer.cancel()
            protocol._still_unread()
    assert b"200 OK" in head
    await reader.readexactly(left)


async def test_the_longest_waiting_gives_way_to_a_new_one(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedProtocol, "most", 3)
    waiting: list[Stream] = []
    for number in range(6):
        stream = await connect()
        stream[1].write(GET)
        waiting.append(stream)
        if number < 3:
            await becomes(lambda most=number + 1: len(LimitedProtocol.waiting) == most)
        else:
            assert await waiting[number - 3][0].read() == b""
    # Whose headers come at once, or in time, is answered.
    for reader, writer in waiting[3:]:
        writer.write(b"\r\n")
        assert (await answer(reader))[0] == 200


async def test_whoever_is_answered_does_not_give_way(
    connect: Any, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedProtocol, "most", 3)
    app.may_answer.clear()
    answered = [await connect() for _ in range(3)]
    for _, writer in answered:
        writer.write(GET + b"\r\n")
    await becomes(lambda: len(app.scopes) == 3)
    reader, _ = await connect()
    status, headers, problem = await answer(reader)
    assert (status, headers["retry-after"]) == (503, "1")
    assert problem["type"] == "urn:claimcheck:problem:too-many-connections"
    app.may_answer.set()
    for reader, _ in answered:
        assert (await answer(reader))[0] == 200


async def test_whoever_was_answered_early_gives_way_as_well(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed: list[LimitedProtocol] = []
    plain = LimitedProtocol.on_message_complete

    def noted(self: LimitedProtocol) -> None:
        plain(self)
        completed.append(self)

    monkeypatch.setattr(LimitedProtocol, "on_message_complete", noted)
    monkeypatch.setattr(LimitedProtocol, "most", 2)
    for number in (1, 2):
        reader, writer = await connect()
        writer.write(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        assert (await answer(reader))[0] == 200
        writer.write(b"body")
        await becomes(lambda most=number: len(completed) == most)
    reader, writer = await connect()
    writer.write(GET + b"\r\n")
    assert (await answer(reader))[0] == 200


async def test_a_crowd_of_requests_at_once_is_cut(connect: Any, app: App) -> None:
    reader, writer = await connect()
    app.may_answer.clear()
    writer.write((GET + b"\r\n") * 5000)
    await writer.drain()
    app.may_answer.set()
    found = [await answer(reader) for _ in range(PIPELINED + 1)]
    assert [status for status, _, _ in found] == [200] * (PIPELINED + 1)
    assert ["connection" in headers for _, headers, _ in found] == [False] * PIPELINED + [True]
    assert await reader.read() == b""
    assert len(app.scopes) == PIPELINED + 1


async def test_nonsense_behind_a_request_does_not_spoil_its_answer(connect: Any, app: App) -> None:
    reader, writer = await connect()
    app.may_answer.clear()
    writer.write(GET + b"\r\nnonsense\r\n\r\n")
    await becomes(lambda: app.scopes)
    app.may_answer.set()
    status, headers, _ = await answer(reader)
    assert (status, headers["connection"]) == (200, "close")
    assert await reader.read() == b""


async def test_a_body_that_breaks_is_told_of(connect: Any, app: App) -> None:
    reader, writer = await connect()
    writer.write(CHUNKED + b"nonsense\r\n")
    await refused(reader, 400, "malformed-request")
    await app.disconnected.wait()


@pytest.mark.usefixtures("soon")
async def test_no_upgrade_leads_past_the_limits(connect: Any) -> None:
    reader, writer = await connect()
    writer.write(GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (await answer(reader))[0] == 200
    await send_for_ever(writer, b"a" * 1024)
