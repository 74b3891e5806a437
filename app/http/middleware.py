"""Middleware, as plain ASGI: ids and the access log, limits, and a problem for any failure."""

import asyncio
import ipaddress
import os
import re
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.client_address import TrustedProxies, client_address, names_this_machine
from app.core.words import in_bytes
from app.errors import (
    AddressTooLong,
    AnswerOverdue,
    HeadersTooLarge,
    InternalError,
    LoopbackOnly,
    Problem,
    RequestTooLarge,
)
from app.http.problems import problem_response, request_id_of
from app.http.request_headers import headers_of
from app.http.time_limit import TimeLimit
from app.logs.log import Actor, current_actor, get_logger
from app.logs.metrics import count_request

KIB: Final = 1024
BODY_LIMIT: Final = 64 * KIB
# Lists of announcements and of ids are the only long bodies.
LONG_BODIES: Final = {"/v1/uploads/batch": 256 * KIB, "/v1/files/presign": 256 * KIB}
# Uppy's list of the parts that it has sent: up to 10,000, of which it says a number and an ETag.
_PARTS_BODY: Final = 2048 * KIB
# Lists and objects of a body: parsed, they take a hundred times the memory that they take in JSON.
# Strings less, so that so many quotation marks count as one. 10,000 parts of Uppy's are 15,001.
_PIECES: Final = 20_000
_QUOTES: Final = 16
# Of the address: a record's id takes up to 600 bytes of the path, 200 UUIDs 7 KiB of the query.
PATH_BYTES: Final = 2 * KIB
QUERY_BYTES: Final = 16 * KIB
QUERY_PARAMETERS: Final = 100
# Of headers that libraries parse with the square of their length, or into as many pieces.
SHORT_HEADERS: Final = {
    **dict.fromkeys((b"content-type", b"range", b"if-range", b"if-modified-since"), KIB),
    **dict.fromkeys((b"accept", b"if-match", b"if-none-match"), 4 * KIB),
    b"cookie": 16 * KIB,
}
# Routers in front of services cut a request whose answer has not begun: Heroku's after 30 s.
ANSWER_SECONDS: Final = 25

_access: Final = get_logger("access")
_errors: Final = get_logger("errors")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROXIED: Final = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip"),
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
    }
)
# Most answers carry links, and whoever holds a link may read the file: hence no-store.
_DEFAULT_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_NO_LIMIT: Final[dict[str, str]] = {}


def _tidied(scope: Scope) -> Scope:
    """The request with its path as Uppy's door has it, before anything reads or logs it.

    Uppy 6 can send no header, so a token for it stands in the path, `/uppy/{token}/s3/...`; it is
    taken out, to `request.state.path_token`. An endpoint with a slash at its end makes `//s3/...`.
    """
    segments = [segment for segment in scope["path"].split("/") if segment]
    if not segments or segments[0] != "uppy":
        return scope
    token = segments.pop(1) if len(segments) > 1 and segments[1] not in {"s3", "to"} else None
    path = "/" + "/".join(segments)
    state = {**scope.get("state", {}), "path_token": token}
    return {**scope, "path": path, "raw_path": path.encode(), "state": state}


def _check_head(scope: Scope) -> None:
    """Raises AddressTooLong and HeadersTooLarge."""
    query: bytes = scope["query_string"]
    if len(scope["raw_path"]) > PATH_BYTES:
        raise _too_long("path", PATH_BYTES, "bytes")
    if len(query) > QUERY_BYTES:
        raise _too_long("query", QUERY_BYTES, "bytes")
    if query.count(b"&") + 1 > QUERY_PARAMETERS:
        raise _too_long("query", QUERY_PARAMETERS, "parameters")
    for name, value in scope["headers"]:
        if len(value) > (limit := SHORT_HEADERS.get(name, len(value))):
            said = f"The header {name.decode()} has more than {limit} bytes."
            raise HeadersTooLarge(said, limit=limit)


def _too_long(part: str, limit: int, unit: str) -> AddressTooLong:
    return AddressTooLong(f"The {part} has more than {limit} {unit}.", limit=limit)


def is_proxied(scope: Scope) -> bool:
    """Whether a proxy says that it stands between us and whoever asks."""
    return not _PROXIED.isdisjoint(headers_of(scope))


