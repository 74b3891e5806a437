"""The panel's page of destinations: rules, lifetimes, seals, and health."""

from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from app.doctor.findings import Finding, Level, Report
from app.doctor.report_cache import ReportCache
from app.errors import ExaminationUnderWay
from app.settings.model import Settings
from tests.admin.panel import Panel
from tests.admin.views.steps import signed_in

NOW = datetime(2026, 3, 9, 14, 5, tzinfo=UTC)


async def test_destinations_are_shown(panel: Panel, settings: Settings, database_url: str) -> None:
    to = settings.destinations["files"]
    db = await asyncpg.connect(database_url)
    await db.execute(
        "INSERT INTO proven_seals (store, bucket, seal, holds, tried_at) "
        "VALUES ($1, $2, 'version', true, now()), ($1, $2, 'multipart', false, now())",
        *(to.store, to.bucket),
    )
    await db.close()
    page = await panel.page("/destinations")
    assert "images Takes image/*" in page
    assert "videos/" in page
    assert to.bucket in page
    assert "Uploads last 1 hour, in parts 7 days" in page
    assert "Links last 1 hour; the same link for 15 minutes" in page
    assert "Sealed by links of one version" in page
    assert "multipart," not in page
    assert "Not examined since the service was started" in page


async def test_health_is_the_doctors(
    panel: Panel,
    client: httpx.AsyncClient,
    browsers: Callable[[], Panel],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = Report(
        (
            Finding("cors", "images", Level.FAILURE, "No <page> may read.", "Run bucket apply."),
            Finding("forms", "files", Level.OK, "Forms work."),
        )
    )
    made = []

    async def get(cache: ReportCache) -> tuple[Report, datetime]:
        made.append(cache)
        if len(made) == 1:
            raise ExaminationUnderWay("The stores are still being examined.", retry_after=5)
        cache._newest = report, NOW
        return report, NOW

    monkeypatch.setattr(ReportCache, "get", get)
    assert "Look again in a moment." in await panel.act("/destinations/examine")
    page = await panel.act("/destinations/examine")
    assert "Examined 9 Mar 2026, 14:05" in page
    assert "images Has a fault Fault: No <page> may read. Run bucket apply." in page
    assert "files Healthy Takes" in page
    # Looking examines nothing, and what was found is for admins alone.
    assert "Has a fault" in await panel.page("/destinations")
    assert len(made) == 2
    reader = await signed_in(browsers(), settings, "reader", tenant="acme", scopes=["files:read"])
    page = await reader.page("/destinations")
    assert "Has a fault" not in page
    assert "Examine" not in page
    assert (await reader.post("/destinations/examine")).status_code == 403
    assert len(made) == 2
