"""Staff in Django's admin, and the shop's pages, in Chromium on Ceph RGW."""

import asyncio
import secrets
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.clients.django.shop.place import (
    API,
    MIB,
    Shop,
    add,
    bytes_at,
    choose,
    edit,
    field,
    log_in,
    save,
    uploaded,
)
from tests.support.browser.axe import Inspector
from tests.support.browser.chromium import Watch
from tests.support.browser.packages import needs_npm
from tests.support.browser.steps import gradient, payload, record
from tests.support.samples import ftyp

CLIP = Path(__file__).parents[3] / "contents" / "files" / "clip.webm"
FILM = """(video) => new Promise((loaded) => {
  video.onloadeddata = () => loaded(video.videoWidth);
  video.load();
})"""


async def test_a_product_with_picture_and_film(admin: Page, shop: Shop) -> None:
    picture = await gradient(admin, "#0f766e", "#fbbf24")
    await add(admin, shop, "Desk lamp")
    await choose(field(admin, "image"), payload("lamp.png", picture))
    # As where the cookie is hidden from scripts: the form's own token is enough.
    await field(admin, "video").evaluate("(element) => element.removeAttribute('csrf-cookie')")
    await choose(field(admin, "video"), CLIP)
    await uploaded(field(admin, "image"))
    await uploaded(field(admin, "video"))
    await save(admin)
    shown = "(image) => image.decode().then(() => image.naturalWidth)"
    row = admin.get_by_role("row", name="Desk lamp")
    assert await row.locator("img").evaluate(shown) == 160

    pk, image, video = shop.product("Desk lamp")
    told = (await shop.web.get(f"{API}{pk}/")).json()
    assert (told["image"], told["video"]) == (image, video)
    assert await bytes_at(told["presigned_image"]) == picture
    [listed] = [one for one in (await shop.web.get(API)).json()["results"] if one["id"] == pk]
    assert await bytes_at(listed["presigned_image"]) == picture

    await admin.goto(shop.url)
    await admin.get_by_role("link", name="Desk lamp").click()
    assert await admin.locator("main > img").evaluate(shown) == 160
    assert await admin.locator("main > video").evaluate(FILM) > 0


@pytest.mark.parametrize("megabytes", [30, pytest.param(200, marks=pytest.mark.slow)])
async def test_a_film_goes_on_after_a_reload(
    admin: Page, shop: Shop, watch: Watch, tmp_path: Path, megabytes: int
) -> None:
    """At least half of it has arrived before. Then it is replaced, and taken out."""
    name, path, size = f"{megabytes} MB", tmp_path / "film.mp4", megabytes * MIB
    body = ftyp("isom") + secrets.token_bytes(size - len(ftyp("isom")))
    path.write_bytes(body)
    admin.on("dialog", lambda dialog: asyncio.create_task(dialog.accept()))
    await add(admin, shop, name)
    video = field(admin, "video")
    # Two parts of 5 MiB are on their way at once.
    shop.wire.stop_after(size // 2 + 10 * MIB)
    await choose(video, path)
    await shop.wire.stopped()
    # The admin's forms have `novalidate`, and are held back nevertheless.
    await admin.get_by_role("button", name="Save", exact=True).click()
    await expect(video.get_by_role("alert")).to_contain_text("is still being uploaded")
    sent = shop.wire.sent
    await admin.reload()
    shop.wire.go_on()
    await admin.get_by_label("Name").fill(name)
    await admin.get_by_label("Price").fill("12.50")
    await choose(video, path)
    await uploaded(video)
    assert shop.wire.sent - sent <= size // 2 + 2 * MIB
    watch.allow("409")  # it had begun with every part, and asks whether they have arrived
    await save(admin)
    pk, _, old = shop.product(name)
    told = (await shop.web.get(f"{API}{pk}/")).json()
    assert await bytes_at(told["presigned_video"]) == body

    await edit(admin, shop, name)
    await choose(video, CLIP)
    await uploaded(video)
    await save(admin)
    _, _, new = shop.product(name)
    assert new not in ("", old)
    await edit(admin, shop, name)
    await video.get_by_role("button", name="Remove clip.webm").click()
    await save(admin)
    assert shop.product(name) == (pk, "", "")
    assert (await shop.web.get(f"{API}{pk}/")).json()["presigned_video"] is None
    assert await shop.has_object(old)
    assert await shop.has_object(new)


async def test_a_wrong_type_is_refused_in_words(admin: Page, shop: Shop, watch: Watch) -> None:
    """By its name before it is sent; by its contents when it has arrived."""
    announced = record(admin, "POST", shop.service)
    await add(admin, shop, "Notes")
    image = field(admin, "image")
    await choose(image, payload("notes.txt", b"text", "text/plain"))
    await expect(image.get_by_role("alert")).to_contain_text("any image")
    assert announced == []
    await image.get_by_role("button", name="Dismiss notes.txt").click()
    await choose(image, payload("notes.png", b"<!doctype html><title>No picture</title>"))
    await expect(image.get_by_role("alert")).to_contain_text("text/html")
    watch.expect("422")
    await admin.get_by_role("button", name="Save", exact=True).click()
    await expect(image).to_contain_text("was not uploaded")
    await image.get_by_role("button", name="Dismiss notes.png").click()
    await save(admin)
    assert shop.product("Notes")[1:] == ("", "")


async def test_who_is_signed_out_meanwhile_signs_in_elsewhere_and_goes_on(
    admin: Page, shop: Shop, picture: bytes, watch: Watch
) -> None:
    await add(admin, shop, "Kept")
    await admin.context.clear_cookies(name="sessionid")
    image = field(admin, "image")
    await choose(image, payload("kept.png", picture))
    await expect(image.get_by_role("alert")).to_contain_text("You are not signed in any more")
    watch.expect("401")
    async with admin.expect_popup() as opening:
        await image.get_by_role("link", name="Sign in kept.png").click()
    other = await opening.value
    await log_in(other)
    await expect(other.get_by_label("Name")).to_be_visible()
    await other.close()
    await image.get_by_role("button", name="Retry kept.png").click()
    await uploaded(image)
    # Django has given them another token against forged requests, and the form has it.
    await save(admin)
    assert shop.product("Kept")[1]


@needs_npm
@pytest.mark.slow
async def test_it_is_for_everybody_in_both_themes(admin: Page, shop: Shop, packages: Path) -> None:
    """axe looks at the field in the admin, and at all of the shop's own pages."""
    axe, ours = Inspector.of(packages), "claimcheck-upload"
    picture = await gradient(admin, "#7c3aed", "#f59e0b")
    await add(admin, shop, "Vase")
    image, video = field(admin, "image"), field(admin, "video")
    await choose(image, payload("vase.txt", b"text", "text/plain"))
    await expect(image.get_by_role("alert")).to_be_visible()
    shop.wire.stop_after(7 * MIB)
    await choose(video, payload("film.mp4", ftyp("isom").ljust(12 * MIB, b"\0"), "video/mp4"))
    await shop.wire.stopped()
    await axe.look(admin, within=ours)
    shop.wire.go_on()
    await choose(image, payload("vase.png", picture))
    await uploaded(image)
    await uploaded(video)
    await save(admin)
    await axe.look(admin, within="#result_list img")
    await edit(admin, shop, "Vase")
    await video.get_by_role("button", name="Remove film.mp4").click()
    await axe.look(admin, within=ours)
    for path in ("/", f"/products/{shop.product('Vase')[0]}/"):
        await admin.goto(f"{shop.url}{path}")
        await axe.look(admin)
    assert axe.found == []