class RequestContext:
    """Outermost: gives each request its id, its default headers and its line in the access log.

    The line has no query string, no header and no body in it, so that no secret gets there.
    """

    def __init__(self, app: ASGIApp, trusted_proxies: TrustedProxies = 0) -> None:
        self.app = app
        self._trusted = trusted_proxies

    def _client(self, scope: Scope) -> str | None:
        peer = scope.get("client")
        if peer is None or not self._trusted:
            return None if peer is None else str(peer[0])
        forwarded = tuple(v for name, v in scope["headers"] if name == b"x-forwarded-for")
        return client_address(peer[0], forwarded, self._trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"].startswith(("/uppy", "//")):
            scope = _tidied(scope)
        given = headers_of(scope).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        scope.setdefault("state", {})["request_id"] = request_id
        actor = Actor(request_id=request_id, client=self._client(scope))
        before = current_actor.set(actor)
        method = scope["method"]
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
                headers = message["headers"] = list(message.get("headers", ()))
                there = dict(headers)
                headers += [header for header in _DEFAULT_HEADERS if header[0] not in there]
                headers.append((b"x-request-id", request_id.encode()))
                for name, value in scope["state"].get("rate_limit", _NO_LIMIT).items():
                    headers.append((name.encode(), value.encode()))
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, counted_receive, counted_send)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "unmatched")
            count_request(method, route, status, seconds)
            _access.info(
                "request",
                method=method,
                route=route,
                # repr: a path may hold line breaks and what moves a terminal, percent-decoded. No
                # more of one that is refused for its length than of others.
                path=repr(scope["path"][:PATH_BYTES])[1:-1],
                status=status,
                ms=round(seconds * 1000, 1),
                bytes_in=received,
                bytes_out=sent,
                client=actor.client,
                **actor.fields(),
            )
            current_actor.reset(before)


class LoopbackGuard:
    """With `auth = none`: refuses whoever is not on this machine, whatever address was bound.

    The host name must be a loopback one too, or a web page could reach us under a name of its own
    that it points here (DNS rebinding). A proxy on this machine would make every client local: one
    that says so in a header, as proxies do by default, is refused. One that adds none, and asks
    under a loopback name, cannot be told from this machine's own programs: never put one in front.
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
        if client is None or is_proxied(scope):
            return False
        return _is_here(client[0], headers_of(scope).get(b"host", b""))


def _is_here(address: str, host: bytes) -> bool:
    if not names_this_machine(host.decode("latin-1")):
        return False
    if address in _LOOPBACK:  # to tell others of 127.0.0.0/8 costs 4 % of a read
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class BodyAndTimeLimits:
    """Right around the routes: HEAD, the limits on bodies and on time, unexpected failures.

    HEAD is answered like GET without the body, on every route (RFC 9110 section 9.3.2). A body
    that is too large is refused unread, also one that does not say its length. An answer that has
    not begun in time is given up, however many waits for database and bucket make up that time:
    to the use case it is as if the process had died there, which it withstands. And an
    unexpected failure becomes a problem that leaks nothing: a handler for Exception in Starlette
    would answer outside the CORS middleware, and the browser would hide the answer from its page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._time_limit = TimeLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        within = scope
        if is_head:
            # Not in place: the server knows by its own that an answer without a body is whole.
            within = {**scope, "method": "GET"}
            # A link that an answer leads to has to be signed for the method that is used there.
            scope["state"]["is_head"] = True
        path: str = scope["path"]
        limit = LONG_BODIES.get(path, BODY_LIMIT)
        if path.startswith("/uppy/") and path.endswith("/complete"):
            limit = _PARTS_BODY
        read, pieces, started = 0, 0, False

        said = headers_of(scope).get(b"content-length", b"0")
        says_too_much = not said.isdigit() or len(said) > 19 or int(said) > limit

        async def limited_receive() -> Message:
            nonlocal read, pieces
            # Only where it would be read: whoever may not send it at all hears that instead.
            if says_too_much:
                raise _TooLarge
            message = await receive()
            body: bytes = message.get("body", b"")
            read += len(body)
            pieces += body.count(b"{") + body.count(b"[") + body.count(b'"') // _QUOTES
            if read > limit or pieces > _PIECES:
                raise _TooLarge
            return message

        async def bodiless_send(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        plain_send = bodiless_send if is_head else send

        async def noted_send(message: Message) -> None:
            nonlocal started
            if not started:
                started = True
                self._time_limit.lift(task)
            await plain_send(message)

        problem: Problem
        task = self._time_limit.begin(ANSWER_SECONDS)
        try:
            _check_head(scope)
            await self.app(within, limited_receive, noted_send)
            return
        except _TooLarge:
            if started:
                raise
            # No "Connection: close": a socket that is closed before the body was taken from it is
            # reset, and the client never sees this answer. The server drops the rest as it comes.
            problem = RequestTooLarge(
                f"This route reads at most {in_bytes(limit)}, with at most {_PIECES} lists and "
                "objects in them; files go to the bucket, not here.",
                limit=limit,
            )
        except (AddressTooLong, HeadersTooLarge) as refusal:
            problem = refusal
        except (Exception, asyncio.CancelledError) as error:
            is_overdue = self._time_limit.end(task)
            if started or (isinstance(error, asyncio.CancelledError) and not is_overdue):
                raise
            request_id = request_id_of(scope)
            if is_overdue:
                problem = AnswerOverdue(
                    f"No answer within {ANSWER_SECONDS} s; try again in a moment.", retry_after=5
                )
                _errors.warning("answer_overdue", seconds=ANSWER_SECONDS)
            else:
                problem = InternalError(f"The service failed. Quote request id {request_id}.")
                _errors.exception("unexpected_failure")
        finally:
            self._time_limit.end(task)
            if "route" in within:
                # Which route was found, for those further out.
                scope["route"] = within["route"]
        await problem_response(problem, scope)(scope, receive, plain_send)


class _TooLarge(BaseException):
    """Passes through the framework's own `except Exception` on its way to BodyAndTimeLimits."""
