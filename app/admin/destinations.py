"""The page of destinations: how they are configured, and how the doctor found them."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from app.admin.sign_in import resources_of
from app.admin.view import View, caller_of, may
from app.core.principal import Scope
from app.doctor.findings import Finding, Level
from app.doctor.report_cache import ReportCache
from app.errors import Problem
from app.files.seals import proven_in
from app.http.permissions import require
from app.models.files import Seal


class Destinations(View):
    """The destinations, read-only because they are settings."""

    menu_label = "Destinations"
    icon = "fa-solid fa-box-archive"
    path = "/destinations"

    @route("", name="destinations")
    async def index(self, request: Request) -> Response:
        res = resources_of(request)
        shown = list(res.settings.destinations.values())
        # What the doctor finds is for admins, as GET /v1/capabilities is.
        examines = may(request, Scope.ADMIN)
        newest = _report(request).newest if examines else None
        findings = newest[0].findings if newest else ()
        return await self.page(
            request,
            "destinations.html",
            destinations=shown,
            seals={
                to.name: sorted({*Seal} & await proven_in(res, to.store, to.bucket)) for to in shown
            },
            examines=examines,
            examined_at=newest and newest[1],
            faults={to.name: _faults(findings, {to.name, to.bucket}) for to in shown},
            of_service=_faults(findings, {"service"}),
        )

    @route("/examine", methods=["POST"], name="destinations-examine")
    async def examine(self, request: Request) -> Response:
        """Have the doctor examine the stores, unless it has within ten minutes."""
        require(caller_of(request), Scope.ADMIN)
        try:
            await _report(request).get()
        except Problem as problem:
            flash(request, f"{problem.detail} Look again in a moment.", "info")
        return RedirectResponse(self.to(request), 303)


def _report(request: Request) -> ReportCache:
    cache: ReportCache = request.app.state.service.state.report
    return cache


def _faults(findings: tuple[Finding, ...], subjects: set[str]) -> list[Finding]:
    return [one for one in findings if one.subject in subjects and one.level is not Level.OK]
