"""Files that the panel shows and uploads, in Chromium on Ceph RGW."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.admin.office import Office, opened, sign_in
from tests.admin.shop import MIB
from tests.admin.steps import choose, png
from tests.support.browser.axe import Inspector
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.packages import needs_npm
from tests.support.browser.steps import gradient, payload
from tests.support.stores import rgw

# A second of silence: 8 bits, 8,000 a second (Microsoft, RIFF WAVE).
SOUND = (
    b"RIFF" + (36 + 8000).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\x01\0\x01\0"
    b"\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data" + (8000).to_bytes(4, "little") + b"\x80" * 8000
)
PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]>>endobj
trailer<</Root 1 0 R>>
"""


@pytest.fixture(scope="module")
async def office(
    gateway: rgw.Rgw, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    async with opened(gateway, postgres_url, tmp_path_factory.mktemp("office")) as office:
        yield office


@pytest.fixture
async def context(browser: Browser, office: Office, watch: Watch) -> AsyncIterator[BrowserContext]:
    """A fresh profile. A complaint or a request to anyone else fails the test at its end."""
    async with watched(browser, watch) as context:
        yield context
    assert watch.complaints == []
    # Chromium's viewer of PDF is an extension.
    others = {one for one in watch.origins if not one.startswith("chrome")}
    assert others <= {office.url, office.bucket}


@pytest.mark.slow
@needs_npm
async def test_files_are_sent_shown_and_deleted_together(
    context: BrowserContext, office: Office, packages: Path
) -> None:
    axe = Inspector.of(packages)
    page = await context.new_page()
    await page.goto(f"{office.url}/admin/files")
    await sign_in(page)
    await expect(page.get_by_text("No files yet")).to_be_visible()
    await page.get_by_role("link", name="Upload files…").click()
    await page.get_by_label("Destination").select_option("papers")
    await page.get_by_label("Whose files").fill("shop")
    # Files go to whom the page was made for: not to somebody whose name is only typed in.
    await expect(page.locator("claimcheck-upload")).to_have_attribute("disabled", "")
    await page.get_by_role("button", name="Change", exact=True).click()
    await axe.look(page)
    words = "<script>alert(1)</script> Grüße\n" + "x" * 100_000
    large = png("Large.png", await gradient(page, "#111", "#eee"), 6 * MIB)
    field = page.locator("claimcheck-upload")
    await choose(
        field,
        payload("page.txt", words.encode(), "text/plain"),
        payload("sound.wav", SOUND, "audio/wav"),
        payload("paper.pdf", PDF, "application/pdf"),
        large,
    )
    await expect(field.get_by_role("button", name="Remove")).to_have_count(4, timeout=60_000)
    await expect(field).not_to_contain_text("Save to keep it")
    await page.get_by_role("link", name="Look at the files").click()
    await expect(page.get_by_role("heading", name="Files 4 files")).to_be_visible()
    await expect(page.get_by_role("cell", name="shop")).to_have_count(4)

    # By size, either way.
    for first in ("Large.png", "paper.pdf"):
        await page.get_by_role("columnheader", name="Size").get_by_role("link").click()
        await expect(page.locator("tbody tr").first).to_contain_text(first)
    await axe.look(page)

    await open_file(page, "page.txt")
    text = page.locator("pre")
    await expect(text).to_contain_text("<script>alert(1)</script> Grüße")
    assert len((await text.inner_text()).encode()) == 64 * 1024
    await expect(page.get_by_text("This is the beginning.")).to_be_visible()
    await axe.look(page)
    await open_file(page, "sound.wav")
    await page.wait_for_function("document.querySelector('audio').duration === 1")
    await open_file(page, "Large.png")
    await expect(page.locator(".preview img")).to_have_count(0)
    await page.get_by_role("link", name="Show it here (6 MiB)").click()
    assert await page.locator(".preview img").evaluate(
        "async (image) => (await image.decode(), image.naturalWidth)"
    )
    await open_file(page, "paper.pdf")
    assert await page.locator("iframe").count() == 0
    async with page.expect_response(lambda answer: answer.url.startswith(office.bucket)) as read:
        await page.get_by_role("link", name="Show it here").click()
    answer = await read.value
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith("inline")

    # All of them, but one.
    await page.get_by_role("link", name="Files", exact=True).first.click()
    await page.get_by_label("All on this page").check()
    await page.get_by_label("Select sound.wav").uncheck()
    await expect(page.get_by_text("3 selected:")).to_be_visible()
    await page.get_by_role("button", name="Delete…").click()
    await axe.look(page)
    await page.get_by_role("button", name="Delete (3)").click()
    await expect(page.get_by_role("heading", name="3 of 3 deleted")).to_be_visible()
    await axe.look(page)
    await page.get_by_role("link", name="Back to the list").click()
    await expect(page.get_by_role("heading", name="Files 1 file")).to_be_visible()
    assert axe.found == []


async def open_file(page: Page, name: str) -> None:
    await page.get_by_role("link", name="Files", exact=True).first.click()
    await page.get_by_role("link", name=name, exact=True).click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
