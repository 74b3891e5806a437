"""What surrounds the panel: its headers, and a second look at who sends its forms."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Sets the scheme that browsers see, refuses other sites' forms, and adds headers.

    TLS ends in front of the service, so the panel takes itself to be at `https` wherever it is
    asked under another name than this machine's own. A form must come from that very origin,
    besides bearing starlette-admin's token.
    """

    def __init__(self, app: ASGIApp, bucket_origins: Sequence[str]) -> None:
        self.app = app
        buckets = "".join(f" {origin}" for origin in bucket_origins)
        self.headers = {
            "Content-Security-Policy": "default-src 'self'; script-src 'self'; style-src 'self'; "
            f"img-src 'self' data: blob:{buckets}; connect-src 'self'{buckets}; "
            "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
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
        is_local = re.sub(r":\d+$", "", host).lower() in _LOOPBACK
        forwarded = given.get("x-forwarded-proto", "").strip().lower()
        scheme = "http" if is_local and forwarded != "https" else "https"
        scope = {**scope, "scheme": scheme}
        # Static files carry their version; nothing else may be kept.
        static = scope["path"].removeprefix(scope.get("root_path", "")).startswith("/static/")
        caching = "public, max-age=3600" if static else "no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**self.headers, "Cache-Control": caching})
            await send(message)

        origin = given.get("origin")
        site = given.get("sec-fetch-site")
        is_ours = site in {None, "same-origin"} and (
            origin is None or _same(origin, f"{scheme}://{host}")
        )
        if scope["method"] not in _SAFE and not is_ours:
            refusal = PlainTextResponse("This form was not sent from this panel.", 403)
            await refusal(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)


def _same(one: str, other: str) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port
