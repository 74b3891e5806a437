"""The upload field in the example's admin, in Chromium, on Ceph RGW."""

import httpx
from playwright.async_api import FilePayload, Locator, Page, expect

from tests.admin.conftest import Shop
from tests.browser.steps import payload


async def fill_in(page: Page, shop: Shop, name: str) -> Locator:
    """A new product's form; the image's field."""
    await page.goto(f"{shop.url}/admin/product/create")
    await page.get_by_label("Name").fill(name)
    return page.locator("claimcheck-upload")


async def choose(field: Locator, *files: FilePayload) -> None:
    await field.locator("input[type=file]").set_input_files(files)


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert").filter(has_text="successfully")).to_be_visible()


async def status_of(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as web:
        return (await web.get(url)).status_code


async def test_a_product_keeps_the_url_of_its_image(page: Page, shop: Shop, picture: bytes) -> None:
    field = await fill_in(page, shop, "Lamp")
    await choose(field, payload("Lamp.png", picture))
    await expect(field).to_contain_text("uploaded. Save to keep it.")
    await save(page)
    url = shop.image_of("Lamp")
    assert url
    # The bucket is private, and the list's thumbnail a link that the service signed.
    assert await status_of(url) == 403
    thumbnail = page.get_by_role("row", name="Lamp").get_by_role("img")
    assert await thumbnail.evaluate("async (img) => (await img.decode(), img.naturalWidth)") == 24
