"""The picture of the page in the README: `python -m tests.browser.picture docs/page.png`."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from tests.support.browser.chromium import launched
from tests.support.browser.dev import started
from tests.support.browser.steps import gradient, listed, payload, slow_down, under_way

# Names and the colours that their pictures run through.
PICTURES = {
    "Garden in spring.png": ("#2f8f46", "#b8d94c"),
    "Sonnenuntergang über dem See.png": ("#ff9a3d", "#8a4fa3"),
    "Фейерверк.png": ("#15224f", "#e0529c"),
}
FILM = "Harbour at dawn.mov"
MIB = 1 << 20


async def take(page: Page, to: Path, footage: str, width: int = 1000) -> None:
    """The page at `/` with some files, and one on its way, which is then cancelled.

    Files in the destination `images`, the one on its way in `footage`, which takes parts of 5 MiB.
    """
    await page.set_viewport_size({"width": width, "height": 600})
    await page.get_by_label("Upload to").select_option("images")
    for name, colours in PICTURES.items():
        picture = await gradient(page, *colours)
        await page.get_by_label("Choose files").set_input_files(payload(name, picture))
        image = listed(page, name).locator("img")
        await expect(image).to_be_visible()
        await image.evaluate("image => image.decode()")
    await slow_down(page.context, page, 8_000_000)
    await page.get_by_label("Upload to").select_option(footage)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / FILM
        with film.open("wb") as file:
            file.truncate(24 * MIB)
        await page.get_by_label("Choose files").set_input_files(film)
        row = under_way(page, FILM)
        bar = await row.locator("progress").element_handle()
        await page.wait_for_function("bar => bar.value > 0.4", arg=bar)
        # Without the word that the last one has arrived.
        await page.locator("#toast").evaluate("toast => (toast.hidden = true)")
        await page.screenshot(path=to, full_page=True, animations="disabled")
        await row.get_by_role("button", name=f"Cancel {FILM}").click()
        await expect(row).to_have_count(0)


async def main(to: Path) -> None:
    environ = {
        "CLAIMCHECK_DESTINATIONS__IMAGES__CONTENT_TYPES": "image/*",
        "CLAIMCHECK_DESTINATIONS__FOOTAGE__METHOD": "multipart",
        "CLAIMCHECK_DESTINATIONS__FOOTAGE__PART_SIZE": str(5 * MIB),
    }
    with tempfile.TemporaryDirectory() as folder, started(Path(folder), environ) as address:
        async with async_playwright() as playwright, launched(playwright) as browser:
            page = await browser.new_page(locale="en-GB")
            await page.goto(address)
            await take(page, to, "footage")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
