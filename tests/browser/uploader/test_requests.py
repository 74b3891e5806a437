"""The page of a request for files, `/r`, on a phone's screen, against Ceph RGW."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Request, expect

from tests.browser.line import MIB, Files, Line, open_line
from tests.support.browser.chromium import Watch, watched
from tests.support.service import logged
from tests.support.stores import rgw

pytestmark = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))

NOTE = "The pictures of the harbour, please.\n<b>Ann</b>"
PHONE = {"width": 390, "height": 844}


async def asked(line: Line, **body: Any) -> dict[str, Any]:
    wanted = {"destination": "parts", "note": NOTE} | body
    answer = await line.api.post("/v1/requests", json=wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def let_in(line: Line) -> None:
    """Let the service's own pages send to the bucket, beside those of other origins."""
    owner = line.gateway.client()
    rules = owner.get_bucket_cors(Bucket="line")["CORSRules"]
    ours = [
        {**rule, "AllowedOrigins": [*{*rule["AllowedOrigins"], line.address}]} for rule in rules
    ]
    owner.put_bucket_cors(Bucket="line", CORSConfiguration={"CORSRules": ours})


async def opened(context: BrowserContext, line: Line, request: dict[str, Any]) -> Page:
    let_in(line)
    page = await context.new_page()
    await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    await page.goto(line.address + request["link"])
    await expect(page.locator("#note")).to_have_text(NOTE)
    return page


def sent(page: Page, name: str) -> Locator:
    return page.locator("#sent > li").filter(has=page.get_by_text(name, exact=True))


async def choose(page: Page, *paths: Path) -> None:
    await page.get_by_label("Choose files").set_input_files(list(paths))


