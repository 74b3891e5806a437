"""Staff who sign in, and lists of files, in a second admin beside the example's."""

import json
import os
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.admin.shop import MIB, Shop
from tests.admin.steps import choose, fill_in, png, save, uploaded
from tests.support.browser.chromium import Watch
from tests.support.browser.packages import needs_npm
from tests.support.browser.steps import payload, record

CREATE = "/staff/album/create"


async def sign_in(page: Page) -> None:
    await page.locator("input[name=username]").fill("ann")
    await page.locator("input[name=password]").fill("-")
    await page.locator("form button[type=submit]").click()


@pytest.fixture
async def album(page: Page, shop: Shop) -> Page:
    """The form of a new album, signed in."""
    await page.goto(f"{shop.url}{CREATE}")
    await sign_in(page)
    await expect(page.locator("claimcheck-upload")).to_have_count(2)
    await page.get_by_label("Name").fill("Album")
    return page


def field(page: Page, name: str) -> Locator:
    return page.locator(f"claimcheck-upload[name={name}]")


async def test_who_is_signed_out_meanwhile_signs_in_elsewhere_and_goes_on(
    album: Page, shop: Shop, picture: bytes
) -> None:
    await album.context.clear_cookies(name="staff")
    pictures = field(album, "pictures")
    await choose(pictures, png("kept.png", picture))
    await expect(pictures.get_by_role("alert")).to_contain_text(
        "You are not signed in any more Sign in again in another tab, come back here and press "
        "Retry. What you have filled in stays."
    )
    async with album.expect_popup() as opening:
        await pictures.get_by_role("link", name="Sign in kept.png").click()
    other = await opening.value
    await sign_in(other)
    await expect(other.get_by_label("Name")).to_be_visible()
    await other.close()
    await pictures.get_by_role("button", name="Retry kept.png").click()
    await uploaded(pictures)


async def test_a_session_that_ends_meanwhile_is_said_in_words_and_made_anew(
    page: Page, shop: Shop, picture: bytes, watch: Watch
) -> None:
    image = await fill_in(page, shop, "Ended")
    shop.wire.stop_after(2 * MIB)
    await choose(image, png("long.png", picture, 6 * MIB))
    await shop.wire.stopped()
    await image.get_by_role("button", name="Pause long.png").click()
    shop.wire.go_on()
    await shop.end_sessions()
    await image.get_by_role("button", name="Resume long.png").click()
    await expect(image.get_by_role("alert")).to_contain_text(
        "The permission to upload has ended It is given for a while, from when a file is chosen. "
        "Press Retry for a new one; the file is then sent from its beginning."
    )
    watch.expect("401", times=2)
    await image.get_by_role("button", name="Retry long.png").click()
    await uploaded(image)
    await save(page)
    assert shop.image_of("Ended")


async def test_a_list_is_put_in_order_and_thinned_out(
    album: Page, shop: Shop, picture: bytes
) -> None:
    pictures, paper = field(album, "pictures"), field(album, "paper")
    await choose(pictures, *(png(f"{name}.png", picture) for name in "abcd"))
    await expect(pictures).to_contain_text("At most 3 files can go here; 1 left out.")
    await uploaded(pictures, 3)
    await expect(pictures).to_contain_text("1 left out.")
    await expect(pictures.get_by_text("Choose files")).to_be_hidden()
    await pictures.get_by_role("button", name="Move down a.png").press("Enter")
    await pictures.get_by_role("button", name="Move down a.png").press("Enter")
    # At the end of the list the focus goes to what can still be done.
    await expect(pictures.get_by_role("button", name="Move up a.png")).to_be_focused()
    await expect(pictures.get_by_role("status")).to_contain_text("is number 3 of 3.")
    await pictures.get_by_role("button", name="Remove c.png").click()
    await expect(pictures.get_by_role("listitem")).to_contain_text(["b.png", "a.png"])
    # The other field must not stay empty.
    await album.get_by_role("button", name="Save", exact=True).click()
    await expect(paper.get_by_role("alert")).to_have_text("Choose a file.")
    await choose(paper, payload("why.txt", b"because", "text/plain"))
    await uploaded(paper)
    await save(album)
    [(kept,)] = shop.rows("pictures", "albums")[-1:]
    assert [url.rpartition("--")[2] for url in json.loads(kept)] == ["b.png", "a.png"]
    row = album.get_by_role("row", name="Album").last
    await expect(row.get_by_role("img")).to_have_count(2)


async def test_what_the_service_refuses_is_said_in_its_words(
    album: Page, bucket_requests: list[str], watch: Watch
) -> None:
    pictures = field(album, "pictures")
    await choose(pictures, payload("notes.txt", b"text", "text/plain"))
    await expect(pictures.get_by_role("alert")).to_contain_text("text/plain")
    await expect(pictures.get_by_role("alert")).to_contain_text("any image")
    await expect(pictures.get_by_role("button", name="Retry notes.txt")).to_be_hidden()
    assert bucket_requests == []
    watch.expect("422")


@pytest.fixture
def bucket_requests(page: Page, shop: Shop) -> list[str]:
    return record(page, "POST", shop.bucket)


@needs_npm
async def test_axe_finds_nothing_in_the_field(
    album: Page, shop: Shop, picture: bytes, packages: Path, watch: Watch
) -> None:
    """In each of its states, at the width of a desktop or of a phone.

    With PICTURES=docs the guide's picture is taken on the way.
    """
    pictures, paper = field(album, "pictures"), field(album, "paper")

    async def check(width: int) -> None:
        await album.set_viewport_size({"width": width, "height": 900})
        found = await album.evaluate(
            """async () => {
              const elements = [...document.querySelectorAll("claimcheck-upload")];
              const { violations } = await axe.run(elements);
              return violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]);
            }"""
        )
        assert found == []
        assert await album.evaluate("document.documentElement.scrollWidth") <= width

    axe = (packages / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    await album.evaluate(axe)
    await check(375)
    await choose(pictures, png("Garden in spring.png", picture), png("Фейерверк.png", picture))
    await uploaded(pictures, 2)
    shop.wire.stop_after(7 * MIB)
    await choose(paper, payload("Catalogue.pdf", bytes(12 * MIB), "application/pdf"))
    await shop.wire.stopped()
    await check(1000)
    if folder := os.environ.get("PICTURES"):
        card = album.locator(".card").first
        await card.screenshot(path=f"{folder}/upload-field.png", animations="disabled")
    await choose(pictures, payload("notes.txt", b"text", "text/plain"))
    await expect(pictures.get_by_role("alert")).to_be_visible()
    watch.expect("422")
    await album.get_by_role("button", name="Save", exact=True).click()
    await expect(paper.get_by_role("alert")).to_be_visible()
    await check(375)
    await paper.get_by_role("button", name="Cancel Catalogue.pdf").click()
    shop.wire.go_on()
    await pictures.get_by_role("button", name="Dismiss notes.txt").click()
    await pictures.get_by_role("button", name="Remove Garden in spring.png").click()
    await check(1000)
