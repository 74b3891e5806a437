"""Limits on connections: on the bytes, the time and the number that strangers may take before a
request of theirs is the application's, and after it.

uvicorn takes headers of any size, for as long as their sender likes, on as many connections as
there are. So it is given a protocol of ours, which is its own with these limits. That is done when
it tells the application that it starts, which is the same however uvicorn was started:
`claimcheck serve`, a worker of it, or `uvicorn app.main:create_app --factory`.
"""

import asyncio
import json
import os
import sys
from typing import Any, ClassVar, Final

from starlette.types import Receive
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.errors import (
    HeadersOverdue,
    HeadersTooLarge,
    MalformedRequest,
    Problem,
    TooManyConnections,
)
from app.http.problems import MEDIA_TYPE, problem_body
from app.logs.log import get_logger

# Of the request line and all headers together. Proxies take 8 to 64 KiB.
HEAD_BYTES: Final = 64 * 1024
# As Apache has it. Each costs far more than its bytes.
HEAD_FIELDS: Final = 100
HEAD_SECONDS: Final = 10
CONNECTIONS: Final = 1000
# Requests that may wait behind the one that is being answered; browsers send none.
PIPELINED: Final = 16
# Seconds in which a client must take some of its answer.
UNREAD_SECONDS: Final = 60
# Seconds in which a refused client may read why: a socket closed on unread bytes is reset.
_LINGER_SECONDS: Final = 2
# For the database, the bucket, the log and what Python opens.
_OTHER_FILES: Final = 200

_log: Final = get_logger("connections")


def limit_connections(receive: Receive) -> None:
    """Give the server that hands this `receive` to the application's lifespan our protocol.

    Servers other than uvicorn, and its HTTP/2, have to be limited otherwise: the log says so.
    """
    config = getattr(getattr(receive, "__self__", None), "config", None)
    if isinstance(config, Config) and config.http_protocol_class in (
        *(HttpToolsProtocol, H11Protocol, LimitedProtocol),
    ):
        config.http_protocol_class = LimitedProtocol
        LimitedProtocol.most = _most_connections()
        LimitedProtocol.stopping = False
    else:
        _log.warning("connections_unlimited")


def _most_connections() -> int:
    """As many as CONNECTIONS, or fewer where the process may not open so many files."""
    if sys.platform == "win32":
        return CONNECTIONS
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if files < 0 else max(1, min(CONNECTIONS, files - _OTHER_FILES))


class LimitedProtocol(HttpToolsProtocol):
    """A connection, which waits for its client but for so long, and takes but so much of it.

    What is not body is at most HEAD_BYTES for each request: its line, its headers, and whatever
    stands between and behind the chunks of its body. Trailers are dropped.
    """

    most: ClassVar[int] = CONNECTIONS
    # Whether the server has begun to stop: what only waits is to answer now.
    stopping: ClassVar[bool] = False
    # Those that wait for their client to send, the longest first. It gives way to a new one.
    waiting: ClassVar[dict["LimitedProtocol", None]] = {}

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._in_head = False
        self._head_bytes = self._head_fields = 0
        # Bytes since the request last went on: by its headers' end, or by some of its body.
        self._bytes_of_nothing = 0
        self._went_on = False
        self._reason: Problem | None = None
        self._is_refused = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._unread = 0

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            if not self.waiting:
                self._refuse(TooManyConnections("Too many connections.", retry_after=1))
                return
            oldest = next(iter(self.waiting))
            del self.waiting[oldest]
            oldest.transport.abort()
        self.waiting[self] = None
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.pop(self, None)
        for timer in (self._head_timer, self._end_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._went_on = False
        super().data_received(data)
        if self._is_refused or self.transport.is_closing():
            return
        self._bytes_of_nothing = 0 if self._went_on else self._bytes_of_nothing + len(data)
        if self._bytes_of_nothing > HEAD_BYTES:
            self._refuse(_too_large())
        elif not self._is_under_way():
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._end_unless_read()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._end_timer is not None and not self.transport.is_closing():
            self._end_timer.cancel()
            self._end_timer = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._end_unless_read()

    # The request, as the parser finds it.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes, self._head_fields = True, 0, 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_fields += 1
        self._count(len(name) + len(value) + len(b": \r\n"))
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._went_on = False, True
        if len(self.pipeline) >= PIPELINED:
            raise _Refused
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._went_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._went_on = True
        if self._is_under_way():
            # Else its answer came before its end, and what it waits for is another request.
            self.waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_unless_read()
        elif not self._is_refused:
            self.waiting[self] = None

    def shutdown(self) -> None:
        LimitedProtocol.stopping = True
        super().shutdown()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES or self._head_fields > HEAD_FIELDS:
            self._reason = _too_large()
            raise _Refused

    def _should_upgrade_to_ws(self) -> bool:
        return False

    # The end.

    def _is_under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_overdue)

    def _head_is_overdue(self) -> None:
        self._head_timer = None
        if self._is_under_way():
            return
        if self._in_head:
            detail = f"The headers were not there within {HEAD_SECONDS} s."
            self._refuse(HeadersOverdue(detail))
        else:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        self._refuse(self._reason or MalformedRequest(msg))

    def _refuse(self, problem: Problem) -> None:
        """Take nothing more. Say why, unless that would go into another request's answer."""
        self._is_refused = True
        self.waiting.pop(self, None)
        if self._is_under_way():
            if not self.cycle.more_body:
                # What came is whole, and is answered; what is wrong came behind it.
                self.cycle.keep_alive = False
                return
            if self.cycle.response_started or self.pipeline:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        request_id = os.urandom(8).hex()
        client = None if self.client is None else self.client[0]
        _log.info("refused", problem=problem.slug(), request_id=request_id, client=client)
        body = json.dumps(problem_body(problem, request_id)).encode()
        fields = {
            "content-type": MEDIA_TYPE,
            "content-length": f"{len(body)}",
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "x-request-id": request_id,
            "connection": "close",
        }
        if problem.retry_after is not None:
            fields["retry-after"] = f"{problem.retry_after}"
        head = b"".join(f"{name}: {value}\r\n".encode() for name, value in fields.items())
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._end_in(_LINGER_SECONDS)
        else:
            self.transport.close()

    def _end_in(self, seconds: float) -> None:
        if self._end_timer is None:
            self._end_timer = self.loop.call_later(seconds, self.transport.abort)

    def _end_unless_read(self) -> None:
        if self._end_timer is None:
            self._unread = self.transport.get_write_buffer_size()
            self._end_timer = self.loop.call_later(UNREAD_SECONDS, self._still_unread)

    def _still_unread(self) -> None:
        self._end_timer = None
        if self.transport.get_write_buffer_size() < self._unread:
            self._end_unless_read()
        else:
            self.transport.abort()


class _Refused(Exception):
    """Ends the parser's work on what was received."""


def _too_large() -> Problem:
    detail = (
        f"Address and headers may be {HEAD_BYTES} bytes and {HEAD_FIELDS} fields in all; "
        "send fewer or shorter ones."
    )
    return HeadersTooLarge(detail, limit=HEAD_BYTES)
