"""uploader.js in a page of another origin, against Ceph RGW over a wire that can fail."""

import asyncio
import hashlib
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route

from tests.browser.line import (
    MIB,
    PART,
    Files,
    Line,
    begin,
    load,
    open_line,
    outcome,
)
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.steps import break_first, cut, record
from tests.support.stores import rgw

pytestmark = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))


@pytest.fixture(scope="module")
def gateway() -> Iterator[rgw.Rgw]:
    with rgw.start_rgw() as gateway:
        yield gateway


@pytest.fixture(scope="module")
async def line(
    gateway: rgw.Rgw, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Line]:
    log = tmp_path_factory.mktemp("line") / "log"
    async with open_line(gateway, postgres_url, log) as line:
        yield line


@pytest.fixture
async def context(browser: Browser, line: Line, watch: Watch) -> AsyncIterator[BrowserContext]:
    async with watched(browser, watch) as context:
        yield context
    assert watch.complaints == []
    assert watch.origins <= {line.page, line.address, line.bucket}


@pytest.fixture
async def page(context: BrowserContext, line: Line) -> Page:
    page = await context.new_page()
    await load(page, line)
    return page


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def file_of(page: Page, line: Line, files: Files) -> dict[str, Any]:
    """The one file of the outcome, whose bytes are those that were chosen."""
    [file] = await outcome(page)
    assert file.get("state") == "confirmed", file
    assert await line.digest_of(file) == files.digests[file["filename"]]
    assert await page.evaluate("localStorage.length") == 0, "a finished upload is forgotten"
    return file


async def remembered(page: Page) -> str:
    """The id of the one upload that the page would go on with after a reload."""
    [entry] = await page.evaluate("Object.values(localStorage)")
    upload_id: str = json.loads(entry)["id"]
    return upload_id


def heads(requests: list[str]) -> int:
    """Bytes at most that these requests, and the questions whether they may be sent, begin with."""
    return 2 * 2048 * len(requests)


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
    assert await page.evaluate("uploads[0].cancel()") is True
    line.wire.go_on()
    assert [error["name"] for error in await outcome(page)] == ["AbortError"]
    assert (await line.api.get(f"/v1/uploads/{upload_id}")).status_code == 404
    assert await page.evaluate("localStorage.length") == 0
    s3 = line.gateway.client()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="line", Prefix="parts/")


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


@pytest.mark.parametrize("destination", ["files", "puts", "parts"])
async def test_dropped_connections_are_made_good(
    page: Page, line: Line, files: Files, watch: Watch, destination: str
) -> None:
    line.wire.cut(2 * MIB, 1 * MIB)
    await begin(page, line, [files.make("dropped.bin", 20 * MIB)], destination=destination)
    await file_of(page, line, files)
    assert line.wire.cuts_left == 0
    watch.complaints.clear()


