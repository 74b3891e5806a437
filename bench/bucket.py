"""A bucket that answers at once: `uvicorn bench.bucket:create_app --factory`.

It stands in for S3 where the service's own work on a confirm is measured: a real store takes
longer than the service does, and not always equally long. It knows PUT, HEAD and GET of an object,
and HEAD of a bucket; it verifies no signature. Any other call is answered with 501 and S3's
`NotImplemented`, so that a build that needs it fails and is not measured without it.

Whatever is sent, each object's contents are `PICTURE`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

PICTURE: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
_STORED: Final = {
    "etag": f'"{hashlib.md5(PICTURE, usedforsecurity=False).hexdigest()}"',
    "last-modified": "Sun, 22 Nov 2026 19:07:09 GMT",
    "x-amz-version-id": "3sL4kqtJlcpXroDTDmJrmSpXd3dIbrHY",
}
# Beside the signature, which a query may hold as well.
_OF_AN_OBJECT: Final = frozenset({"versionid", "x-id"})
_NOT_IMPLEMENTED: Final = b"<Error><Code>NotImplemented</Code><Message>%s</Message></Error>"

Send = Callable[[dict[str, Any]], Awaitable[None]]


def create_app() -> Callable[..., Awaitable[None]]:
    """The bucket, empty."""
    objects: dict[str, dict[str, str]] = {}

    async def app(scope: dict[str, Any], receive: Callable[..., Any], send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if method == "HEAD" and path.count("/") == 1:
            await _answer(send, 200)
        elif (
            method not in ("PUT", "HEAD", "GET")
            or path.count("/") == 1
            or _names_another_call(scope)
        ):
            await _answer(send, 501, {}, _NOT_IMPLEMENTED % f"{method} {path}".encode())
        elif method == "PUT":
            while (await receive()).get("more_body"):
                pass
            objects[path] = _kept(dict(scope["headers"]))
            await _answer(send, 200, _STORED)
        elif path not in objects:
            await _answer(send, 404)
        else:
            await _answer_object(send, method, objects[path], dict(scope["headers"]))

    return app


def _names_another_call(scope: dict[str, Any]) -> bool:
    """Whether the query asks for more than the object, as `?uploadId=` and `?tagging` do."""
    names = {name.lower() for name, _ in parse_qsl(scope["query_string"].decode(), True)}
    return any(name not in _OF_AN_OBJECT and not name.startswith("x-amz-") for name in names)


def _kept(sent: dict[bytes, bytes]) -> dict[str, str]:
    """The headers of an upload with which S3 answers later."""
    headers = {name.decode(): value.decode() for name, value in sent.items()}
    return {n: v for n, v in headers.items() if n == "content-type" or n.startswith("x-amz-meta-")}


async def _answer_object(
    send: Send, method: str, stored: dict[str, str], asked: dict[bytes, bytes]
) -> None:
    headers = stored | _STORED
    if method == "HEAD":
        await _answer(send, 200, headers | {"content-length": str(len(PICTURE))})
        return
    first_bytes = re.fullmatch(rb"bytes=0-(\d+)", asked.get(b"range", b""))
    if first_bytes is None:
        await _answer(send, 200, headers, PICTURE)
        return
    part = PICTURE[: int(first_bytes[1]) + 1]
    headers["content-range"] = f"bytes 0-{len(part) - 1}/{len(PICTURE)}"
    await _answer(send, 206, headers, part)


async def _answer(
    send: Send, status: int, headers: dict[str, str] | None = None, body: bytes = b""
) -> None:
    named = {"content-length": str(len(body))} | (headers or {})
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
