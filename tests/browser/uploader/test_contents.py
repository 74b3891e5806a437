"""uploader.js and files that only their contents tell apart, or that change while they are sent."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from playwright.async_api import BrowserContext, Page, Route, async_playwright

from tests.browser.line import MIB, PART, PLAIN, Files, Line, begin, load, outcome
from tests.browser.uploader.steps import file_of, heads, remembered
from tests.support.browser.chromium import Watch, launched
from tests.support.browser.steps import record
from tests.support.stores import rgw

pytestmark = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))

SECOND = 1_700_000_000


def twin(folder: Path, name: str, data: bytes) -> tuple[Path, str]:
    """A file whose time is that of all others, and its SHA-256 in hex."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (SECOND, SECOND))
    return path, hashlib.sha256(data).hexdigest()


def twins(folder: Path, size: int, at: int) -> list[tuple[Path, str]]:
    """Two files of one name, size and time that differ in the byte at `at`."""
    data = bytearray(hashlib.shake_256(b"REC").digest(size))
    one = twin(folder / "one", "REC_0001.bin", bytes(data))
    data[at] ^= 1
    return [one, twin(folder / "other", "REC_0001.bin", bytes(data))]


async def stored(page: Page, line: Line) -> list[tuple[str, str]]:
    """Id and digest of each file of the outcome."""
    files = await outcome(page)
    assert [file.get("state") for file in files] == ["confirmed"] * len(files), files
    return [(file["id"], await line.digest_of(file)) for file in files]