async def test_what_the_bucket_and_the_service_say_later_is_tried_later(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    cors = {"Access-Control-Allow-Origin": "*"}

    async def slow_down(route: Route) -> None:
        body = "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
        await route.fulfill(status=503, headers=cors, content_type="application/xml", body=body)

    async def too_many(route: Route) -> None:
        exposed = {"Access-Control-Expose-Headers": "Retry-After"}
        await route.fulfill(status=429, headers={**cors, **exposed, "Retry-After": "1"}, json={})

    async def bad_gateway(route: Route) -> None:
        await route.fulfill(status=502, headers=cors, content_type="text/html", body="<h1>No</h1>")

    async def completing(route: Route) -> None:
        await route.fulfill(status=202, headers=cors, json={"state": "completing"})

    await break_first(page, "PUT", line.bucket, slow_down)
    await break_first(page, "POST", f"{line.address}/v1/uploads", too_many)
    await break_first(page, "POST", f"{line.address}/v1/uploads/", bad_gateway)
    await break_first(page, "POST", f"{line.address}/v1/uploads/", completing)
    await begin(page, line, [files.make("later.bin", 12 * MIB)], destination="parts")
    await file_of(page, line, files)
    for text in ("503", "429", "502"):
        watch.expect(text)


async def test_a_line_that_is_dead_is_given_up_and_tried_again(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    line.wire.stop_after(1 * MIB)
    await begin(page, line, [files.make("stalled.bin", 8 * MIB)], destination="puts", stall=500)
    await line.wire.stopped()
    await page.wait_for_function("states.includes('retrying')")
    line.wire.go_on()
    await file_of(page, line, files)


@pytest.mark.parametrize("destination", ["brief-posts", "brief-parts"])
async def test_expired_signatures_are_made_anew(
    page: Page, line: Line, files: Files, watch: Watch, destination: str
) -> None:
    # The first announcement is held until what it signed has expired, which its page cannot know
    # by its own clock: that is an hour late.
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        signed_until = (await answer.json())["upload"]["expires_at"]
        held.set()
        await page.wait_for_function(
            "end => realNow() > Date.parse(end) + 1000", arg=signed_until, polling=100
        )
        await route.fulfill(response=answer)

    await page.evaluate("globalThis.realNow = Date.now; Date.now = () => realNow() - 3_600_000")
    refused: list[int] = []
    page.on("response", lambda r: refused.append(r.status) if r.url.startswith(line.bucket) else 0)
    await break_first(page, "POST", f"{line.address}/v1/uploads", hold)
    await begin(page, line, [files.make("expired.bin", 20 * MIB)], destination=destination)
    await file_of(page, line, files)
    assert held.is_set()
    assert watch.complaints, "no signature had expired"
    watch.complaints.clear()


async def test_offline_waits_and_online_goes_on(
    page: Page, line: Line, files: Files, watch: Watch, context: BrowserContext
) -> None:
    line.wire.stop_after(10 * MIB)
    await begin(page, line, [files.make("offline.bin", 30 * MIB)], destination="parts", retries=1)
    await line.wire.stopped()
    await context.set_offline(True)
    line.wire.go_on()
    await page.wait_for_function("states.includes('offline')")
    await context.set_offline(False)
    await file_of(page, line, files)
    watch.complaints.clear()


async def test_a_reload_at_half_goes_on_from_the_parts_that_arrived(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    # 64 parts, so that a quick line takes as many at once as it ever does.
    size, before = 64 * PART, line.wire.sent
    sends = record(page, "PUT", line.bucket)
    path = files.make("reloaded.bin", size)
    line.wire.stop_after(size // 2)
    await begin(page, line, [path], destination="parts")
    await line.wire.stopped()
    cut_at = line.wire.sent - before
    await load(page, line)
    line.wire.go_on()
    announced = record(page, "POST", f"{line.address}/v1/uploads")
    await begin(page, line, [path], destination="parts")
    await file_of(page, line, files)
    watch.expect("409")  # it asks whether all had arrived
    assert size // 2 <= cut_at < size // 2 + MIB
    assert line.wire.sent - before <= size + 2 * PART + heads(sends)
    assert await page.evaluate("mostLeaving") == 2
    assert not any(url.endswith("/v1/uploads") for url in announced)


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


async def test_an_answer_that_is_cut_off_is_asked_for_again(
    page: Page, line: Line, files: Files
) -> None:
    cors = {"Access-Control-Allow-Origin": "*"}

    async def half(route: Route) -> None:
        await route.fulfill(status=200, headers=cors, body='{"id": "0191')

    await break_first(page, "POST", f"{line.address}/v1/uploads", half)
    await break_first(page, "POST", f"{line.address}/v1/uploads/", half)
    await begin(page, line, [files.make("halved.bin", 5)], destination="files")
    await file_of(page, line, files)


async def test_one_of_a_batch_that_may_work_later_is_announced_again(
    page: Page, line: Line, files: Files
) -> None:
    async def one_is_busy(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.json()
        busy = {"type": "urn:problem:bucket-unavailable", "title": "Busy", "status": 503}
        body["uploads"][1] = {"problem": busy}
        await route.fulfill(response=answer, json=body)

    await break_first(page, "POST", f"{line.address}/v1/uploads/batch", one_is_busy)
    paths = [files.make(f"{name}.bin", 5) for name in ("good", "busy", "fine")]
    await begin(page, line, paths, destination="files")
    stored = await outcome(page)
    assert [file.get("state") for file in stored] == ["confirmed"] * 3
    assert [file["filename"] for file in stored] == [path.name for path in paths]


async def test_an_upload_that_the_service_has_forgotten_begins_afresh(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    path = files.make("forgotten.bin", 12 * MIB)
    line.wire.stop_after(6 * MIB)
    await begin(page, line, [path], destination="parts")
    await line.wire.stopped()
    upload_id = await remembered(page)
    await load(page, line)
    line.wire.go_on()
    (await line.api.delete(f"/v1/uploads/{upload_id}")).raise_for_status()
    await begin(page, line, [path], destination="parts")
    assert (await file_of(page, line, files))["id"] != upload_id
    watch.complaints.clear()


async def test_an_upload_that_goes_away_on_its_way_begins_afresh(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    line.wire.stop_after(6 * MIB)
    await begin(page, line, [files.make("gone.bin", 30 * MIB)], destination="parts")
    await line.wire.stopped()
    upload_id = await remembered(page)
    (await line.api.delete(f"/v1/uploads/{upload_id}")).raise_for_status()
    line.wire.go_on()
    assert (await file_of(page, line, files))["id"] != upload_id
    watch.complaints.clear()


async def test_what_had_arrived_before_a_reload_is_not_sent_again(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    path = files.make("arrived.bin", 6 * MIB)
    reached = asyncio.Event()

    async def never(route: Route) -> None:
        reached.set()

    pattern = f"{line.address}/v1/uploads/*/confirm"
    await page.route(pattern, never)
    await begin(page, line, [path], destination="puts")
    await reached.wait()
    await page.unroute(pattern)
    await load(page, line)
    sent = record(page, "PUT", line.bucket)
    await begin(page, line, [path], destination="puts")
    await file_of(page, line, files)
    assert sent == []


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
    assert "1000000 bytes" in too_large["message"]
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


async def test_a_file_that_changes_under_way_is_said_in_words_at_once(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    path = files.make("changing.bin", 30 * MIB)
    line.wire.stop_after(6 * MIB)
    await begin(page, line, [path], destination="parts")
    await line.wire.stopped()
    path.write_bytes(b"something else")
    line.wire.go_on()
    [error] = await outcome(page)
    assert error["message"].startswith("The file cannot be read")
    assert error["retry"] is False
    watch.complaints.clear()


async def test_a_service_that_stays_away_is_said_in_words(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    asked = record(page, "POST", line.address)
    await page.route(f"{line.address}/v1/**", cut)
    await begin(page, line, [files.make("alone.bin", 10)], destination="files", retries=1)
    [error] = await outcome(page)
    assert (error["name"], error["status"], error["retry"]) == ("UploadError", 0, True)
    assert error["message"].startswith("The service cannot be reached")
    assert len(asked) == 2
    watch.expect("ERR_FAILED", times=2)


async def test_a_token_that_is_refused_is_asked_for_once_more(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    seen: list[str | None] = []

    async def check(route: Route) -> None:
        seen.append(await route.request.header_value("Authorization"))
        if seen[-1] == "Bearer token 1":
            cors = {"Access-Control-Allow-Origin": "*"}
            await route.fulfill(status=401, headers=cors, json={"title": "Who are you?"})
        else:
            await route.fallback()

    await page.route(
        lambda url: url.startswith(f"{line.address}/v1/"),
        lambda route: route.fallback() if route.request.method == "OPTIONS" else check(route),
    )
    await page.set_input_files("input", files.make("token.txt", 10))
    await page.evaluate(
        """endpoint => {
          let asked = 0;
          const token = async () => `token ${++asked}`;
          begin({ endpoint, token, headers: { "X-Request-ID": "mine" }, destination: "files" });
        }""",
        line.address,
    )
    await file_of(page, line, files)
    assert seen == ["Bearer token 1", "Bearer token 2", "Bearer token 3"]
    watch.expect("401")


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
