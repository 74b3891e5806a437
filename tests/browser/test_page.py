"""The page at `/`, used as a person would, against the real service and bucket."""

import re
import struct
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.browser.picture import take
from tests.support.browser.chromium import Watch
from tests.support.browser.steps import (
    gradient,
    listed,
    payload,
    record,
    slow_down,
    status_of,
    stored,
    under_way,
    upload,
)


async def test_a_file_is_uploaded_listed_and_shown(
    page: Page, api: httpx.AsyncClient, bucket: str, picture: bytes, watch: Watch
) -> None:
    row = await upload(page, "sunrise.png", picture)
    await expect(page.locator("#files > li").first).to_contain_text("sunrise.png")
    await expect(row).to_contain_text(f"{len(picture)} bytes")
    await expect(page.locator("#uploads > li")).to_have_count(0)
    decoded = "async (image) => { await image.decode(); return image.naturalWidth; }"
    assert await row.locator("img").evaluate(decoded) == 24
    [file] = await stored(api, "sunrise.png")
    assert file["size"] == len(picture)
    assert bucket in watch.origins  # the bytes took the direct way

    await page.reload()
    await expect(listed(page, "sunrise.png")).to_be_visible()


async def test_open_shows_the_file_in_a_new_tab_by_a_presigned_link(
    page: Page, context: BrowserContext, bucket: str, picture: bytes
) -> None:
    row = await upload(page, "open me.png", picture)
    async with context.expect_page() as opened:
        await row.get_by_role("link", name="Open open me.png").click()
    tab = await opened.value
    await tab.wait_for_load_state()
    assert tab.url.startswith(bucket)
    assert "X-Amz-Signature=" in tab.url
    assert await tab.locator("img").evaluate("image => image.naturalWidth") == 24
    assert await tab.evaluate("window.opener") is None


async def test_copy_link_puts_a_working_link_on_the_clipboard(
    page: Page, context: BrowserContext, picture: bytes
) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = await upload(page, "copy me.png", picture)
    await row.get_by_role("button", name="Copy link copy me.png").click()
    await expect(page.get_by_role("status")).to_contain_text("Link copied. It works until")
    link = await page.evaluate("navigator.clipboard.readText()")
    assert await status_of(link) == 200
    assert await status_of(urlsplit(link)._replace(query="").geturl()) == 403


async def test_without_a_clipboard_the_link_is_shown_ready_to_copy(
    page: Page, context: BrowserContext, picture: bytes
) -> None:
    # As on an address that is neither https nor loopback.
    await context.add_init_script("delete Navigator.prototype.clipboard")
    await page.reload()
    row = await upload(page, "copy by hand.png", picture)
    await row.get_by_role("button", name="Copy link").click()
    field = page.get_by_role("dialog").get_by_label("Copy this link")
    await expect(field).to_be_focused()
    assert await page.evaluate("getSelection().toString()") == await field.input_value()
    assert await status_of(await field.input_value()) == 200


async def test_remove_keeps_the_object_or_deletes_it_as_asked(
    page: Page, api: httpx.AsyncClient, picture: bytes
) -> None:
    for name, choice, object_status in (
        ("released.png", "Remove from the list", 200),
        ("deleted.png", "Delete the object too", 404),
    ):
        row = await upload(page, name, picture)
        [file] = await stored(api, name)
        await row.get_by_role("button", name=f"Remove {name}").click()
        dialog = page.get_by_role("dialog", name=f"Remove {name}?")
        await dialog.get_by_role("button", name=choice).click()
        await expect(row).to_have_count(0)
        assert await stored(api, name) == []
        assert await status_of(file["presigned_url"]) == object_status


async def test_changing_ones_mind_removes_nothing(
    page: Page, api: httpx.AsyncClient, picture: bytes
) -> None:
    row = await upload(page, "stays.png", picture)
    goes = await upload(page, "goes.png", picture)
    await goes.get_by_role("button", name="Remove goes.png").click()
    await page.get_by_role("button", name="Delete the object too").click()
    await expect(goes).to_have_count(0)
    remove = row.get_by_role("button", name="Remove stays.png")
    await remove.click()
    # Escape must not repeat the answer before: in some browsers a dialog keeps it.
    await page.keyboard.press("Escape")
    await expect(remove).to_be_focused()
    await remove.click()
    await page.get_by_role("button", name="Keep the file").click()
    await expect(row).to_be_visible()
    assert len(await stored(api, "stays.png")) == 1


