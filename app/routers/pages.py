"""The page at `/`, that of requests for files at `/r`, the API reference at `/docs`, and the files
that they load from `/static`.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.http.lean_route import LeanRoute
from app.loading import loading
from app.single_flight import SingleFlight

STATIC = Path(__file__).resolve().parent.parent / "static"

# The browser client and the form field, built from `clients/js`, are for other origins too: their
# pages may import them, and their projects install the package.
_SCRIPTS = ("uploader.js", "upload-field.js", "thumbnail.js", "words.js", "md5.js", "md5-worker.js")
_WORDS = sorted(f"words/{path.name}" for path in (STATIC / "words").iterdir())
_SHARED = {
    **dict.fromkeys((*_SCRIPTS, *_WORDS), "text/javascript; charset=utf-8"),
    # By their extension they would be videos.
    **dict.fromkeys(("uploader.d.ts", "problems.d.ts"), "text/plain; charset=utf-8"),
    **dict.fromkeys((path.name for path in STATIC.glob("*.tgz")), "application/gzip"),
}
_TO_PANEL: Final = '        <a href="admin/" data-say="panel">Admin panel</a>\n'
_FOR_ALL = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


def pages(bucket_origins: Sequence[str], *, panel: bool) -> APIRouter:
    """Routes for people with a browser; none of them is in the OpenAPI document.

    `bucket_origins` are the origins (`https://host` or `https://host:port`, no path) that browsers
    upload to and read from, one for each public bucket address: the Content-Security-Policy
    (W3C CSP Level 3) lets the page talk to the service and to them, and to nothing else. The
    reference reads the specification from `openapi.json` beside it. The pages address everything
    relatively, so they also work under a path prefix. Only with `panel` does the first page lead to
    the admin panel.

    Raises `ValueError` for an origin that is not one: a stray character in it would widen the
    policy.
    """
    headers = _headers(bucket_origins)
    files = _HeadedFiles(STATIC, headers)
    first = _first_page(panel)
    tagged = {**headers, "ETag": f'"{hashlib.sha256(first).hexdigest()[:32]}"'}
    sized = {**tagged, "Content-Length": str(len(first))}
    router = APIRouter(include_in_schema=False, route_class=LeanRoute)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        body = b"" if request.method == "HEAD" else first
        response = Response(body, headers=sized, media_type="text/html")
        if files.is_not_modified(response.headers, request.headers):
            return Response(status_code=304, headers=tagged)
        return response

    @router.api_route("/docs", methods=["GET", "HEAD"])
    async def docs(request: Request) -> Response:
        return await files.get_response("docs.html", request.scope)

    @router.api_route("/r", methods=["GET", "HEAD"])
    async def request_for_files(request: Request) -> Response:
        """Where a request's link leads; which request it is stays behind the #, in the browser."""
        return await files.get_response("request.html", request.scope)

    # Made once, in a thread, for it takes as long as some hundred announcements, and anybody may
    # ask. By the path prefix that it is served under, which the server's settings say.
    documents: dict[str, Response] = {}
    making = SingleFlight()

    async def make(app: FastAPI, prefix: str) -> Response:
        document = await asyncio.to_thread(_document, app, prefix)
        return documents.setdefault(prefix, document)

    @router.api_route("/openapi.json", methods=["GET", "HEAD"])
    async def openapi(request: Request) -> Response:
        prefix = request.scope.get("root_path", "").rstrip("/")
        document = documents.get(prefix)
        if document is None:
            made = making.share(prefix, partial(make, request.app, prefix))
            document = await asyncio.shield(made)
        if files.is_not_modified(document.headers, request.headers):
            return Response(status_code=304, headers=_tags(document))
        return document

    router.mount("/static", files)
    return router


def _document(app: FastAPI, prefix: str) -> Response:
    # It stays, with all that FastAPI makes it of.
    with loading():
        description = app.openapi()
        servers = [*description.get("servers", ())]
        if prefix and all(server["url"] != prefix for server in servers):
            description = {**description, "servers": [{"url": prefix}, *servers]}
        response = JSONResponse(description, headers={"Cache-Control": "no-cache"})
    response.headers["ETag"] = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    return response


def _tags(response: Response) -> dict[str, str]:
    return {name: response.headers[name] for name in ("ETag", "Cache-Control")}


def _first_page(panel: bool) -> bytes:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    before, link, after = page.partition(_TO_PANEL)
    assert link
    return (before + link * panel + after).encode()


def _headers(bucket_origins: Sequence[str]) -> dict[str, str]:
    for origin in bucket_origins:
        if not re.fullmatch(r"https?://[\w.:\[\]-]+", origin, re.ASCII):
            raise ValueError(f"a bucket origin is scheme://host[:port] alone, not {origin!r}")
    buckets = "".join(f" {origin}" for origin in sorted(set(bucket_origins)))
    policy = (
        "default-src 'self'; script-src 'self'; style-src 'self'; "
        f"img-src 'self' data: blob:{buckets}; connect-src 'self'{buckets}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        # Names carry no version, so browsers ask each time; the ETag makes the answer a short 304.
        "Cache-Control": "no-cache",
    }


class _HeadedFiles(StaticFiles):
    """Static files with the same headers on each answer, 304 included."""

    def __init__(self, directory: Path, headers: Mapping[str, str]) -> None:
        super().__init__(directory=directory)
        self._headers = headers

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(self._headers)
        name = Path(full_path).relative_to(STATIC).as_posix()
        if (shared := _SHARED.get(name)) is not None:
            response.headers.update({**_FOR_ALL, "Content-Type": shared})
        if name == "md5-worker.js":
            # A worker has the policy of its script. This one runs WebAssembly; no page does.
            policy = self._headers["Content-Security-Policy"]
            policy = policy.replace("script-src", "script-src 'wasm-unsafe-eval'")
            response.headers["Content-Security-Policy"] = policy
        return response
