"""uploader.js on a line that works: files of all sizes, several at once, paused, cancelled."""

import hashlib
from base64 import b64decode
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page

from tests.browser.line import MIB, PART, Files, Line, begin, load, outcome
from tests.browser.uploader.steps import file_of, heads, remembered
from tests.support.browser.steps import record
from tests.support.stores import rgw

pytestmark = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))


@pytest.mark.parametrize("destination", ["files", "puts", "parts"])
@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
async def test_a_small_file(
    page: Page, line: Line, files: Files, destination: str, size: int
) -> None:
    await begin(page, line, [files.make("small.txt", size)], destination=destination)
    file = await file_of(page, line, files)
    assert (file["size"], file["content_type"]) == (size, "text/plain")
    assert await page.evaluate("loaded") == size
    assert await page.evaluate("states") == ["sending", "confirming"]


async def test_sixty_megabytes_go_in_parts_several_at_a_time(
    page: Page, line: Line, files: Files
) -> None:
    parts = record(page, "PUT", line.bucket)
    await begin(page, line, [files.make("large.bin", 60 * MIB)], destination="parts")
    file = await file_of(page, line, files)
    assert file["size"] == 60 * MIB
    assert len(parts) == 60 // 5
    assert await page.evaluate("mostLeaving") == 2


@pytest.mark.parametrize("name", ["日本語の動画.bin", "фото на море.bin", "صورة (1).bin", "😀.bin"])
async def test_names_in_other_scripts_are_kept(
    page: Page, line: Line, files: Files, name: str
) -> None:
    await begin(page, line, [files.make(name, 6 * MIB)], destination="parts")
    file = await file_of(page, line, files)
    assert file["filename"] == name
    assert file["key"].isascii()


async def test_pause_stops_the_bytes_and_resume_goes_on(
    page: Page, line: Line, files: Files
) -> None:
    size, before = 30 * MIB, line.wire.sent
    sends = record(page, "PUT", line.bucket)
    line.wire.stop_after(size // 2)
    await begin(page, line, [files.make("paused.bin", size)], destination="parts")
    await line.wire.stopped()
    await page.evaluate("uploads[0].pause()")
    line.wire.go_on()
    assert await page.evaluate("states.at(-1)") == "paused"
    already = len(sends)
    # A second upload comes and goes: nothing of the first one moves meanwhile.
    await page.evaluate(
        "void ([globalThis.first, globalThis.firstOutcome] = [uploads[0], outcome])"
    )
    await begin(page, line, [files.make("beside.txt", 5)], destination="files")
    await outcome(page)
    assert len(sends) == already
    await page.evaluate("first.resume(); void (globalThis.outcome = firstOutcome)")
    await file_of(page, line, files)
    assert line.wire.sent - before <= size + 2 * PART + heads(sends)


async def test_cancel_leaves_nothing(page: Page, line: Line, files: Files) -> None:
    line.wire.stop_after(6 * MIB)
    await begin(page, line, [files.make("cancelled.bin", 30 * MIB)], destination="parts")
    await line.wire.stopped()
    upload_id = await remembered(page)
    key = (await line.api.get(f"/v1/uploads/{upload_id}")).json()["key"]
    s3 = line.gateway.client()
    assert "Uploads" in s3.list_multipart_uploads(Bucket="line", Prefix=key)
    assert await page.evaluate("uploads[0].cancel()") is True
    line.wire.go_on()
    assert [error["name"] for error in await outcome(page)] == ["AbortError"]
    assert (await line.api.get(f"/v1/uploads/{upload_id}")).status_code == 404
    assert await page.evaluate("localStorage.length") == 0
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="line", Prefix=key)


async def test_a_signal_cancels_too(page: Page, line: Line, files: Files) -> None:
    await page.evaluate("globalThis.controller = new AbortController()")
    line.wire.stop_after(1 * MIB)
    await page.set_input_files("input", files.make("signalled.bin", 12 * MIB))
    await page.evaluate(
        "endpoint => begin({ endpoint, destination: 'puts' }, { signal: controller.signal })",
        line.address,
    )
    await line.wire.stopped()
    await page.evaluate("controller.abort()")
    line.wire.go_on()
    assert [error["name"] for error in await outcome(page)] == ["AbortError"]
    # One that is over before it began announces nothing.
    announced = record(page, "POST", line.address)
    await page.evaluate(
        "endpoint => begin({ endpoint, destination: 'puts' }, { signal: controller.signal })",
        line.address,
    )
    assert [error["name"] for error in await outcome(page)] == ["AbortError"]
    assert announced == []