async def told(line: Line, request: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    """The maker's view: names, states, and who sent them."""
    items = (await line.api.get(f"/v1/requests/{request['id']}/files")).json()["items"]
    return [(item["filename"], item["state"], item["sender"]["name"]) for item in items]


@asynccontextmanager
async def another(browser: Browser, watch: Watch) -> AsyncIterator[BrowserContext]:
    """Somebody else's browser."""
    async with watched(browser, watch) as context:
        yield context


async def test_what_is_sent_arrives_and_only_its_sender_sees_it(
    context: BrowserContext, browser: Browser, line: Line, files: Files, watch: Watch
) -> None:
    request = await asked(line, max_files=3, max_size=8 * MIB)
    seen: list[Request] = []
    context.on("request", lambda one: seen.append(one))
    page = await opened(context, line, request)
    await expect(page.locator("#left")).to_contain_text("3 more files")
    await expect(page.locator("#sent-section")).to_be_hidden()

    await page.get_by_label("Your name").fill("Bob")
    await page.get_by_label("e-mail").fill("bob@example.com")
    one, large = files.make("one.txt", 1000), files.make("large.bin", 7 * MIB)
    await choose(page, one, large, files.make("vast.bin", 9 * MIB))
    await expect(sent(page, "one.txt")).to_contain_text("arrived")
    await expect(sent(page, "large.bin")).to_contain_text("arrived")
    refused = page.locator("#uploads > li")
    await expect(refused).to_have_count(1)
    await expect(refused).to_contain_text("The file is too large")

    await page.reload()
    await expect(sent(page, "large.bin")).to_contain_text("7 MiB, arrived")
    await expect(page.get_by_label("Your name")).to_have_value("Bob")
    await expect(page.locator("#left")).to_contain_text("1 more file,")
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate("scrollX || document.documentElement.scrollWidth") <= PHONE["width"]

    # Somebody else with the link sees nothing of it, and has what is left.
    async with another(browser, watch) as elsewhere:
        other = await opened(elsewhere, line, request)
        await expect(other.locator("#left")).to_contain_text("1 more file,")
        await expect(other.locator("#sent-section")).to_be_hidden()
        await choose(other, files.make("two.txt", 10), files.make("three.txt", 10))
        await expect(sent(other, "two.txt")).to_contain_text("arrived")
        await expect(other.locator("#uploads > li")).to_contain_text("Too many files")
        await expect(other.locator("#left")).to_contain_text("No more files")
        await expect(sent(page, "two.txt")).to_have_count(0)

        assert sorted(await told(line, request)) == [
            ("large.bin", "confirmed", "Bob"),
            ("one.txt", "confirmed", "Bob"),
            ("two.txt", "confirmed", None),
        ]
        # Closed: nobody sends anything any more.
        await line.api.delete(f"/v1/requests/{request['id']}")
        for one_page in (page, other):
            await one_page.reload()
            await expect(one_page.get_by_role("alert").first).to_contain_text("has ended")
            await expect(one_page.locator("#drop")).to_be_hidden()
    watch.expect("401", times=2)

    # Nobody but the service was told the token, and that in no address.
    token = request["link"].partition("#")[2]
    for one_request in seen:
        headers = await one_request.all_headers()
        assert token not in one_request.url.partition("#")[0]
        assert "referer" not in headers
        assert "cookie" not in headers
        if not one_request.url.startswith(f"{line.address}/v1/requests/open"):
            assert token not in str(headers)
    assert {r.url.split("?")[0] for r in seen} & {f"{line.address}/v1/requests/open"}
    assert line.log.stat().st_size
    assert token not in line.log.read_text()
    assert any(entry.get("event") == "request.opened" for entry in logged(line.log))


async def test_an_incomplete_link_and_one_of_nobody(
    context: BrowserContext, line: Line, watch: Watch
) -> None:
    page = await context.new_page()
    await page.goto(f"{line.address}/r")
    await expect(page.get_by_role("alert").first).to_contain_text("not complete")
    await page.goto(f"{line.address}/r#claimcheck_request_{'A' * 43}")
    await expect(page.get_by_role("alert").first).to_contain_text("has ended")
    await expect(page.locator("#drop")).to_be_hidden()
    watch.expect("401")


async def test_an_upload_goes_on_after_a_reload_with_the_keyboard_alone(
    context: BrowserContext, line: Line, files: Files, watch: Watch
) -> None:
    request = await asked(line)
    page = await opened(context, line, request)
    path = files.make("film.bin", 30 * MIB)
    line.wire.stop_after(12 * MIB)
    await choose(page, path)
    await line.wire.stopped()
    await line.wire.break_all()
    page.on("dialog", lambda dialog: dialog.accept())
    await page.reload()
    line.wire.go_on()
    await expect(sent(page, "film.bin")).to_contain_text("not finished")
    before = line.wire.sent
    async with page.expect_file_chooser() as chooser:
        # From the top: name, address, files.
        for _ in range(3):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
    await (await chooser.value).set_files(path)
    await expect(sent(page, "film.bin")).to_contain_text("arrived")
    assert line.wire.sent - before < 29 * MIB
    assert await told(line, request) == [("film.bin", "confirmed", None)]
    shown = (await line.api.get(f"/v1/requests/{request['id']}")).json()
    assert (shown["used_files"], shown["senders"]) == (1, 1)
    watch.complaints.clear()


@pytest.fixture(scope="module")
def large_gateway() -> Iterator[rgw.Rgw]:
    with rgw.start_rgw(8 << 30) as gateway:
        yield gateway


@pytest.mark.slow
async def test_three_gigabytes_twice_cut_and_once_reloaded_are_one_object(
    browser: Browser,
    large_gateway: rgw.Rgw,
    postgres_url: str,
    tmp_path: Path,
    watch: Watch,
) -> None:
    size = 3_000_000_000
    path = tmp_path / "film.bin"
    with path.open("wb") as file:
        file.truncate(size)
    async with (
        open_line(large_gateway, postgres_url, tmp_path / "log") as line,
        watched(browser, watch) as context,
    ):
        request = await asked(line, destination="large")
        page = await opened(context, line, request)
        page.on("dialog", lambda dialog: dialog.accept())

        async def sent_bytes(most: int) -> None:
            line.wire.stop_after(most)
            await line.wire.stopped()

        await choose(page, path)
        await sent_bytes(400 * MIB)
        await line.wire.break_all()
        line.wire.go_on()
        await sent_bytes(600 * MIB)
        await page.reload()
        line.wire.go_on()
        await expect(sent(page, "film.bin")).to_contain_text("not finished")
        await choose(page, path)
        await sent_bytes(500 * MIB)
        await line.wire.break_all()
        line.wire.go_on()
        await expect(sent(page, "film.bin")).to_contain_text("arrived", timeout=900_000)

        assert await told(line, request) == [("film.bin", "confirmed", None)]
        shown = (await line.api.get(f"/v1/requests/{request['id']}")).json()
        assert (shown["used_files"], shown["used_bytes"], shown["senders"]) == (1, size, 1)
        owner = large_gateway.client()
        [found] = owner.list_objects_v2(Bucket="line")["Contents"]
        assert found["Size"] == size
        assert not owner.list_multipart_uploads(Bucket="line").get("Uploads")
        assert line.wire.sent < size + 600 * MIB
    watch.complaints.clear()
