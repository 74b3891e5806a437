"""The page at `/` when something goes wrong."""

import httpx
from playwright.async_api import BrowserContext, Page, Route, expect

from tests.support.browser.chromium import Watch
from tests.support.browser.steps import (
    break_first,
    cut,
    listed,
    payload,
    record,
    stored,
    under_way,
    upload,
)


async def test_a_removal_that_fails_is_said_in_words(
    page: Page, service: str, picture: bytes, watch: Watch
) -> None:
    async def not_found(route: Route) -> None:
        problem = {
            "type": "urn:claimcheck:problem:file-not-found",
            "title": "File not found",
            "detail": "There is no such file any more.",
        }
        await route.fulfill(status=404, content_type="application/problem+json", json=problem)

    row = await upload(page, "gone.png", picture)
    await break_first(page, "DELETE", f"{service}/v1/files/", not_found)
    await row.get_by_role("button", name="Remove gone.png").click()
    await page.get_by_role("button", name="Remove from the list").click()
    await expect(page.locator("#notice")).to_contain_text("There is no such file any more.")
    await expect(row).to_be_visible()
    await page.locator("#notice").get_by_role("button", name="Dismiss").click()
    await expect(page.locator("#notice")).to_be_hidden()
    watch.expect("404")


async def test_a_wrong_type_is_refused_in_words_before_anything_is_sent(
    page: Page, api: httpx.AsyncClient, service: str
) -> None:
    announced = record(page, "POST", service)
    await page.get_by_label("Upload to").select_option("images")
    file = payload("notes.txt", b"just text", "text/plain")
    await page.get_by_label("Choose files").set_input_files(file)
    row = under_way(page, "notes.txt")
    await expect(row.get_by_role("alert")).to_have_text(
        "This type of file cannot go here “\u2068notes.txt\u2069” is text/plain. Choose any image."
    )
    await expect(row.get_by_role("button", name="Retry")).to_be_hidden()
    assert announced == []
    await row.get_by_role("button", name="Dismiss notes.txt").click()
    await expect(row).to_have_count(0)
    assert await stored(api, "notes.txt") == []


async def test_a_file_that_is_too_large_is_refused_in_words_before_anything_is_sent(
    page: Page, service: str
) -> None:
    async def limited(route: Route) -> None:
        answer = await (await route.fetch()).json()
        sizes = {"min_size": 1, "max_size": 100 << 20}
        await route.fulfill(json={"items": [one | sizes for one in answer["items"]]})

    await page.route("**/v1/destinations", limited)
    await page.reload()
    announced = record(page, "POST", service)
    await page.get_by_label("Upload to").select_option("images")
    await expect(page.locator("#accepts")).to_have_text("Takes any image, 1 byte to 100 MiB")
    vast = await page.evaluate_handle(
        """() => {
          const transfer = new DataTransfer();
          const type = "image/png";
          transfer.items.add(new File([new Uint8Array(101 << 20)], "vast.png", { type }));
          return transfer;
        }"""
    )
    await page.dispatch_event("#drop", "drop", {"dataTransfer": vast})
    row = under_way(page, "vast.png")
    await expect(row.get_by_role("alert")).to_have_text(
        "The file is too large "
        "“\u2068vast.png\u2069”: 101 MiB is more than the 100 MiB that may go here."
    )
    await expect(row.get_by_role("button", name="Retry")).to_be_hidden()
    assert announced == []


async def test_a_lost_connection_mends_itself(
    page: Page, service: str, bucket: str, picture: bytes, watch: Watch
) -> None:
    announcements = record(page, "POST", f"{service}/v1/uploads")
    sent = record(page, "POST", bucket)
    await break_first(page, "POST", bucket, cut)
    await upload(page, "lost.png", picture)
    assert len(sent) == 2
    assert [url.rpartition("/")[2] for url in announcements] == ["uploads", "renew", "confirm"]
    watch.expect("ERR_FAILED")
    watch.expect("403")  # of the question whether the bucket answers this page


