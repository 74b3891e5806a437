"""The hooks for React 19, in Chromium and on a server."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.support.browser.chromium import Watch
from tests.support.browser.packages import needs_npm, run
from tests.support.browser.site import Site

pytestmark = [needs_npm, pytest.mark.slow]
FIFTY = 50


@pytest.fixture
async def page(context: BrowserContext, site: Site) -> Page:
    page = await context.new_page()
    await page.goto(site.page("react.jsx"))
    return page


async def names(api: httpx.AsyncClient, part: str) -> Counter[str]:
    """How many files there are of each name with that part."""
    answer = await api.get("/v1/files", params={"q": part, "limit": 100})
    return Counter(file["filename"] for file in answer.raise_for_status().json()["items"])


async def test_of_fifty_files_none_is_lost_and_none_is_sent_twice(
    page: Page, api: httpx.AsyncClient
) -> None:
    """Dropped under StrictMode, and what shows them is unmounted and mounted again meanwhile."""
    await page.evaluate(f"drop(document.querySelector('section'), made({FIFTY}, 'fifty'))")
    stored = page.locator("section [data-state=stored]")
    await page.wait_for_function("kept.snapshot().some(({ state }) => state === 'stored')")
    await page.evaluate("show(false)")
    await expect(page.locator("section")).to_have_count(0)
    await page.wait_for_function("kept.snapshot().filter(({ stored }) => stored).length > 10")
    await page.evaluate("show(true)")
    await expect(stored).to_have_count(FIFTY)
    await expect(page.locator("section li")).to_have_count(FIFTY)
    assert await names(api, "fifty") == {f"fifty {i}.txt": 1 for i in range(FIFTY)}


async def test_a_file_that_is_added_twice_is_sent_once(page: Page, api: httpx.AsyncClient) -> None:
    await page.evaluate(
        "{ const [file] = made(1, 'twice'); kept.add([file]); kept.add([file, file]) }"
    )
    await expect(page.locator("section [data-state=stored]")).to_have_count(1)
    assert await names(api, "twice") == {"twice 0.txt": 1}


async def test_pasted_files_come_too_and_text_does_not(page: Page) -> None:
    said = await page.evaluate(
        """() => ["text", "file"].map((kind) => {
          const clipboardData = new DataTransfer();
          if (kind === "text") clipboardData.setData("text/plain", "words");
          else clipboardData.items.add(made(1, "pasted")[0]);
          const how = { clipboardData, bubbles: true, cancelable: true };
          const event = new ClipboardEvent("paste", how);
          document.querySelector("section").dispatchEvent(event);
          return event.defaultPrevented;
        })"""
    )
    assert said == [False, True]
    await expect(page.locator("section [data-state=stored]")).to_have_text(
        ["pasted 0.txt: 40000 of 40000"]
    )


async def test_one_upload_suspends_what_waits_for_it_and_gives_way_to_the_next(
    page: Page, api: httpx.AsyncClient, watch: Watch
) -> None:
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.route("**/confirm", hold)
    files = [{"name": f"single {i}.txt", "mimeType": "text/plain", "buffer": b"x"} for i in (1, 2)]
    await page.set_input_files("#single input", files[:1])
    await expect(page.locator("#single i")).to_have_text("single 1.txt is on its way")
    await page.set_input_files("#single input", files[1:])
    await expect(page.locator("#single i")).to_have_text("single 2.txt is on its way")
    held.set()
    await expect(page.locator("#single output")).to_have_text("single 2.txt is stored")
    assert (await names(api, "single 2"))["single 2.txt"] == 1


async def test_a_server_renders_it_and_the_browser_takes_it_over(
    context: BrowserContext, site: Site, front_end: Path
) -> None:
    """React complains in the console where the two differ."""
    script = site.script("react-server.jsx", "--platform=node", "--format=cjs")
    html = run("node", script.rename(script.with_suffix(".cjs")), at=front_end).strip()
    assert html.startswith('<section data-over="false"')
    page = await context.new_page()
    await page.goto(site.page("react.jsx", html))
    await page.set_input_files("section input", [{"name": "a.txt", "mimeType": "", "buffer": b"x"}])
    await expect(page.locator("section [data-state=stored]")).to_have_count(1)


async def test_twenty_rounds_leave_nothing_in_memory(page: Page) -> None:
    """Lists that are mounted, used and unmounted: their files are collected, and the heap stays."""
    tools = await page.context.new_cdp_session(page)

    async def heap() -> float:
        await tools.send("HeapProfiler.collectGarbage")
        used: float = (await tools.send("Runtime.getHeapUsage"))["usedSize"]
        return used

    await page.evaluate("globalThis.files = []")
    used = []
    for n in range(20):
        await page.evaluate(
            f"""async () => {{
              const some = made(5, "round {n}");
              files.push(...some.map((file) => new WeakRef(file)));
              await round(some);
            }}"""
        )
        used.append(await heap())
    left = await page.evaluate("files.filter((file) => file.deref()).length")
    assert left <= 10  # React keeps what it rendered last
    assert used[-1] - used[4] < 256 * 1024, used
