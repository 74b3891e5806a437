"""Assembles the application: routers, middleware, problems, and the resources they use."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

import anyio
from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.db.lists import make_usual_statements
from app.db.statements import write_all
from app.doctor.findings import Report
from app.doctor.report_cache import ReportCache
from app.errors import ConfigurationError
from app.http import openapi, problems
from app.http.connections import limit_connections
from app.http.lean_route import LeanRoute
from app.http.middleware import BodyAndTimeLimits, LoopbackGuard, RequestContext
from app.http.routes_by_head import RoutesByHead
from app.loading import load_once
from app.logs.metrics import measured
from app.routers import (
    api_keys,
    bucket_events,
    capabilities,
    events,
    files,
    links,
    metrics,
    parts,
    records,
    requests,
    scans,
    service,
    upload_sessions,
    upload_url,
    uploads,
    uppy,
    usage,
    webhooks,
)
from app.routers.pages import pages
from app.runtime.process import collecting_garbage, configure_logging, freeze_garbage_collector
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings, load_settings, require_deployed
from app.store.signer import utc_now

DESCRIPTION = """\
Uploads of any size, straight from the browser into a private bucket.

1. `POST /v1/uploads` announces a file and answers with signed instructions.
2. The browser sends the bytes to the bucket as they say.
3. `POST /v1/uploads/{id}/confirm` asks the bucket and answers with the file and a link to read it.

Every failure is `application/problem+json` (RFC 9457).
"""

# Seconds that a process waits at its start for what was there before limits to be counted.
_COUNT_SECONDS: Final = 3.0
# In the order in which the OpenAPI document lists them.
_DOORS = (
    *(uploads, parts, upload_url, files, links, records, uppy, events, webhooks),
    *(scans, requests, upload_sessions, usage, api_keys),
    *(service, metrics, capabilities, bucket_events),
)


@cache
def _load_doctor() -> Callable[..., Awaitable[Report]]:
    # Loaded late, by who asks for `/v1/capabilities`.
    from app.doctor.examine import examine

    return examine


async def _examine(settings: Settings, clock: Callable[[], datetime]) -> Report:
    examine = await load_once(_load_doctor)
    # Whoever asks would wait too long for a store that tells nothing.
    return await examine(settings, clock=clock, at_length=False)


async def _see_usage_counted(res: Resources) -> None:
    """Limits hold from the first request on where there is little to count; else that goes on."""
    # Loaded late, by who keeps limits, but before the first request.
    from app.usage.levels import try_to_keep_levels

    await asyncio.wait({res.background.start(try_to_keep_levels(res))}, timeout=_COUNT_SECONDS)


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.amend(super().openapi())
        return self.openapi_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # Here, where it is still the server's own `receive`.
            limit_connections(receive)
        await super().__call__(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Without FastAPI's telemetry, limit of bodies and handler of unexpected failures: there is
        none, and BodyAndTimeLimits does the rest.
        """
        stack: ASGIApp = RoutesByHead(self.router, otherwise=AsyncExitStackMiddleware(self.router))
        stack = ExceptionMiddleware(stack, handlers=self.exception_handlers)
        for middleware, args, kwargs in reversed(self.user_middleware):
            stack = middleware(stack, *args, **kwargs)
        return stack

    def prepare(self) -> None:
        """Make now what else is made for the first requests: statements, and what parses them.

        For processes that are forked to share it. It takes a fifth of a second, and is no I/O.
        """
        self.middleware_stack = self.build_middleware_stack()
        for route in self.routes:
            if isinstance(route, LeanRoute):
                route.prepare()
        make_usual_statements()
        write_all()


def create_app(
    settings: Settings | None = None, *, clock: Callable[[], datetime] = utc_now
) -> _Application:
    """The application; with no settings given, those of the environment.

    Without settings it sets the process up as well: `uvicorn app.main:create_app --factory` runs
    it where `claimcheck serve` is not used.
    """
    if settings is None:
        configure_logging()
        try:
            settings = load_settings(check=require_deployed)
        except ConfigurationError as error:
            sys.exit(error.refusal)
        app = create_app(settings, clock=clock)
        freeze_garbage_collector()
        return app

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_resources(settings, clock=clock) as resources,
            measured(),
            collecting_garbage(),
        ):
            app.state.resources = resources
            report = ReportCache(partial(_examine, settings, clock), clock)
            app.state.report = report
            if settings.admin:
                # Loads what Starlette's middleware needs of anyio, 10 ms, before it is asked.
                anyio.get_current_task()
            if settings.quota:
                await _see_usage_counted(resources)
            try:
                yield
            finally:
                await report.close()

    app = _Application(
        title="Claimcheck",
        version="1",
        summary="Direct uploads to a private bucket, and links to read them.",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        openapi_url=None,  # app.routers.pages has it
        redoc_url=None,
        redirect_slashes=False,
        servers=openapi.SERVERS,
        openapi_tags=openapi.TAGS,
        # It is not set up, and looking for a set-up costs every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    problems.install(app)
    origins = {d.address.origin for d in settings.destinations.values()}
    doors = [*(door.router for door in _DOORS), pages(sorted(origins), panel=settings.admin)]
    for router in doors:
        # As they are: FastAPI looks twice for each that is included, and makes its routes anew.
        app.router.routes.extend(router.routes)
    if settings.admin:
        # An extra, which may be left out.
        from app.admin.panel import install

        install(app, settings)

    # The last one added is the outermost.
    app.add_middleware(BodyAndTimeLimits)
    if settings.open_here:
        app.add_middleware(LoopbackGuard)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                *("Authorization", "Content-Type", "If-Match", "If-None-Match", "X-Request-ID"),
                "Idempotency-Key",
            ],
            expose_headers=[
                *("ETag", "Location", "Link", "Retry-After", "X-Request-ID"),
                *("RateLimit", "RateLimit-Policy"),
            ],
            max_age=600,
        )
    app.add_middleware(RequestContext, trusted_proxies=settings.trusted_proxies)
    return app