@pytest.mark.parametrize("name", ["日本語の写真.png", "фото на море.png", "صورة (1).png", "😀.png"])
async def test_names_in_other_scripts_are_kept(
    page: Page, api: httpx.AsyncClient, picture: bytes, name: str
) -> None:
    await upload(page, name, picture)
    [file] = await stored(api, name)
    assert file["key"].isascii()


async def test_dropped_files_are_uploaded(page: Page, picture: bytes) -> None:
    await page.get_by_label("Upload to").select_option("images")
    transfer = await page.evaluate_handle(
        """(bytes) => {
          const transfer = new DataTransfer();
          for (const name of ["dropped 1.png", "dropped 2.png"])
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
          return transfer;
        }""",
        list(picture),
    )
    zone = page.locator("#drop")
    # On the heading: a near miss counts too.
    await page.dispatch_event("h1", "dragover", {"dataTransfer": transfer})
    await expect(zone).to_contain_class("over")
    await page.dispatch_event("h1", "drop", {"dataTransfer": transfer})
    await expect(zone).not_to_contain_class("over")
    await expect(listed(page, "dropped 1.png")).to_be_visible()
    await expect(listed(page, "dropped 2.png")).to_be_visible()


async def test_progress_is_shown_and_cancel_stops(
    page: Page, context: BrowserContext, api: httpx.AsyncClient
) -> None:
    await page.get_by_label("Upload to").select_option("files")
    await slow_down(context, page)
    file = payload("slow.bin", bytes(2_000_000), "application/octet-stream")
    await page.get_by_label("Choose files").set_input_files(file)
    bar = page.get_by_role("progressbar", name="Upload of slow.bin")
    await expect(bar).to_have_attribute("value", re.compile(r"0\.\d+"))
    async with page.expect_response(
        lambda response: response.request.method == "DELETE"
    ) as deleted:
        await page.get_by_role("button", name="Cancel slow.bin").click()
    assert (await deleted.value).ok
    await expect(under_way(page, "slow.bin")).to_have_count(0)
    await expect(page.get_by_role("status")).to_contain_text("cancelled")
    assert await stored(api, "slow.bin") == []


async def test_an_empty_list_invites(page: Page) -> None:
    async def nothing(route: Route) -> None:
        await route.fulfill(json={"items": [], "next_cursor": None})

    await page.route("**/v1/files?*", nothing)
    await page.reload()
    await expect(page.get_by_text("Drop your first file above")).to_be_visible()
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()


async def test_show_more_goes_through_the_whole_list(
    page: Page, api: httpx.AsyncClient, picture: bytes
) -> None:
    for number in range(3):
        await upload(page, f"page {number}.png", picture)

    async def two_at_once(route: Route) -> None:
        await route.continue_(url=route.request.url.replace("limit=50", "limit=2"))

    await page.route("**/v1/files?*", two_at_once)
    await page.reload()
    rows = page.locator("#files > li")
    await expect(rows).to_have_count(2)
    more = page.get_by_role("button", name="Show more")
    await more.focus()
    await more.press("Enter")
    await expect(rows).not_to_have_count(2)
    await expect(rows.nth(2).get_by_role("link")).to_be_focused()
    total = len((await api.get("/v1/files", params={"limit": 100})).json()["items"])
    while await more.is_visible():
        shown = await rows.count()
        await more.click()
        await expect(rows).not_to_have_count(shown)
    await expect(rows).to_have_count(total)
    names = await rows.locator("bdi").all_inner_texts()
    assert names.index("page 2.png") < names.index("page 1.png") < names.index("page 0.png")


