"""What Prometheus scrapes; open to whom the settings name, and to nobody else."""

import ipaddress
import secrets

from fastapi import APIRouter, Request, Response

from app import metrics
from app.errors import RouteNotFound
from app.resources import Resources
from app.routers.middleware import is_proxied
from app.routers.permissions import Res
from app.settings import Settings
from app.signer import CredentialsUnavailable

# Not part of the API that clients read about.
router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def scrape(request: Request, res: Res) -> Response:
    """The text exposition format. To others than scrapers it is as if there were no such route."""
    if not may_scrape(res.settings, request):
        raise RouteNotFound((RouteNotFound.__doc__ or "").strip())
    report = metrics.report(await _credential_life(res))
    return Response(report, media_type=metrics.CONTENT_TYPE)


def may_scrape(settings: Settings, request: Request) -> bool:
    """Whether the settings let whoever sent this read the figures."""
    if settings.metrics_token is not None:
        wanted = f"Bearer {settings.metrics_token.get_secret_value()}"
        given = request.headers.get("authorization", "")
        if secrets.compare_digest(given.encode(), wanted.encode()):
            return True
    # Behind a router everybody has the router's address.
    if request.client is None or is_proxied(request.scope):
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    return any(address in network for network in settings.metrics_networks)


async def _credential_life(res: Resources) -> float | None:
    try:
        ends = (await res.signer.credentials()).expires_at
    except CredentialsUnavailable:
        return 0.0
    return None if ends is None else (ends - res.clock()).total_seconds()
