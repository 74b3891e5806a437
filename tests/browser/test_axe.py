"""Accessibility: every state of the pages at `/` and `/r`, and `/docs`, as axe sees them."""

from pathlib import Path

import httpx
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.support.browser.axe import Inspector
from tests.support.browser.chromium import Watch
from tests.support.browser.packages import needs_npm
from tests.support.browser.steps import listed, payload, slow_down, under_way

# Of Swagger UI's own making: white on its light colours, headings h1 and then h3, links in buttons,
# what is outside of its <main>, a list of servers without a label, and links 18 pixels high.
SWAGGER = (
    "color-contrast",
    "heading-order",
    "nested-interactive",
    "region",
    "select-name",
    "target-size",
)


@needs_npm
async def test_the_page_in_each_state(
    page: Page, context: BrowserContext, packages: Path, picture: bytes, watch: Watch
) -> None:
    axe = Inspector.of(packages)
    choose = page.get_by_label("Choose files")
    await page.get_by_label("Upload to").select_option("images")
    await choose.set_input_files(payload("seen.png", picture))
    await expect(listed(page, "seen.png").first).to_be_visible()
    await axe.look(page)

    # One on its way, one paused, two refused; all together, and without a connection.
    await choose.set_input_files(payload("no.txt", b"x", "text/plain"))
    await choose.set_input_files(payload("nor.txt", b"x", "text/plain"))
    await expect(under_way(page, "no.txt").get_by_role("alert")).to_be_visible()
    await slow_down(context, page)
    await page.get_by_label("Upload to").select_option("files")
    binary = "application/octet-stream"
    names = ("going.bin", "waits.bin")
    await choose.set_input_files([payload(name, bytes(3_000_000), binary) for name in names])
    await page.get_by_role("button", name="Pause waits.bin").click()
    await expect(under_way(page, "waits.bin")).to_contain_text("Paused")
    await axe.look(page)
    await context.set_offline(True)
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await listed(page, "seen.png").first.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await axe.look(page)
    await context.set_offline(False)
    watch.allow("ERR_INTERNET_DISCONNECTED")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Cancel all").click()

    # Nothing yet, and a token asked for.
    async def refuse(route: Route) -> None:
        problem = {"title": "Not signed in", "detail": "Send a token.", "status": 401}
        await route.fulfill(status=401, content_type="application/problem+json", json=problem)

    async def nothing(route: Route) -> None:
        await route.fulfill(json={"items": [], "next_cursor": None})

    await page.route("**/v1/files?*", nothing)
    await page.reload()
    await expect(page.get_by_text("Drop your first file above")).to_be_visible()
    await axe.look(page)
    await page.route("**/v1/destinations", refuse)
    await page.reload()
    await expect(page.get_by_label("Access token")).to_be_visible()
    await axe.look(page)
    watch.expect("401")
    assert axe.found == []


@needs_npm
async def test_the_page_of_a_request_in_each_state(
    context: BrowserContext,
    service: str,
    api: httpx.AsyncClient,
    packages: Path,
    picture: bytes,
    watch: Watch,
) -> None:
    axe = Inspector.of(packages)
    wanted = {"destination": "images", "note": "The pictures, please.", "max_files": 3}
    made = (await api.post("/v1/requests", json=wanted)).raise_for_status().json()
    page = await context.new_page()
    await page.goto(service + made["link"])
    await expect(page.locator("#left")).to_contain_text("3 more files")
    await axe.look(page)

    choose = page.get_by_label("Choose files")
    await choose.set_input_files([payload("seen.png", picture), payload("no.txt", b"x", "a/b")])
    await expect(page.locator("#sent > li")).to_contain_text("arrived")
    await page.get_by_label("e-mail").fill("bob")
    await page.get_by_label("Your name").fill("Bob")
    await expect(page.get_by_text("This is not an e-mail address.")).to_be_visible()
    await slow_down(context, page)
    await choose.set_input_files(payload("going.png", picture + bytes(3_000_000)))
    await expect(under_way(page, "going.png")).to_be_visible()
    await axe.look(page)
    await page.get_by_role("button", name="Cancel going.png").click()
    await expect(page.get_by_role("status")).to_contain_text("is cancelled")

    # From right to left, too.
    arabic = "Object.defineProperty(navigator, 'languages', { get: () => ['ar'] })"
    await page.add_init_script(arabic)
    await page.reload()
    await expect(page.locator("html[dir=rtl]")).to_be_attached()
    await expect(page.locator("#sent > li").first).to_be_visible()
    await axe.look(page)
    await api.delete(f"/v1/requests/{made['id']}")
    await page.reload()
    await expect(page.get_by_role("alert").first).to_be_visible()
    await axe.look(page)
    watch.expect("401")
    watch.allow("401")
    assert axe.found == []


@needs_npm
async def test_the_reference(context: BrowserContext, service: str, packages: Path) -> None:
    axe = Inspector.of(packages)
    page = await context.new_page()
    await page.goto(f"{service}/docs")
    await expect(page.locator(".opblock").first).to_be_visible()
    await axe.look(page, passing_over=SWAGGER)
    assert axe.found == []
