"""The page of uses, limits of one's own, and each day's uploads, without a browser."""

import re
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import httpx
import pytest

from app.models.daily import DailyCount
from app.settings.model import Settings
from tests.admin.panel import Panel, member, said
from tests.admin.views.steps import RECORDS, signed_in
from tests.support.service import prepared
from tests.support.steps import stored

BODY = {"destination": "images", "filename": "a.png", "size": 9}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    ours = {
        "CLAIMCHECK_AUTH": "keys",
        "CLAIMCHECK_ADMIN": "true",
        "CLAIMCHECK_QUOTA__OWNER__FILES": "3",
        "CLAIMCHECK_QUOTA__TENANT__BYTES": "5000",
    }
    settings = await prepared(environ | ours | RECORDS)
    await member(settings, tenant="acme")
    return settings


async def test_uses_are_shown_and_limits_set(
    panel: Panel, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    await stored(client, web)
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 201
    page = await panel.page("/usage?owner=shop")
    assert "shop" in page
    assert re.search(r"1, of 3 1, of no limit", page), page
    assert "The tenant" in page
    assert "The limits are set." in await panel.act("/usage", {"owner": "shop", "files": "2"})
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 403
    assert "shop settings 2 settings Take away" in await panel.page("/usage")
    # Nothing of another tenant is seen, or changed.
    taken = await panel.act("/usage/clear?owner=shop")
    assert "The limits of the settings hold." in taken
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 201


@pytest.mark.parametrize(
    "wrong", [{"files": "many"}, {"bytes": "-1"}, {"files": str(2**53 + 1)}, {"files": " "}]
)
async def test_a_wrong_limit_is_refused(panel: Panel, wrong: dict[str, str]) -> None:
    answer = await panel.post("/usage", {"owner": "shop"} | wrong)
    assert answer.status_code == 422
    is_empty = wrong == {"files": " "}
    says = "Fill in a limit" if is_empty else "A limit is a whole number"
    assert says in answer.text
    assert "Take away" not in await panel.page("/usage")


async def test_limits_take_their_scope(
    panel: Panel, browsers: Callable[[], Panel], settings: Settings
) -> None:
    reader = await signed_in(
        browsers(), settings, "reader@example.com", tenant="acme", scopes=["files:read"]
    )
    assert "Set the limits" not in await reader.page("/usage")
    assert (await reader.post("/usage", {"owner": "shop", "files": "1"})).status_code == 403
    assert (await reader.post("/usage/clear?owner=shop")).status_code == 403
    other = await signed_in(
        browsers(), settings, "keys@example.com", tenant="acme", scopes=["admin"]
    )
    assert (await other.get("/usage")).status_code == 403


async def test_each_day_is_plotted(
    panel: Panel, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    assert "No uploads in the last 30 days" in await panel.page("/usage")
    await stored(client, web)
    for body in ({"filename": "a.exe"}, {"content_type": "text/html"}, {"destination": "<b>none"}):
        assert (await client.post("/v1/uploads", json=BODY | body)).status_code == 422
    res = client._transport.app.state.resources  # type: ignore[attr-defined]
    await res.daily.flush()
    found = {DailyCount._make(row)[1:] for row in await db.fetch("SELECT * FROM daily_counts")}
    # Of a destination that is none nothing is kept.
    refused = ("acme", "images", "content-type-not-allowed", 2, 0)
    assert found == {refused, ("acme", "files", "confirmed", 1, 5)}
    # Of days before; of long ago, and another tenant's.
    await db.execute("UPDATE daily_counts SET day = day - 3 WHERE outcome != 'confirmed'")
    await db.execute(
        "INSERT INTO daily_counts VALUES (current_date - 400, 'acme', 'old', 'confirmed', 1, 1), "
        "(current_date, 'other', 'theirs', 'confirmed', 1, 1)"
    )
    page = await panel.get("/usage")
    assert "theirs" not in page.text
    assert "old:" not in page.text
    assert page.text.count("<g><title>") == 2 * 30
    before = (res.clock().date() - timedelta(days=3)).isoformat()
    assert f"{before}: 0 files, 0 bytes; refused: 2 content-type-not-allowed" in page.text
    assert "1 file in 30 days, 5 bytes." in said(page)
    # In words, for those who cannot point at a bar.
    assert re.search(r"Day Files Size Refused \d+ \w+ \d{4} 1 5 bytes 0", said(page)), said(page)
    assert re.search(r"\d+ \w+ \d{4} 0 0 bytes 2", said(page)), said(page)
    # The tallest of each: a file above the line, refusals below it.
    assert re.search(r'class="files" x="291" y="0.0" width="8" height="60.0"', page.text)
    assert re.search(r'class="refused" x="261" y="62" width="8" height="60.0"', page.text)
