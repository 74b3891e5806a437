"""Sizes read the same wherever people meet them: in the panel, and on pages with a script."""

from playwright.async_api import Page

from app.admin.view import in_bytes
from tests.admin.shop import MIB, Shop

SIZES = {
    0: "0 bytes",
    1: "1 byte",
    999: "999 bytes",
    1000: "0.977 KiB",
    1024: "1 KiB",
    1023 * 1024: "0.999 MiB",
    100 * MIB: "100 MiB",
    30_000_000: "28.6 MiB",
    5 << 30: "5 GiB",
    48_828_125 << 20: "46.6 TiB",
}


async def test_sizes_read_the_same_everywhere(page: Page, shop: Shop) -> None:
    await page.goto(f"{shop.service}/docs")
    said = await page.evaluate(
        "async (sizes) => sizes.map((await import('/static/words.js')).bytes)", list(SIZES)
    )
    assert dict(zip(SIZES, said, strict=True)) == SIZES
    assert {size: in_bytes(size) for size in SIZES} == SIZES
