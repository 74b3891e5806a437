"""The upload field in the example's admin, in Chromium, on Ceph RGW."""

import hashlib
import re
from pathlib import Path

import httpx
from playwright.async_api import Page, Route, expect

from tests.admin.shop import MIB, Shop
from tests.admin.steps import choose, create, edit, fill_in, png, save, uploaded
from tests.support.browser.chromium import Watch
from tests.support.browser.steps import break_first, cut, payload, record
from tests.support.stores import rgw


async def read(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True, timeout=60) as web:
        return await web.get(url)


async def link(shop: Shop, url: str) -> str:
    answer = await shop.api.post("/v1/files/presign", json={"urls": [url]})
    presigned: str = answer.json()["items"][0]["presigned_url"]
    return presigned


async def test_a_product_keeps_the_url_of_its_image(page: Page, shop: Shop, picture: bytes) -> None:
    url = await create(page, shop, "Lamp", png("My lamp.png", picture))
    # The bucket is private, and the list's thumbnail a link that the service has signed.
    assert (await read(url)).status_code == 403
    thumbnail = page.get_by_role("row", name="Lamp").get_by_role("img", name="my-lamp.png")
    assert await thumbnail.evaluate("async (img) => (await img.decode(), img.naturalWidth)") == 24
    field = await edit(page, shop, "Lamp")
    await expect(field).to_contain_text("My lamp.png")
    await expect(field).to_contain_text(f"{len(picture)} bytes")
    shown = field.locator(".thumb img")
    assert await shown.evaluate("async (img) => (await img.decode(), img.naturalWidth)") == 24
    # Saved as it is, it stays as it is.
    await page.get_by_label("Name").fill("Old lamp")
    await save(page)
    assert shop.image_of("Old lamp") == url


