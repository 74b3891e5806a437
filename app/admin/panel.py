"""Mounts the panel at /admin, with all its views."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.base import BaseAdmin

from app.admin.destinations import Destinations
from app.admin.events import Events
from app.admin.files import Files
from app.admin.guard import Guard
from app.admin.keys import Keys
from app.admin.records import Records
from app.admin.requests import Requests
from app.admin.sign_in import StaffSignIn, cookie_name, panel_secret
from app.admin.uploads import Uploads
from app.admin.usage import Usage
from app.admin.view import Index, breakable, load_template
from app.admin.webhooks import Webhooks
from app.core.words import in_bytes, in_time
from app.errors import Problem
from app.http.lean_route import LeanRoute
from app.http.problems import log_cause
from app.settings.model import Settings
from app.store.credentials import CredentialsUnavailable

_HERE = Path(__file__).parent


def install(app: FastAPI, settings: Settings) -> None:
    """Mount the panel at /admin of the service."""
    provider = StaffSignIn(cookie_name(settings))

    @cache
    def load() -> None:
        # Those that are rendered outside of views.
        for name in ("login.html", "error.html"):
            load_template(admin.templates.env, name)

    admin = BaseAdmin(
        title="Claimcheck",
        templates_dir=str(_HERE / "templates"),
        static_dir=str(_HERE / "static"),
        auth_provider=provider,
        secret_key=panel_secret(settings),
        middlewares=[Middleware(Guard, provider=provider, load=load)],
        index_view=Index(),
        # Times are shown in UTC, and marked so.
        timezone_config=None,
    )
    admin.templates.env.filters |= {"breakable": breakable, "bytes": in_bytes, "duration": in_time}

    door = APIRouter(include_in_schema=False, route_class=LeanRoute)

    @door.get("/admin")
    async def slash() -> Response:
        return RedirectResponse("/admin/", 308)

    app.router.routes.extend(door.routes)

    views = (
        *(Files(), Records(), Uploads(), Requests()),
        *(Events(), Webhooks(), Usage(), Keys(), Destinations()),
    )
    for view in views:
        admin.add_view(view)
    admin.mount_to(app)
    # The mounted app has a state of its own; the resources are in the service's.
    admin.app.state.service = app

    async def error_page(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        return admin._template_response(
            request, "error.html", {"exc": problem}, status_code=problem.status
        )

    async def unsigned_page(request: Request, error: Exception) -> Response:
        assert isinstance(error, CredentialsUnavailable)
        log_cause(error)
        return await error_page(request, error.as_problem())

    admin.app.add_exception_handler(Problem, error_page)
    admin.app.add_exception_handler(CredentialsUnavailable, unsigned_page)
