"""The panel in Chromium, on Ceph RGW: the whole of a working day in one test.

`make picture` takes the pictures of docs/admin.md from here, into the folder that PICTURES names.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, FilePayload, Locator, Page, expect

from tests.admin.office import LIMIT, Office, opened, sign_in
from tests.admin.panel import NAME
from tests.admin.shop import MIB
from tests.admin.steps import choose, png, uploaded
from tests.support.browser.axe import Inspector
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.packages import needs_npm
from tests.support.browser.steps import gradient, payload, status_of
from tests.support.stores import rgw

LARGE = 25 * MIB


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
    assert watch.origins <= {office.url, office.bucket}


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


async def painted(page: Page, name: str, colours: tuple[str, str], size: int = 0) -> FilePayload:
    """A picture whose colours run into each other, made as large as is wanted."""
    body = await gradient(page, *colours)
    return png(name, body, size)


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".alert[role=status]").filter(has_text="is saved.")).to_be_visible()


def field(page: Page, name: str) -> Locator:
    return page.locator(f"claimcheck-upload[name=field-{name}]")


async def width_of(image: Locator) -> int:
    return int(
        await image.first.evaluate(
            "async (image) => (image.loading = 'eager', await image.decode(), image.naturalWidth)"
        )
    )


@needs_npm
async def test_the_story(
    page: Page, office: Office, watch: Watch, packages: Path, tmp_path: Path
) -> None:
    axe = Inspector.of(packages)
    pictures = Path(os.environ.get("PICTURES") or tmp_path)

    # Signing in, not at once.
    await page.goto(f"{office.url}/admin")
    await axe.look(page)
    await sign_in(page, "not the password")
    await expect(page.get_by_role("alert")).to_contain_text("do not go together")
    watch.expect("403")
    await axe.look(page)
    await sign_in(page)
    await expect(page.get_by_role("heading", name="Files 0 files")).to_be_visible()
    await axe.look(page)

    # A record, whose picture is refused in words until it is one.
    await page.get_by_role("link", name="Records").click()
    await axe.look(page)
    await page.get_by_role("link", name="New product").click()
    await page.get_by_label("Id", exact=True).fill("lamp")
    await page.get_by_label("Owner").fill("shop")
    picture = field(page, "picture")
    await choose(picture, payload("notes.txt", b"hello", "text/plain"))
    await expect(picture.get_by_role("alert")).to_contain_text(
        "This type of file cannot go here “\u2068notes.txt\u2069” is text/plain. Choose any image."
    )
    await picture.get_by_role("button", name="Dismiss notes.txt").click()
    await choose(picture, await painted(page, "vast.png", ("#111", "#eee"), LIMIT + 1))
    await expect(picture.get_by_role("alert")).to_contain_text(
        f"{LIMIT + 1:,} bytes is more than the {LIMIT:,} bytes that may go here."
    )
    await axe.look(page)
    await picture.get_by_role("button", name="Dismiss vast.png").click()
    # What lies about its type is refused by the service, and in words as well.
    await choose(picture, payload("page.png", b"<!DOCTYPE html><html></html>"))
    await expect(picture.get_by_role("alert")).to_contain_text("The upload was rejected")
    watch.expect("422")
    await picture.get_by_role("button", name="Dismiss page.png").click()

    # 25 MiB, in parts and past the service; then it is shown.
    sunset = await painted(page, "Sunset over the lake.png", ("#ff9a3d", "#8a4fa3"), LARGE)
    sent = office.wire.sent
    await choose(picture, sunset)
    await uploaded(picture)
    assert office.wire.sent - sent > LARGE
    await save(page)
    first = (await office.product("lamp"))["picture"]
    assert (first["size"], first["filename"]) == (LARGE, "Sunset over the lake.png")
    assert await width_of(picture.locator("img")) == 160
    await page.get_by_role("link", name="Product", exact=True).click()
    # Fifty such would be too much for a list.
    listed = page.get_by_role("row", name="lamp")
    await expect(listed.locator(".thumbnail")).to_have_text("png")
    await expect(listed.locator("img")).to_have_count(0)
    await axe.look(page)

    # Replaced, with a gallery beside it.
    await page.get_by_role("link", name="lamp", exact=True).click()
    async with page.expect_file_chooser() as choosing:
        await picture.get_by_role("button", name="Replace").click()
    chooser = await choosing.value
    await chooser.set_files(await painted(page, "Garden in spring.png", ("#2f8f46", "#b8d94c")))
    await uploaded(picture)
    gallery = field(page, "gallery")
    night = ("#15224f", "#e0529c")
    await choose(
        gallery,
        await painted(page, "Фейерверк.png", night),
        await painted(page, "Harbour at dawn.png", ("#7fb2e5", "#f6d7a7")),
    )
    await uploaded(gallery, 2)
    await save(page)
    second = (await office.product("lamp"))["picture"]
    assert second["filename"] == "Garden in spring.png"
    assert (await office.api.get(f"/v1/files/{first['file_id']}")).status_code == 404  # not shop's
    assert office.answers_head(first)
    await axe.look(page)
    for image in await page.locator("claimcheck-upload img").all():
        await image.evaluate("image => image.decode()")
    await page.set_viewport_size({"width": 1100, "height": 700})
    await page.screenshot(path=pictures / "admin-record.png", full_page=True, animations="disabled")

    # Taken out: the attribute is empty, and the object still there.
    await picture.get_by_role("button", name="Remove Garden in spring.png").click()
    await expect(picture).to_contain_text("The file itself stays stored.")
    await save(page)
    assert (await office.product("lamp"))["picture"] is None
    assert office.answers_head(second)

    # The session ends while something is on its way.
    office.wire.stop_after(7 * MIB)
    await choose(picture, await painted(page, "Long.png", night, LARGE))
    await office.wire.stopped()
    await picture.get_by_role("button", name="Pause Long.png").click()
    office.wire.go_on()
    await office.end_everything()
    await picture.get_by_role("button", name="Resume Long.png").click()
    await expect(picture.get_by_role("alert")).to_contain_text("The permission to upload has ended")
    await picture.get_by_role("button", name="Retry Long.png").click()
    await expect(picture.get_by_role("alert")).to_contain_text(
        "You are not signed in any more Sign in again in another tab, come back here and press "
        "Retry. What you have filled in stays."
    )
    await axe.look(page)
    async with page.expect_popup() as opening:
        await picture.get_by_role("link", name="Sign in Long.png").click()
    other = await opening.value
    await sign_in(other)
    await expect(other.get_by_role("heading", name="Files")).to_be_visible()
    await other.close()
    await picture.get_by_role("button", name="Retry Long.png").click()
    await uploaded(picture)
    await save(page)
    assert (await office.product("lamp"))["picture"]["filename"] == "Long.png"
    while any("401" in complaint for complaint in watch.complaints):
        watch.expect("401")

    # Files: found, looked at, and one deleted for good; not what a record holds.
    paper = await office.api.post(
        "/v1/uploads", json={"destination": "papers", "filename": "Contract.pdf", "size": 9}
    )
    await page.get_by_role("link", name="Files", exact=True).click()
    await expect(page.get_by_role("heading", name="Files 5 files")).to_be_visible()
    await axe.look(page)
    for image in await page.locator(".thumbnail img").all():
        await width_of(image)
    await page.set_viewport_size({"width": 1280, "height": 700})
    await page.screenshot(path=pictures / "admin-files.png", full_page=True, animations="disabled")
    await page.get_by_text("More filters").click()
    await page.get_by_label("In no record").check()
    await axe.look(page)
    await page.get_by_role("button", name="Show", exact=True).click()
    await expect(page.get_by_role("heading", name="Files 2 files")).to_be_visible()
    await page.get_by_label("Find").fill("GARDEN")
    await page.get_by_label("Find").press("Enter")
    await expect(page.get_by_role("heading", name="Files 1 file")).to_be_visible()
    await page.get_by_role("link", name="Garden in spring.png", exact=True).click()
    assert await width_of(page.get_by_role("img", name="Garden in spring.png")) == 160
    await axe.look(page)
    async with page.expect_popup() as opening:
        await page.get_by_role("link", name="Open").click()
    shown = await opening.value
    await shown.wait_for_url(f"{office.bucket}/**")
    await shown.close()
    await page.get_by_role("link", name="Delete file and object").click()
    await axe.look(page)
    assert office.answers_head(second)
    await page.get_by_role("button", name="Delete file and object").click()
    await expect(page.locator(".alert[role=status]")).to_contain_text(
        "is deleted, and its object with it."
    )
    assert not office.answers_head(second)
    assert office.answers_head(first)

    # The rest of the menu.
    await page.get_by_role("link", name="Uploads", exact=True).click()
    await axe.look(page)
    await page.get_by_role("link", name="Abort Contract.pdf").click()
    await page.get_by_role("button", name="Abort the upload").click()
    await expect(page.locator(".alert[role=status]")).to_contain_text("is aborted")
    gone = await office.api.get(f"/v1/uploads/{paper.json()['id']}")
    assert gone.status_code == 404
    await page.get_by_role("link", name="API keys").click()
    await page.get_by_label("Name", exact=True).fill("nightly")
    await page.get_by_label("files:read").check()
    await page.get_by_role("button", name="Make the key").click()
    key = await page.locator("#token").inner_text()
    await axe.look(page)
    bearer = {"Authorization": f"Bearer {key}"}
    assert (await office.api.get("/v1/files", headers=bearer)).status_code == 200
    await page.get_by_role("link", name="Revoke nightly").click()
    await page.get_by_role("button", name="Revoke the key").click()
    await expect(page.locator(".alert[role=status]")).to_contain_text("The key is revoked.")
    await axe.look(page)
    await page.get_by_role("link", name="Destinations").click()
    await axe.look(page)
    await page.get_by_role("link", name="Usage").click()
    await page.locator("#owner").fill("shop")
    await page.get_by_label("Files", exact=True).fill("2000")
    await page.get_by_role("button", name="Set the limits").click()
    await expect(page.get_by_role("link", name="Take away")).to_be_visible()
    await axe.look(page)

    # And out.
    await page.get_by_role("button", name=NAME).click()
    await axe.look(page)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await status_of(first["url"]) == 403
    assert axe.found == []