async def test_a_large_image_goes_in_parts_with_pause_and_resume(
    page: Page, shop: Shop, picture: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(picture.ljust(25 * MIB, b"\0"))
    field = await fill_in(page, shop, "Large")
    sent = record(page, "PUT", shop.bucket)
    shop.wire.stop_after(7 * MIB)
    await choose(field, path)
    await shop.wire.stopped()
    await expect(field.get_by_role("progressbar", name="Upload of large.png")).to_be_visible()
    await field.get_by_role("button", name="Pause large.png").press("Enter")
    await expect(field).to_contain_text("Paused, ")
    await expect(field.get_by_role("button", name="Resume large.png")).to_be_focused()
    shop.wire.go_on()
    before = len(sent)
    # Saving has to wait, and the field says so.
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(field.get_by_role("alert")).to_contain_text("is paused. Resume it, or cancel it.")
    await expect(page).to_have_url(f"{shop.url}/admin/product/create")
    assert len(sent) == before
    await field.get_by_role("button", name="Resume large.png").press("Enter")
    await uploaded(field)
    await expect(field.locator("canvas")).to_be_visible()
    assert len({url.partition("partNumber=")[2].partition("&")[0] for url in sent}) == 5
    await save(page)
    url = shop.image_of("Large")
    assert url
    answer = await read(await link(shop, url))
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(path.read_bytes()).digest()


async def test_a_dropped_connection_mends_itself(
    page: Page, shop: Shop, picture: bytes, watch: Watch
) -> None:
    sent = record(page, "PUT", shop.bucket)
    await break_first(page, "PUT", shop.bucket, cut)
    await create(page, shop, "Cut", png("cut.png", picture, 6 * MIB))
    assert len(sent) == 3  # two parts, one of them twice
    watch.expect("net::ERR")
    watch.expect("403")  # of the question whether the bucket answers this page


async def test_a_bucket_that_leaves_the_page_out_says_so(
    page: Page, shop: Shop, gateway: rgw.Rgw, picture: bytes, watch: Watch
) -> None:
    owner = gateway.client()
    kept = owner.get_bucket_cors(Bucket="shop")["CORSRules"]
    field = await fill_in(page, shop, "Left out")
    try:
        others = [{**rule, "AllowedOrigins": ["https://other.example"]} for rule in kept]
        owner.put_bucket_cors(Bucket="shop", CORSConfiguration={"CORSRules": others})
        await choose(field, png("out.png", picture))
        await expect(field.get_by_role("alert")).to_contain_text(
            "The bucket does not let this page in"
        )
    finally:
        owner.put_bucket_cors(Bucket="shop", CORSConfiguration={"CORSRules": kept})
    await expect(field.get_by_role("alert")).to_contain_text(f"lack {shop.url}:")
    await field.get_by_role("button", name="Retry out.png").click()
    await uploaded(field)
    watch.complaints.clear()


async def test_what_failed_goes_on_where_it_was(
    page: Page, shop: Shop, picture: bytes, watch: Watch
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(
            status=403,
            headers={"Access-Control-Allow-Origin": "*"},
            content_type="application/xml",
            body="<Error><Code>AccessDenied</Code><Message>Not today</Message></Error>",
        )

    field = await fill_in(page, shop, "Again")
    sessions, asked = record(page, "POST", shop.url), record(page, "POST", shop.service)
    # The first refusal could be of a URL that has expired.
    await page.route(re.compile(f"{shop.bucket}.*partNumber=1&"), refuse, times=2)
    await choose(field, png("again.png", picture, 6 * MIB))
    await expect(field.get_by_role("alert")).to_contain_text(
        "The bucket refused the file AccessDenied: Not today.", timeout=30_000
    )
    await field.get_by_role("button", name="Retry again.png").click()
    await uploaded(field)
    assert len(sessions) == 1
    assert [url.rpartition("/v1")[2] for url in asked].count("/uploads") == 1
    for complaint in [one for one in watch.complaints if " 40" in one]:
        watch.complaints.remove(complaint)  # of the service, too: it asks what has arrived


async def test_a_wrong_type_and_too_much_are_refused_in_words_before_anyone_is_asked(
    page: Page, shop: Shop, picture: bytes
) -> None:
    url = await create(page, shop, "Picky", png("first.png", picture))
    field = await edit(page, shop, "Picky")
    asked = [record(page, "POST", place) for place in (shop.url, shop.service, shop.bucket)]
    await choose(field, payload("notes.txt", b"text", "text/plain"))
    await expect(field.get_by_role("alert")).to_contain_text(
        "This type of file cannot go here “\u2068notes.txt\u2069” is text/plain. Choose any image."
    )
    await expect(field.get_by_role("button", name="Retry notes.txt")).to_be_hidden()
    await page.evaluate("customElements.whenDefined('claimcheck-upload')")
    await field.evaluate("(field) => field.setAttribute('max-size', '1024')")
    await choose(field, png("big.png", picture, 2048))
    await expect(field.get_by_role("alert")).to_contain_text("The file is too large")
    await expect(field.get_by_role("alert")).to_contain_text(
        "2 KiB is more than the 1 KiB that may go here."
    )
    assert asked == [[], [], []]
    await field.get_by_role("button", name="Dismiss big.png").click()
    # What was there is there again.
    await expect(field).to_contain_text("first.png")
    await save(page)
    assert shop.image_of("Picky") == url


async def test_replace_and_remove_leave_the_objects(
    page: Page, shop: Shop, picture: bytes, gateway: rgw.Rgw
) -> None:
    first = await create(page, shop, "Chair", png("first.png", picture))
    field = await edit(page, shop, "Chair")
    async with page.expect_file_chooser() as opening:
        await field.get_by_role("button", name="Replace first.png").click()
    await (await opening.value).set_files([png("second.png", picture)])
    await uploaded(field)
    await save(page)
    second = shop.image_of("Chair")
    assert second not in (first, None)
    field = await edit(page, shop, "Chair")
    await field.get_by_role("button", name="Remove second.png").click()
    await expect(field).to_contain_text("is taken out when you save. The file itself stays")
    await field.get_by_role("button", name="Undo").press("Enter")
    await expect(field).to_contain_text("second.png")
    await field.evaluate("(element) => element.setAttribute('deletes', '')")
    await field.get_by_role("button", name="Remove second.png").click()
    await expect(field).to_contain_text("is deleted when you save.")
    await expect(field).not_to_contain_text("stays stored")
    await save(page)
    assert shop.image_of("Chair") is None
    await expect(page.get_by_role("row", name="Chair")).to_contain_text("No file")
    owner = gateway.client()
    for url in (first, second):
        key = str(url).partition("/shop/")[2]
        assert owner.head_object(Bucket="shop", Key=key)["ContentLength"] == len(picture)
    owner.close()


async def test_a_cancelled_replacement_leaves_what_was_there(
    page: Page, shop: Shop, picture: bytes
) -> None:
    url = await create(page, shop, "Table", png("old.png", picture))
    field = await edit(page, shop, "Table")
    shop.wire.stop_after(1000)
    await choose(field, png("new.png", picture, 2 * MIB))
    await shop.wire.stopped()
    await field.get_by_role("button", name="Cancel new.png").click()
    shop.wire.go_on()
    await expect(field).to_contain_text("old.png")
    await save(page)
    assert shop.image_of("Table") == url


async def test_a_file_is_dropped_and_beside_the_field_nothing_happens(
    page: Page, shop: Shop, picture: bytes
) -> None:
    field = await fill_in(page, shop, "Dropped")
    drop = """(target, bytes) => {
      const dataTransfer = new DataTransfer();
      const file = new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" });
      dataTransfer.items.add(file);
      const told = { bubbles: true, cancelable: true, composed: true, dataTransfer };
      const over = target.dispatchEvent(new DragEvent("dragover", told));
      return [over, target.dispatchEvent(new DragEvent("drop", told))];
    }"""
    # False: the browser shall do nothing of its own with it, such as opening it.
    assert await page.locator("h1").first.evaluate(drop, list(picture)) == [False, False]
    await expect(field).not_to_contain_text("dropped.png")
    assert await field.evaluate(drop, list(picture)) == [False, False]
    await uploaded(field)
    await save(page)
    assert (await read(await link(shop, str(shop.image_of("Dropped"))))).content == picture


async def test_by_keyboard_alone(page: Page, shop: Shop, picture: bytes) -> None:
    page.on("filechooser", lambda _: None)  # told this early, the browser is not late to heed it
    field = await fill_in(page, shop, "Keys")
    await expect(field).to_contain_text("Choose a file")
    await page.keyboard.press("Tab")
    async with page.expect_file_chooser() as opening:
        await page.keyboard.press("Enter")
    await (await opening.value).set_files([png("keys.png", picture)])
    await uploaded(field)
    await expect(field.get_by_role("status")).to_contain_text("keys.png\u2069” is uploaded.")
    # The focus has stayed in the row, and not on its Cancel.
    await page.keyboard.press("Tab")
    await expect(field.get_by_role("button", name="Replace keys.png")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(field.get_by_role("button", name="Undo")).to_be_focused()
