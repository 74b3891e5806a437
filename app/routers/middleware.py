"""What surrounds every request, as plain ASGI: ids and the access log, limits, the last catch."""

import ipaddress
import logging
import os
import re
import time
from functools import lru_cache
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import InternalError, LoopbackOnly, RequestTooLarge
from app.routers.problems import problem_response, request_id_of

KIB: Final = 1024
BODY_LIMIT: Final = 64 * KIB
# Lists of announcements and of ids are the only long bodies.
LONG_BODIES: Final = {"/v1/uploads/batch": 256 * KIB, "/v1/files/presign": 256 * KIB}

_access = logging.getLogger("claimcheck.access")
_errors = logging.getLogger("claimcheck.errors")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROXIED: Final = (
    *("forwarded", "via", "x-real-ip"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
)
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Envelope:
    """Outermost: gives each request its id, its default headers and its line in the access log.

    The line has no query string, no header and no body in it, so that no secret gets there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        scope.setdefault("state", {})["request_id"] = request_id
        status, received, sent, start = 0, 0, 0, time.perf_counter()

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                # Most answers carry links, and whoever holds a link may read the file.
                headers.setdefault("Cache-Control", "no-store")
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, counted_receive, counted_send)
        finally:
            _access.info(
                "%s %s %d in=%dB out=%dB %.1fms id=%s",
                scope["method"],
                # repr: a path may hold line breaks, percent-decoded.
                repr(scope["path"])[1:-1],
                status,
                received,
                sent,
                (time.perf_counter() - start) * 1000,
                request_id,
            )


class HeadAsGet:
    """Answers HEAD like GET without the body, on every route (RFC 9110 section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_head)


class LoopbackGuard:
    """With `auth = none`: refuses whoever is not on this machine, whatever address was bound.

    The host name must be a loopback one too, or a web page could reach us under a name of its own
    that it points here (DNS rebinding). And a proxy on this machine would make everybody local, so
    whatever a proxy has touched is refused.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._from_here(scope):
            problem = LoopbackOnly(
                "Authentication is off (CLAIMCHECK_AUTH=none), so only this machine may ask, under "
                "http://127.0.0.1 or http://localhost."
            )
            await problem_response(problem, scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    @staticmethod
    def _from_here(scope: Scope) -> bool:
        client = scope.get("client")
        headers = Headers(scope=scope)
        if client is None or any(name in headers for name in _PROXIED):
            return False
        return _is_here(client[0], headers.get("host", ""))


@lru_cache(maxsize=64)
def _is_here(address: str, host: str) -> bool:
    if re.sub(r":\d+$", "", host).lower() not in _LOOPBACK_NAMES:
        return False
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class BodyLimit:
    """Refuses a body that is too large unread, also one that does not say its length."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = LONG_BODIES.get(scope["path"], BODY_LIMIT)
        said = Headers(scope=scope).get("content-length", "0")
        if not (said.isascii() and said.isdigit() and len(said) < 20) or int(said) > limit:
            await self._refuse(limit, scope, receive, send)
            return
        read, started = 0, False

        async def limited_receive() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _TooLarge
            return message

        async def noted_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, limited_receive, noted_send)
        except _TooLarge:
            if started:
                raise
            await self._refuse(limit, scope, receive, send)

    @staticmethod
    async def _refuse(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        problem = RequestTooLarge(
            f"This route reads at most {limit} bytes; files go to the bucket, not here.",
            limit=limit,
        )
        # No "Connection: close": a socket that is closed before the body was taken from it is
        # reset, and the client never sees this answer. The server drops the rest as it comes.
        await problem_response(problem, scope)(scope, receive, send)


class _TooLarge(BaseException):
    """Passes through the framework's own `except Exception` on its way to BodyLimit."""


class LastCatch:
    """Innermost: what nobody expected becomes a problem that leaks nothing.

    A handler for Exception in Starlette would answer outside the CORS middleware, and the browser
    would hide the answer from its page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noted_send)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            request_id = request_id_of(scope)
            _errors.exception("unexpected failure, request %s", request_id)
            problem = InternalError(f"The service failed. Quote request id {request_id}.")
            await problem_response(problem, scope)(scope, receive, send)
