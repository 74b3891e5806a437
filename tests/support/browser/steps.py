"""Steps of tests in a browser."""

import base64
from collections.abc import Awaitable, Callable

import httpx
from playwright.async_api import BrowserContext, FilePayload, Locator, Page, Request, Route, expect

PNG = "image/png"
_PAINT = """([from, to]) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 160 });
  const context = canvas.getContext("2d");
  const gradient = context.createLinearGradient(0, 0, 160, 160);
  gradient.addColorStop(0, from);
  gradient.addColorStop(1, to);
  context.fillStyle = gradient;
  context.fillRect(0, 0, 160, 160);
  return canvas.toDataURL("image/png").split(",")[1];
}"""
Answer = Callable[[Route], Awaitable[None]]


def payload(name: str, body: bytes, content_type: str = PNG) -> FilePayload:
    return {"name": name, "mimeType": content_type, "buffer": body}


async def gradient(page: Page, start: str, end: str) -> bytes:
    """A PNG of 160 x 160 pixels that runs from one colour to the other; the page paints it."""
    return base64.b64decode(await page.evaluate(_PAINT, [start, end]))


def listed(page: Page, name: str) -> Locator:
    """The row of a file in the list."""
    return page.locator("#files > li").filter(has=page.get_by_text(name, exact=True))


def under_way(page: Page, name: str) -> Locator:
    """The row of an upload that has not come to its end."""
    return page.locator("#uploads > li").filter(has=page.get_by_text(name, exact=True))


async def upload(page: Page, name: str, body: bytes, destination: str = "images") -> Locator:
    await page.get_by_label("Upload to").select_option(destination)
    await page.get_by_label("Choose files").set_input_files(payload(name, body))
    await expect(listed(page, name)).to_be_visible()
    await expect(page.get_by_role("status")).to_contain_text("is uploaded")
    return listed(page, name)


async def stored(api: httpx.AsyncClient, name: str) -> list[dict[str, str]]:
    items = (await api.get("/v1/files", params={"limit": 100})).raise_for_status().json()["items"]
    return [item for item in items if item["filename"] == name]


async def status_of(link: str) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return (await client.get(link)).status_code


def record(page: Page, method: str, prefix: str) -> list[str]:
    """The addresses that the page will ask with `method`, from now on."""
    asked: list[str] = []

    def on_request(request: Request) -> None:
        if request.method == method and request.url.startswith(prefix):
            asked.append(request.url)

    page.on("request", on_request)
    return asked


async def break_first(page: Page, method: str, prefix: str, answer: Answer) -> None:
    """Give the first such request to `answer`, and let all others pass."""
    broken = False

    async def on_route(route: Route) -> None:
        nonlocal broken
        if broken or route.request.method != method:
            await route.fallback()
        else:
            broken = True
            await answer(route)

    await page.route(lambda url: url.startswith(prefix), on_route)


async def cut(route: Route) -> None:
    await route.abort()


async def slow_down(
    context: BrowserContext, page: Page, rate: int = 100_000
) -> Callable[[], Awaitable[None]]:
    """Bytes a second upwards, so that there is time to look at an upload on its way.

    What it gives lifts the limit again.
    """
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")

    async def limit(rate: int) -> None:
        conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
        await session.send(
            "Network.emulateNetworkConditions", {**conditions, "uploadThroughput": rate}
        )

    await limit(rate)
    return lambda: limit(-1)
