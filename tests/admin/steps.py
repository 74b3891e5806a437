"""Steps of the upload field's tests."""

from typing import Any

from playwright.async_api import FilePayload, Locator, Page, expect

from tests.admin.shop import Shop
from tests.support.browser.steps import payload


async def fill_in(page: Page, shop: Shop, name: str) -> Locator:
    """A new product's form; the image's field."""
    await page.goto(f"{shop.url}/admin/product/create")
    await page.get_by_label("Name").fill(name)
    return page.locator("claimcheck-upload")


async def edit(page: Page, shop: Shop, name: str) -> Locator:
    """The form of the product of this name; the image's field."""
    [pk] = [pk for pk, found in shop.rows("id, name") if found == name]
    await page.goto(f"{shop.url}/admin/product/edit?pk={pk}")
    return page.locator("claimcheck-upload")


async def choose(field: Locator, *files: Any) -> None:
    """Choose files: paths, or what `payload` makes."""
    await field.locator("input[type=file]").set_input_files(list(files))


async def uploaded(field: Locator, count: int = 1) -> None:
    await expect(field.get_by_text("uploaded. Save to keep it.")).to_have_count(
        count, timeout=60_000
    )


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("alert").filter(has_text="successfully")).to_be_visible()


async def create(page: Page, shop: Shop, name: str, file: FilePayload | Any) -> str:
    """A product with this image; the URL that it keeps."""
    field = await fill_in(page, shop, name)
    await choose(field, file)
    await uploaded(field)
    await save(page)
    url = shop.image_of(name)
    assert url
    return url


def png(name: str, picture: bytes, size: int = 0) -> FilePayload:
    """The picture, with zeros after its end up to as many bytes, which no reader of PNG minds."""
    return payload(name, picture.ljust(size, b"\0"))
