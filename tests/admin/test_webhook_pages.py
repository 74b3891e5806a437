"""Webhooks and events in the panel, in Chromium."""

import re
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
from playwright.async_api import Page, expect

from app.db import deliveries, events
from tests.admin.panel import NAME, PASSWORD
from tests.admin.shop import Shop
from tests.support.browser.axe import Inspector
from tests.support.browser.chromium import Watch
from tests.support.browser.packages import needs_npm
from tests.support.steps import stored

URL = "https://hooks.example.com/in"
# As receivers say it that are behind something else.
LONG = "It answered 503: " + "upstream connect error or disconnect/reset before headers " * 5


async def sequenced(db: asyncpg.Connection) -> None:
    """Give events their places, and webhooks their deliveries, as a worker does first."""
    async with db.transaction():
        ids = await events.give_positions(db)
        assert ids
        await deliveries.fan_out(db, ids, datetime.now(UTC))


@needs_npm
async def test_webhooks_and_events(
    page: Page, shop: Shop, watch: Watch, packages: Path, web: httpx.AsyncClient
) -> None:
    axe = Inspector.of(packages)
    status = page.get_by_role("status")
    db = await asyncpg.connect(shop.service_database)
    await db.execute("DELETE FROM webhooks")  # of a try before
    await page.goto(f"{shop.service}/admin/webhooks")
    await page.get_by_label("Name or e-mail address").fill(NAME)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("No webhooks yet")).to_be_visible()
    await axe.look(page)

    # Made, where it may go; its secret is seen once.
    await page.get_by_label("URL").fill("http://hooks.example.com/in")
    await page.get_by_label("Description").fill("the shop's back end")
    await page.get_by_label("file.confirmed").check()
    await page.get_by_role("button", name="Make the webhook").click()
    await expect(page.get_by_role("alert")).to_contain_text("Webhooks go to https alone")
    watch.expect("422")
    await expect(page.get_by_label("file.confirmed")).to_be_checked()
    await axe.look(page)
    await page.get_by_label("URL").fill(URL)
    await page.get_by_role("button", name="Make the webhook").click()
    await expect(page.locator("#secret")).to_contain_text("whsec_")
    await expect(page.get_by_text("None", exact=True)).to_be_visible()
    await axe.look(page)

    # Tried out; a file is confirmed; neither arrives.
    await page.get_by_role("button", name="Send a test event").click()
    await expect(status).to_contain_text("A test event is on its way.")
    await expect(page.locator("#secret")).to_have_count(0)
    shop.api.headers["x-request-id"] = "order-4711"
    file = await stored(
        shop.api,
        web,
        b"hello",
        "A long name of a file, as people have them.txt",
        destination="papers",
    )
    del shop.api.headers["x-request-id"]
    await sequenced(db)
    await db.execute(
        "UPDATE deliveries SET state = 'dead', failures = 10, tried_at = due_at, status = 503, "
        "error = $1, took_ms = 1234 WHERE event = (SELECT min(event) FROM deliveries)",
        LONG,
    )
    await db.execute(
        "UPDATE webhooks SET failing_since = created_at, previous_until = now() + '1 day'"
    )
    await page.reload()
    await expect(page.get_by_role("row").filter(has_text=file["filename"])).to_contain_text("Try")
    await axe.look(page)

    # Sent again, one and all.
    await page.get_by_role("link", name="Dead", exact=True).click()
    await expect(page.get_by_role("row").filter(has_text=file["filename"])).to_have_count(0)
    await axe.look(page)
    await page.get_by_role("button", name=re.compile("^Send again: webhook.test")).click()
    await expect(status).to_contain_text("The event is on its way again.")
    await expect(page.get_by_text("None", exact=True)).to_be_visible()
    await db.execute("UPDATE deliveries SET state = 'dead', failures = 10")
    await page.reload()
    await page.get_by_label("Of what happened since (UTC)").fill("2026-01-02T03:04")
    await page.get_by_role("button", name="Send all again").click()
    await expect(page.get_by_text("Of what happened since 2026-01-02, 03:04 UTC.")).to_be_visible()
    await axe.look(page)
    await page.get_by_role("button", name="Send them again").click()
    await expect(status).to_contain_text("2 events are on the way again.")

    # Changed, given a new secret, switched off and on.
    await page.get_by_role("link", name="Change…").click()
    await expect(page.get_by_label("file.confirmed")).to_be_checked()
    await axe.look(page)
    await page.get_by_label("file.removed").check()
    await page.get_by_role("button", name="Save").click()
    await expect(status).to_contain_text("The webhook is changed.")
    await page.get_by_role("link", name="New secret…").click()
    await axe.look(page)
    await page.get_by_role("button", name="Make a new secret").click()
    await expect(page.locator("#secret")).to_contain_text("whsec_")
    await page.get_by_role("link", name="Switch off…").click()
    await axe.look(page)
    await page.get_by_role("button", name="Switch it off").click()
    await expect(status).to_contain_text("The webhook is off.")
    await axe.look(page)
    await page.get_by_role("button", name="Switch on").click()
    await expect(status).to_contain_text("The webhook is on.")
    await page.get_by_role("link", name="Webhooks").first.click()
    await axe.look(page)

    # A file's events, and all that its request has caused.
    await page.goto(f"{shop.service}/admin/files/{file['id']}")
    await axe.look(page)
    await page.get_by_role("link", name="order-4711").click()
    await expect(page.get_by_role("searchbox")).to_have_value("order-4711")
    await expect(page.get_by_role("row", name="file.confirmed")).to_have_count(1)
    await axe.look(page)
    await page.get_by_role("link", name="Show all").click()
    await expect(page.get_by_role("row", name="webhook.test")).to_have_count(1)
    await page.get_by_role("searchbox").fill("nosuch")
    await page.get_by_role("searchbox").press("Enter")
    await expect(page.get_by_text("No event of this id")).to_be_visible()
    await axe.look(page)

    await page.get_by_role("link", name="Webhooks").click()
    await page.get_by_role("link", name=URL).click()
    await page.get_by_role("link", name="Delete…").click()
    await page.get_by_role("button", name="Delete the webhook").click()
    await expect(status).to_contain_text("The webhook is deleted.")
    # The bucket lets no script of the panel's origin read the text of the file's page.
    watch.allow("Access to fetch")
    watch.allow("net::ERR_FAILED")
    await db.close()
    assert axe.found == []