async def test_everything_goes_by_keyboard(page: Page, picture: bytes) -> None:
    # The first Tab of the page leads to a link past what is the same on every page.
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    # Around all three steps: the interception takes hold a moment after it was asked for.
    async with page.expect_file_chooser() as chooser:
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Upload to")).to_be_focused()
        await page.keyboard.type("images")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Choose files")).to_be_focused()
        await page.keyboard.press("Space")
    await (await chooser.value).set_files(payload("by keyboard.png", picture))
    await (await chooser.value).set_files(payload("another.png", picture))
    await expect(listed(page, "another.png")).to_be_visible()
    row = listed(page, "by keyboard.png").first
    await expect(row).to_be_visible()
    # A row is one stop for Tab, at the action that had the focus last; arrows move in it.
    opens = row.get_by_role("link", name="Open by keyboard.png")
    copies = row.get_by_role("button", name="Copy link")
    removes = row.get_by_role("button", name="Remove by keyboard.png")
    await opens.focus()
    await page.keyboard.press("ArrowRight")
    await expect(copies).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Shift+Tab")
    await expect(copies).to_be_focused()
    await page.keyboard.press("End")
    await expect(removes).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(removes).to_be_focused()
    assert await row.locator("[tabindex='0']").count() == 1
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Keep the file")).to_be_focused()
    await page.get_by_role("button", name="Remove from the list").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("is removed from the list")
    # The button that had the focus is gone: it must not fall back to the top of the page.
    assert await page.evaluate("document.activeElement !== document.body")


async def test_up_and_down_lead_to_the_same_action_of_other_rows(
    page: Page, picture: bytes
) -> None:
    await upload(page, "below.png", picture)
    await upload(page, "above.png", picture)
    await listed(page, "above.png").get_by_role("button", name="Copy link").focus()
    await page.keyboard.press("ArrowDown")
    below = listed(page, "below.png").get_by_role("button", name="Copy link")
    await expect(below).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")  # nothing is above it
    above = listed(page, "above.png").get_by_role("button", name="Copy link")
    await expect(above).to_be_focused()


async def test_all_that_failed_are_dismissed_at_once(page: Page) -> None:
    await page.get_by_label("Upload to").select_option("images")
    choose = page.get_by_label("Choose files")
    dismiss_all = page.get_by_role("button", name="Dismiss all")
    await choose.set_input_files(payload("one.txt", b"x", "text/plain"))
    await expect(page.locator("#uploads > li")).to_have_count(1)
    await expect(dismiss_all).to_be_hidden()
    await choose.set_input_files(payload("two.txt", b"x", "text/plain"))
    await dismiss_all.press("Enter")
    await expect(page.locator("#uploads > li")).to_have_count(0)
    await expect(dismiss_all).to_be_hidden()
    await expect(choose).to_be_focused()


async def test_a_picture_is_shown_while_it_is_sent_and_where_it_goes(
    page: Page, context: BrowserContext
) -> None:
    image = await gradient(page, "#2f8f46", "#b8d94c")
    await slow_down(context, page, 1_000)
    await page.get_by_label("Upload to").select_option("images")
    await page.get_by_label("Choose files").set_input_files(payload("on its way.png", image))
    row = under_way(page, "on its way.png")
    assert await row.locator("canvas").evaluate("canvas => canvas.width") == 112
    await expect(row).to_contain_text("to images")
    await row.get_by_role("button", name="Cancel").click()


@pytest.mark.parametrize("width", [320, 390])
async def test_a_phone_needs_no_sideways_scrolling(page: Page, picture: bytes, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    await upload(page, f"{'long-name-' * 12}{width}.png", picture)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    for button in await page.locator("#files > li").first.locator(".button").all():
        box = await button.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 40  # a fingertip


async def test_the_page_follows_the_colour_scheme(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert min(await page.evaluate(ground)) > 200
    await page.emulate_media(color_scheme="dark")
    assert max(await page.evaluate(ground)) < 60


async def test_the_readmes_picture_can_be_taken_anew(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    await take(page, path, "parts")
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    assert width == 1000
    assert height > 600


async def test_the_module_is_content_with_a_file_that_is_there_already(
    page: Page, bucket: str
) -> None:
    sent = record(page, "PUT", bucket)
    upload = """async (name) => {
      const { Uploader } = await import("/static/uploader.js");
      const uploader = new Uploader({ destination: "puts", sha256: 1000 });
      const states = [];
      const stored = await uploader.upload(new File(["the very same"], name, { lastModified: 1 }), {
        onProgress: ({ state }) => states.push(state),
      });
      return { stored, states, remembered: localStorage.length };
    }"""
    first = await page.evaluate(upload, "first.txt")
    again = await page.evaluate(upload, "again.txt")
    assert len(sent) == 1
    assert first["stored"]["checksum_verified"] is True
    assert again["stored"]["id"] == first["stored"]["id"]
    assert set(again["stored"]) == set(first["stored"])
    assert again["states"] == ["hashing"]
    assert again["remembered"] == 0