async def test_a_put_whose_answer_was_lost_is_not_an_error(
    page: Page, bucket: str, picture: bytes, watch: Watch
) -> None:
    sent = record(page, "PUT", bucket)
    await upload(page, "by put.png", picture, "puts")
    assert len(sent) == 1

    async def lose_answer(route: Route) -> None:
        assert (await route.fetch()).status == 200
        await route.abort()

    await break_first(page, "PUT", bucket, lose_answer)
    # The store refuses the second PUT of one key, which tells that the first had arrived.
    await upload(page, "put twice.png", picture, "puts")
    assert len(sent) == 3
    watch.expect("ERR_FAILED")
    watch.expect("403")
    watch.expect("412")


async def test_a_lost_confirmation_does_not_send_the_file_again(
    page: Page, service: str, bucket: str, picture: bytes, watch: Watch
) -> None:
    sent = record(page, "POST", bucket)
    await break_first(page, "POST", f"{service}/v1/uploads/", cut)
    await upload(page, "confirmed later.png", picture)
    assert len(sent) == 1
    watch.expect("ERR_FAILED")


async def test_when_the_bucket_refuses_twice_the_page_says_why_and_retry_goes_on(
    page: Page, bucket: str, picture: bytes, watch: Watch
) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(
            status=403,
            headers={"Access-Control-Allow-Origin": "*"},
            content_type="application/xml",
            body="<Error><Code>AccessDenied</Code><Message>Policy expired</Message></Error>",
        )

    await page.get_by_label("Upload to").select_option("images")
    # The first refusal could be a form that has expired: it is signed anew.
    await break_first(page, "POST", bucket, refuse)
    await break_first(page, "POST", bucket, refuse)
    await page.get_by_label("Choose files").set_input_files(payload("refused.png", picture))
    row = under_way(page, "refused.png")
    await expect(row.get_by_role("alert")).to_contain_text("AccessDenied: Policy expired")
    await row.get_by_role("button", name="Retry refused.png").click()
    await expect(listed(page, "refused.png")).to_be_visible()
    watch.expect("403", times=2)
    # Where the body had left, it asks whether the file had arrived after all.
    watch.allow("409")


async def test_when_the_service_is_away_the_page_says_so_and_tries_again(
    page: Page, watch: Watch
) -> None:
    await page.route("**/v1/destinations", cut, times=1)
    await page.reload()
    notice = page.get_by_role("alert").filter(has_text="The service cannot be reached")
    await expect(notice).to_be_visible()
    await expect(page.get_by_label("Choose files")).to_be_disabled()
    await notice.get_by_role("button", name="Try again").click()
    await expect(page.get_by_label("Choose files")).to_be_enabled()
    await expect(notice).to_be_hidden()
    watch.expect("ERR_FAILED")


async def test_an_error_page_of_a_proxy_is_said_in_words(page: Page, watch: Watch) -> None:
    async def bad_gateway(route: Route) -> None:
        await route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>")

    await page.route("**/v1/destinations", bad_gateway, times=1)
    await page.reload()
    await expect(page.locator("#notice")).to_contain_text("The service answered with status 502")
    watch.expect("502")


async def test_offline_and_refused_are_told_apart(
    page: Page, context: BrowserContext, picture: bytes, watch: Watch
) -> None:
    offline = page.get_by_text("You are offline. Uploads go on when the connection is back.")
    await expect(offline).to_be_hidden()
    await page.get_by_label("Upload to").select_option("images")
    await page.get_by_label("Choose files").set_input_files(payload("no.txt", b"x", "text/plain"))
    await expect(under_way(page, "no.txt")).to_contain_text("Refused, 1 byte")
    await context.set_offline(True)
    await expect(offline).to_be_visible()
    await page.get_by_label("Choose files").set_input_files(payload("later.png", picture))
    row = under_way(page, "later.png")
    await expect(row).to_contain_text("No connection, going on when it is back")
    await expect(row.get_by_role("alert")).to_be_hidden()
    await context.set_offline(False)
    await expect(offline).to_be_hidden()
    await expect(listed(page, "later.png")).to_be_visible()
    watch.allow("ERR_INTERNET_DISCONNECTED")