async def interrupted(page: Page, line: Line, path: Path, destination: str = "parts") -> str:
    """Send a part of the file and half of another, then close the page; the upload's id."""
    line.wire.stop_after(PART + PART // 2)
    await begin(page, line, [path], destination=destination)
    await line.wire.stopped()
    upload_id = await remembered(page)
    await page.goto("about:blank")
    line.wire.go_on()
    await load(page, line)
    return upload_id


@pytest.mark.parametrize("at", [0, PART + 100, 12 * MIB - 1])
async def test_a_file_that_differs_in_one_byte_is_another(
    page: Page, line: Line, tmp_path: Path, watch: Watch, at: int
) -> None:
    (one, its), (other, others) = twins(tmp_path, 12 * MIB, at)
    upload_id = await interrupted(page, line, one)
    await begin(page, line, [other], destination="parts")
    [(other_id, digest)] = await stored(page, line)
    assert digest == others
    if at < 2 * PART:  # a byte that was sent; what was sent of both alike may be of either
        assert other_id != upload_id
    # The first one goes on where it was.
    await load(page, line)
    await begin(page, line, [one], destination="parts")
    [(first_id, digest)] = await stored(page, line)
    assert digest == its
    assert (first_id == upload_id) is (other_id != upload_id)
    assert await page.evaluate("localStorage.length") == 0
    # Where the last part had begun to leave, too, it asks whether all had arrived.
    watch.allow("409")


@pytest.mark.parametrize("destination", ["files", "puts", "parts"])
@pytest.mark.parametrize("is_in_folders", [True, False])
async def test_files_of_one_name_that_were_sent_but_not_confirmed_keep_their_own_bytes(
    page: Page, line: Line, tmp_path: Path, destination: str, is_in_folders: bool
) -> None:
    made = [twin(tmp_path / "scans" / name, "IM0001", name.encode() * 9) for name in "ab"]
    chosen = tmp_path / "scans" if is_in_folders else [path for path, _ in made]
    confirms = f"{line.address}/v1/uploads/*/confirm"
    asked = asyncio.Semaphore(0)

    async def hold(_: Route) -> None:
        asked.release()

    await page.route(confirms, hold)

    async def choose() -> None:
        if is_in_folders:
            await page.evaluate("document.querySelector('input').webkitdirectory = true")
        await page.set_input_files("input", chosen)
        options = {"endpoint": line.address, "destination": destination}
        await page.evaluate("options => begin(options)", options)

    await choose()
    # By then all bytes have arrived; in parts they are remembered before that.
    for _ in made:
        await asyncio.wait_for(asked.acquire(), 60)
    await page.wait_for_function("Object.keys(localStorage).length === 2")
    await page.goto("about:blank")
    await page.unroute(confirms)
    await load(page, line)
    sent = record(page, "PUT", line.bucket), record(page, "POST", line.bucket)
    await choose()
    digests = sorted(digest for _, digest in await stored(page, line))
    assert digests == sorted(digest for _, digest in made)
    assert sent == ([], [])


async def test_two_tabs_with_files_of_one_name_keep_their_own_bytes(
    page: Page, context: BrowserContext, line: Line, tmp_path: Path
) -> None:
    (one, its), (other, others) = twins(tmp_path, 12 * MIB, PART + 100)
    line.wire.stop_after(PART + PART // 2)
    await begin(page, line, [one], destination="parts")
    await line.wire.stopped()
    tab = await context.new_page()
    await load(tab, line)
    await begin(tab, line, [other], destination="parts")
    await tab.wait_for_function("states.includes('sending')")
    line.wire.go_on()
    [(first, digest)] = await stored(page, line)
    [(second, digest_of_other)] = await stored(tab, line)
    assert first != second
    assert (digest, digest_of_other) == (its, others)
    assert await page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("destination", ["files", "puts", "parts"])
async def test_a_file_that_is_rewritten_while_it_is_sent_is_cancelled(
    page: Page, line: Line, tmp_path: Path, watch: Watch, destination: str
) -> None:
    path, _ = twin(tmp_path, "rewritten.bin", b"old " * 1_750_000)
    line.wire.stop_after(400_000)
    async with page.expect_response(f"{line.address}/v1/uploads") as announced:
        await begin(page, line, [path], destination=destination)
    upload = await (await announced.value).json()
    await line.wire.stopped()
    path.write_bytes(b"new " * 1_750_000)
    line.wire.go_on()
    [error] = await outcome(page)
    assert error["message"].startswith("The file has changed")
    assert (error["retry"], error["status"]) == (False, 0)
    assert (await line.api.get(f"/v1/uploads/{upload['id']}")).status_code == 404
    with pytest.raises(ClientError, match="404"):
        line.gateway.client().head_object(Bucket="line", Key=upload["key"])
    assert await page.evaluate("localStorage.length") == 0
    watch.complaints.clear()


async def test_a_browser_that_will_not_send_a_file_is_not_said_to_be_a_matter_of_cors(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    async def cut(route: Route) -> None:
        await (route.abort() if route.request.method == "PUT" else route.fallback())

    await page.route(f"{line.bucket}/**", cut)
    await begin(page, line, [files.make("cloud.bin", 9)], destination="puts", retries=1)
    [error] = await outcome(page)
    assert error["retry"] is True
    assert "The bucket answers this page, but no byte of the file left" in error["message"]
    watch.complaints.clear()


async def test_parts_whose_answers_are_lost_are_not_sent_again(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    size, before = 30 * MIB, line.wire.sent
    sends = record(page, "PUT", line.bucket)
    line.wire.lose_answers(6)
    await begin(page, line, [files.make("unanswered.bin", size)], destination="parts")
    await file_of(page, line, files)
    assert line.wire.answers_left == 0
    assert len(sends) == 6
    assert line.wire.sent - before <= size + heads(sends)
    assert await page.evaluate("falls") == 0
    watch.complaints.clear()


@pytest.mark.parametrize("destination", ["files", "parts"])
async def test_the_bar_stands_still_while_the_line_is_down(
    page: Page, line: Line, files: Files, watch: Watch, destination: str
) -> None:
    line.wire.cut(4 * MIB, 0, 0, 0)
    await begin(page, line, [files.make("down.bin", 12 * MIB)], destination=destination)
    await file_of(page, line, files)
    assert line.wire.cuts_left == 0
    assert await page.evaluate("falls") == 0
    watch.complaints.clear()


@pytest.fixture
async def plain_page(line: Line) -> AsyncIterator[Page]:
    """A page of plain http, whose browser therefore has neither WebCrypto nor locks."""
    async with (
        async_playwright() as playwright,
        launched(playwright, f"--host-resolver-rules=MAP {PLAIN} 127.0.0.1") as browser,
    ):
        page = await (await browser.new_context()).new_page()
        await page.goto(line.plain)
        await page.wait_for_selector("[data-ready]", state="attached")
        assert await page.evaluate("[isSecureContext, crypto.subtle]") == [False, None]
        yield page


async def test_on_plain_http_nothing_is_remembered(
    plain_page: Page, line: Line, tmp_path: Path
) -> None:
    (one, its), (other, others) = twins(tmp_path, 12 * MIB, PART + 100)
    line.wire.stop_after(PART + PART // 2)
    await begin(plain_page, line, [one], destination="parts")
    await line.wire.stopped()
    assert await plain_page.evaluate("localStorage.length") == 0
    await plain_page.reload()
    line.wire.go_on()
    await plain_page.wait_for_selector("[data-ready]", state="attached")
    for path, digest in ((other, others), (one, its)):
        await begin(plain_page, line, [path], destination="parts")
        assert [found for _, found in await stored(plain_page, line)] == [digest]


async def test_on_plain_http_two_tabs_keep_their_own_bytes(
    plain_page: Page, line: Line, tmp_path: Path
) -> None:
    (one, its), (other, others) = twins(tmp_path, 12 * MIB, PART + 100)
    tab = await plain_page.context.new_page()
    await tab.goto(line.plain)
    await tab.wait_for_selector("[data-ready]", state="attached")
    await begin(plain_page, line, [one], destination="parts")
    await begin(tab, line, [other], destination="parts")
    both = await asyncio.gather(stored(plain_page, line), stored(tab, line))
    assert [digest for [(_, digest)] in both] == [its, others]
