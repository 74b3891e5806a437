"""The panel's outermost middleware: security headers, the origin of forms, unexpected errors."""

from collections.abc import Iterable
from functools import _lru_cache_wrapper
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_admin.auth import BaseAuthProvider

from app.core.client_address import names_this_machine
from app.errors import Problem
from app.http.problems import log_cause, request_id_of
from app.loading import load_once
from app.logs.log import get_logger

_errors: Final = get_logger("errors")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Statuses of an answer with a file, or of one that the browser has already.
_FILES: Final = frozenset({200, 206, 304})


def policy(**stores: Iterable[str]) -> str:
    """The Content-Security-Policy of a page, which reads from this service alone.

    `stores` are the origins of stores that this page reads from as well, by what it reads from
    there: `img`, `media`, `frame`, `connect`.
    """
    ours = {"default": "'self'", "script": "'self'", "style": "'self'"}
    ours |= {"img": "'self' data: blob:", "connect": "'self'", "media": "'self'", "frame": "'none'"}
    for what, origins in stores.items():
        before = [one for one in ours[what].split() if one != "'none'"]
        ours[what] = " ".join([*before, *sorted(set(origins))]) or "'none'"
    sources = "; ".join(f"{what}-src {where}" for what, where in ours.items())
    return (
        f"{sources}; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )


class Guard:
    """Sets the scheme that browsers see, refuses other sites' forms, and adds headers.

    TLS ends in front of the service, so the panel assumes `https` under every host name that is
    not loopback. A form must come from that origin, besides having starlette-admin's token. Its
    body is read here: the middlewares inside use task groups, which would turn the exception for a
    body that is too large into an exception group. Nobody's is read who has not signed in, but for
    the form to sign in with. Errors in them, for which no view can render a page, are answered as
    plain text.
    """

    def __init__(
        self, app: ASGIApp, provider: BaseAuthProvider, load: "_lru_cache_wrapper[None]"
    ) -> None:
        self.app = app
        self.provider = provider
        # What any page may need.
        self.load = load
        self.headers = {
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            # With no-referrer browsers would not say where a form comes from either.
            "Referrer-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope)
        host = given.get("host", "")
        is_local = names_this_machine(host)
        forwarded = given.get("x-forwarded-proto", "").strip().lower()
        scheme = "http" if is_local and forwarded != "https" else "https"
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        is_static = path.startswith("/static/")
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                # URLs of static files have a version; nothing else may be cached, nor may a 404.
                is_cacheable = is_static and message["status"] in _FILES
                caching = "public, max-age=3600" if is_cacheable else "no-store"
                headers = MutableHeaders(scope=message)
                headers.update({**self.headers, "Cache-Control": caching})
                headers.setdefault("Content-Security-Policy", policy())
            await send(message)

        # Python's reader of quoted cookies takes time with the square of the backslashes in them.
        # No cookie of the panel has one.
        headers = [
            (name, b";".join(c for c in value.split(b";") if b"\\" not in c))
            if name == b"cookie"
            else (name, value)
            for name, value in scope["headers"]
        ]
        within = {**scope, "scheme": scheme, "route": None, "headers": headers}
        try:
            if not is_static:
                await load_once(self.load)
            if scope["method"] not in _SAFE:
                origin = given.get("origin")
                site = given.get("sec-fetch-site")
                is_ours = site in {None, "same-origin"} and (
                    origin is None or _same(origin, f"{scheme}://{host}")
                )
                if not is_ours:
                    raise HTTPException(403, "This form was not sent from this panel.")
                if path == self.provider.login_path or await self.provider.authenticate(
                    Request(within)
                ):
                    receive = await _read(receive)
            await self.app(within, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            await _error_response(error, scope)(scope, receive, send_with_headers)
        finally:
            # For the access log and the metrics, which are outside.
            template = getattr(within["route"], "path", "/*")
            scope["route"] = SimpleNamespace(path=f"{scope.get('root_path', '')}{template}")


async def _read(receive: Receive) -> Receive:
    """Read the whole body; return a `receive` that gives it at once.

    BodyAndTimeLimits limits its size.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise HTTPException(400, "The form did not arrive whole.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    return replay


def _error_response(error: Exception, scope: Scope) -> Response:
    """The plain-text answer to an error; an unexpected one is logged and not described."""
    if isinstance(error, HTTPException):
        return PlainTextResponse(error.detail, error.status_code, error.headers)
    if isinstance(error, Problem):
        log_cause(error)
        headers = {**error.headers}
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        return PlainTextResponse(f"{error.title}: {error.detail}", error.status, headers)
    _errors.error("unexpected_failure", exc_info=error)
    return PlainTextResponse(
        f"The service failed. Quote request id {request_id_of(scope)} to whoever runs it.", 500
    )


def _same(one: str, other: str) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port
