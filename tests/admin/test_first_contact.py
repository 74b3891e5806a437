"""`make run` prints a name and a password with which the panel opens, and takes files."""

import re
from pathlib import Path

import httpx
from playwright.async_api import Browser, expect

from tests.admin.panel import Panel
from tests.admin.steps import choose, png, uploaded
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.dev import started

GROUND = "one => getComputedStyle(one).backgroundColor.match(/\\d+/g).map(Number)"
ACCENT = "one => getComputedStyle(one).getPropertyValue('--accent')"
ACCENT_OF_TOKENS = "getComputedStyle(document.body).getPropertyValue('--accent')"


async def test_the_panel_opens_with_what_is_printed_and_may_send_to_the_bucket(
    tmp_path: Path, browser: Browser, watch: Watch, picture: bytes
) -> None:
    # As docs/upload-field.md starts it, for a page of another origin.
    keys = {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_CORS_ORIGINS": "http://localhost:5173"}
    with started(tmp_path, keys) as address:
        printed = (tmp_path / "log").read_text()
        assert f"The panel  {address}/admin/" in printed
        found = re.search(r"name (\S+), password (\S+)", printed)
        assert found
        name, password = found.groups()
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
            panel = Panel(client)
            await panel.sign_in(name, password)
            assert "No files yet" in await panel.page()
            # There are records to try it with.
            assert "New product" in await panel.page("/records")
        async with watched(browser, watch) as context:
            for host in ("127.0.0.1", "localhost"):
                page = await context.new_page()
                await page.goto(f"{address.replace('127.0.0.1', host)}/admin/")
                await page.get_by_label("Name or e-mail address").fill(name)
                await page.get_by_label("Password").fill(password)
                await page.get_by_role("button", name="Sign in").click()
                await page.get_by_role("link", name="Records").click()
                await page.get_by_role("link", name="New product").click()
                await page.get_by_label("Id", exact=True).fill("lamp")
                await page.get_by_label("Owner").fill("shop")
                field = page.locator("claimcheck-upload[name=field-picture]")
                await choose(field, png("a.png", picture))
                await uploaded(field)
                # The panel and the field in it follow the colour scheme.
                for is_light in (False, True):
                    await page.emulate_media(color_scheme="light" if is_light else "dark")
                    for one in (page.locator("body"), page.locator(".card").first):
                        ground = await one.evaluate(GROUND)
                        assert (min(ground) > 200) is is_light
                        assert (max(ground) < 60) is not is_light
                    accent = await field.evaluate(ACCENT)
                    assert accent == await page.evaluate(ACCENT_OF_TOKENS)
            # Times are those of where the reader is, with how long ago.
            await page.goto(f"{address}/admin/files")
            await expect(page.locator("time .ago").first).to_have_text(re.compile("now|ago"))
            await expect(page.get_by_text("Times are those of")).to_be_visible()
        assert watch.complaints == []
