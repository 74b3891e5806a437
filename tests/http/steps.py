"""All routes of the application, and those that are open to everybody."""

from collections.abc import Iterator
from typing import Any

from fastapi.routing import iter_route_contexts

from app.main import create_app
from app.settings.model import Settings

# Health, the pages with their files, and the description of the API.
PUBLIC = {
    "/livez",
    "/readyz",
    "/",
    "/docs",
    "/r",
    "/openapi.json",
    "/static/page.js",
}
# Closed unless the settings open them, to machines and not to callers: tests/logs/test_metrics.py,
# tests/routers/test_bucket_events.py.
MACHINES = {"/metrics", "/v1/bucket-events"}


def routes(settings: Settings) -> Iterator[tuple[str, str, Any]]:
    """Every method and path of the application, hidden ones too, and the route."""
    for context in iter_route_contexts(create_app(settings).router.routes):
        route = context.route
        path = context.path
        if path == "/static":
            path = "/static/page.js"
        for method in getattr(route, "methods", None) or ["GET", "HEAD", "POST", "DELETE"]:
            yield method, path, route