@pytest.mark.parametrize("when", ["on its way", "before its turn"])
async def test_two_tabs_with_one_file_do_not_share_an_upload(
    page: Page, context: BrowserContext, line: Line, files: Files, when: str
) -> None:
    path = files.make("both.bin", 6 * MIB)
    line.wire.stop_after(2 * MIB)
    await begin(page, line, [path], destination="parts")
    await line.wire.stopped()
    upload_id = await remembered(page)
    other = await context.new_page()
    await load(other, line)
    await other.set_input_files("input", path)
    cancelled = await other.evaluate(
        """async ([endpoint, when]) => {
          begin({ endpoint, destination: "parts" });
          while (when === "on its way" && !states.includes("sending")) {
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
          return uploads[0].cancel();
        }""",
        [line.address, when],
    )
    assert cancelled is True
    line.wire.go_on()
    [file] = await outcome(page)
    assert file.get("id") == upload_id, file
    assert await line.digest_of(file) == files.digests["both.bin"]


async def test_blobs_that_nothing_tells_apart_are_never_mixed(
    page: Page, line: Line, files: Files
) -> None:
    size = 4 * PART
    blobs = "globalThis.chosen = () => [new Blob([new Uint8Array(%d).fill(%d)])]"
    line.wire.stop_after(size // 2)
    await page.evaluate(blobs % (size, 1))
    await page.evaluate("endpoint => begin({ endpoint, destination: 'parts' })", line.address)
    await line.wire.stopped()
    await load(page, line)
    line.wire.go_on()
    await page.evaluate(blobs % (size, 2))
    await page.evaluate("endpoint => begin({ endpoint, destination: 'parts' })", line.address)
    [file] = await outcome(page)
    assert await line.digest_of(file) == hashlib.sha256(b"\2" * size).hexdigest()


async def test_twenty_files_are_announced_together_and_sent_a_few_at_a_time(
    page: Page, line: Line, files: Files
) -> None:
    paths = [files.make(f"{number}.bin", 1000 * number) for number in range(20)]
    announced = record(page, "POST", f"{line.address}/v1/uploads")
    await begin(page, line, paths, destination="files")
    stored = await outcome(page)
    assert [file.get("filename") for file in stored] == [path.name for path in paths]
    for file in stored:
        assert await line.digest_of(file) == files.digests[file["filename"]]
    assert [url for url in announced if not url.endswith("/confirm")] == [
        f"{line.address}/v1/uploads/batch"
    ]
    assert 1 < await page.evaluate("mostAtOnce") <= 4


async def test_a_slow_line_takes_no_more_than_two_at_once(
    page: Page, line: Line, files: Files
) -> None:
    line.wire.rate = 150_000
    try:
        paths = [files.make(f"slow {number}.bin", 320_000) for number in range(4)]
        await begin(page, line, paths, destination="files")
        assert [file["size"] for file in await outcome(page)] == [320_000] * 4
    finally:
        line.wire.rate = None
    assert await page.evaluate("mostAtOnce") == 2


async def test_one_that_is_refused_does_not_hold_up_the_others(
    page: Page, line: Line, files: Files
) -> None:
    paths = [files.make("a.png", 100), files.make("b.txt", 100), files.make("c.png", 2_000_000)]
    await begin(page, line, paths, destination="pictures")
    good, wrong_type, too_large = await outcome(page)
    assert good["state"] == "confirmed"
    assert (wrong_type["name"], wrong_type["type"]) == ("UploadError", "content-type-not-allowed")
    assert too_large["type"] == "size-not-allowed"
    assert "977 KiB" in too_large["message"]
    assert not wrong_type["retry"]


async def test_the_same_file_chosen_twice_becomes_two(page: Page, line: Line, files: Files) -> None:
    path = files.make("twin.bin", 6 * MIB)
    await page.set_input_files("input", path)
    await page.evaluate(
        "globalThis.chosen = () => Array(2).fill(document.querySelector('input').files[0])"
    )
    await page.evaluate("endpoint => begin({ endpoint, destination: 'parts' })", line.address)
    one, other = await outcome(page)
    assert one["id"] != other["id"]
    for file in (one, other):
        assert await line.digest_of(file) == files.digests["twin.bin"]


@pytest.mark.slow
async def test_a_gibibyte_costs_the_service_nothing(page: Page, line: Line, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    small = tmp_path / "small.bin"
    small.write_bytes(bytes(PART))
    # The first upload loads and caches what every upload needs.
    await begin(page, line, [small], destination="parts")
    await outcome(page)
    before = line.service.resident_memory()
    await begin(page, line, [large], destination="large")
    [stored] = await outcome(page)
    assert stored.get("size") == 1 << 30, stored
    assert await page.evaluate("mostLeaving") == 2
    assert line.service.resident_memory() - before < 5_000_000


async def test_the_hash_of_a_file_up_to_a_size_is_announced(
    page: Page, line: Line, files: Files
) -> None:
    paths = [files.make("hashed.bin", 1000), files.make("larger.bin", 1001)]
    await begin(page, line, paths, destination="puts", sha256=1000)
    hashed, larger = await outcome(page)
    digest = b64decode(hashed["checksum_sha256"]).hex()
    assert digest == files.digests["hashed.bin"]
    assert larger["checksum_sha256"] is None
