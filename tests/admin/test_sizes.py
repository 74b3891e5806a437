"""Sizes read the same wherever people meet them: in the panel, and on pages with a script."""

from playwright.async_api import Page

from app.core.words import in_bytes
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


# What is refused, by which limits, and why.
REFUSED = [
    ({"size": 101 * MIB}, {"maxSize": 100 * MIB}, "101 MiB is more than the 100 MiB that may go"),
    (
        {"size": 100 * MIB + 1},
        {"maxSize": 100 * MIB},
        "104,857,601 bytes is more than the 104,857,",
    ),
    ({"size": 1}, {"minSize": 2048}, "1 byte is less than the 2 KiB that a file needs here"),
    ({"type": "text/plain"}, {"accepted": ["image/*", "application/pdf"]}, "any image or PDF."),
    ({"type": "image/png"}, {"accepted": ["image/svg+xml", ".txt"]}, "Choose SVG or TXT."),
    ({"type": "a/b"}, {"accepted": ["application/vnd.ms-excel"]}, "application/vnd.ms-excel."),
]
TAKEN = [
    ({"type": "IMAGE/PNG; x=y"}, {"accepted": ["image/*"]}),
    ({"type": ""}, {"accepted": ["image/png"]}),  # the service guesses
    ({"name": "A.PNG "}, {"accepted": [".png"]}),
    ({"size": 5}, {"minSize": 5, "maxSize": 5}),
    ({"type": "a/b"}, {}),
]


async def test_what_is_refused_before_it_is_sent(page: Page, shop: Shop) -> None:
    await page.goto(f"{shop.service}/docs")
    plain = {"name": "a", "type": "", "size": 9}
    cases = [(plain | file, limits) for file, limits, *_ in [*REFUSED, *TAKEN]]
    said = await page.evaluate(
        """async (cases) => {
          const { refusal } = await import("/static/words.js");
          return cases.map(([file, limits]) => refusal(file, limits)?.detail ?? null);
        }""",
        cases,
    )
    for (_, _, words), detail in zip(REFUSED, said, strict=False):
        assert words in detail
    assert said[len(REFUSED) :] == [None] * len(TAKEN)


async def test_sizes_read_the_same_everywhere(page: Page, shop: Shop) -> None:
    await page.goto(f"{shop.service}/docs")
    said = await page.evaluate(
        "async (sizes) => sizes.map((await import('/static/words.js')).bytes)", list(SIZES)
    )
    assert dict(zip(SIZES, said, strict=True)) == SIZES
    assert {size: in_bytes(size) for size in SIZES} == SIZES
