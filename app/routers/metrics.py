"""The figures for Prometheus, open to the scrapers that the settings name."""

from fastapi import APIRouter, Request, Response

from app.core.scans import Scan
from app.db import sweep as db_sweep
from app.errors import DatabaseUnavailable, RouteNotFound
from app.http.lean_route import LeanRoute
from app.http.machines import comes_from, is_token
from app.http.permissions import Res
from app.logs import metrics
from app.runtime.resources import Resources
from app.scans.verdicts import TOTAL_PREFIX
from app.settings.model import Settings
from app.store.credentials import CredentialsUnavailable
from app.upkeep.sweep import REPLAYS, RUN

# Not part of the API that clients read about.
router = APIRouter(include_in_schema=False, route_class=LeanRoute)


@router.get("/metrics")
async def scrape(request: Request, res: Res) -> Response:
    """The text exposition format. To others than scrapers it is as if there were no such route."""
    if not may_scrape(res.settings, request):
        raise RouteNotFound((RouteNotFound.__doc__ or "").strip())
    swept, scanned, last = await _totals(res)
    report = metrics.report(await _credential_life(res), swept, scanned, last)
    return Response(report, media_type=metrics.CONTENT_TYPE)


def may_scrape(settings: Settings, request: Request) -> bool:
    """Whether the settings let whoever sent this read the figures."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return (scheme == "Bearer" and is_token(settings.metrics_token, token)) or comes_from(
        request, settings.metrics_networks
    )


async def _totals(res: Resources) -> tuple[dict[str, int], dict[str, int], float | None]:
    """The totals of sweeps by outcome, those of scans by verdict, and when the last sweep ended;
    empty while the database is away.
    """
    try:
        async with res.db.connection() as db:
            totals = {total.outcome: total for total in await db_sweep.totals(db)}
    except DatabaseUnavailable:
        return {}, {}, None
    run = totals.pop(RUN, None)
    totals.pop(REPLAYS, None)
    scanned = {
        verdict.value: totals.pop(f"{TOTAL_PREFIX}{verdict}").total
        for verdict in Scan
        if f"{TOTAL_PREFIX}{verdict}" in totals
    }
    swept = {outcome: total.total for outcome, total in totals.items()}
    return swept, scanned, None if run is None else run.changed_at.timestamp()


async def _credential_life(res: Resources) -> float | None:
    try:
        ends = (await res.credentials.current()).expires_at
    except CredentialsUnavailable:
        return 0.0
    return None if ends is None else (ends - res.clock()).total_seconds()
