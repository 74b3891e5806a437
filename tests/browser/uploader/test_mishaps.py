"""uploader.js on a line that fails, and with services and buckets that refuse."""

import asyncio

import pytest
from playwright.async_api import BrowserContext, Page, Route

from tests.browser.line import MIB, PART, Files, Line, begin, load, outcome
from tests.browser.uploader.steps import file_of, heads, remembered
from tests.support.browser.chromium import Watch
from tests.support.browser.steps import break_first, cut, record
from tests.support.stores import rgw

pytestmark = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))


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


@pytest.mark.parametrize("count", [1, 3])
async def test_an_announcement_whose_answer_is_lost_makes_no_second_upload(
    page: Page, line: Line, files: Files, watch: Watch, count: int
) -> None:
    lost: list[str] = []

    async def lose(route: Route) -> None:
        answer = await (await route.fetch()).json()
        lost.extend(upload["id"] for upload in answer.get("uploads", [answer]))
        await route.abort()

    asked = record(page, "POST", f"{line.address}/v1/uploads")
    await break_first(page, "POST", f"{line.address}/v1/uploads", lose)
    chosen = [files.make(f"lost {n}.txt", 1000) for n in range(count)]
    await begin(page, line, chosen, destination="files")
    assert [file["id"] for file in await outcome(page)] == lost
    assert len([url for url in asked if not url.endswith("/confirm")]) == 2
    watch.expect("ERR_FAILED")


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


@pytest.mark.parametrize("destination", ["files", "puts", "parts"])
async def test_a_bucket_that_leaves_the_page_out_is_not_taken_for_a_lost_line(
    page: Page, line: Line, files: Files, watch: Watch, destination: str
) -> None:
    owner, path = line.gateway.client(), files.make("left-out.bin", 6 * MIB)
    kept = owner.get_bucket_cors(Bucket="line")["CORSRules"]
    sends = record(page, "POST" if destination == "files" else "PUT", line.bucket)
    try:
        others = [{**rule, "AllowedOrigins": ["https://other.example"]} for rule in kept]
        owner.put_bucket_cors(Bucket="line", CORSConfiguration={"CORSRules": others})
        await begin(page, line, [path], destination=destination)
        [error] = await outcome(page)
    finally:
        owner.put_bucket_cors(Bucket="line", CORSConfiguration={"CORSRules": kept})
    assert error["message"].startswith("The bucket does not let this page in")
    assert f" {line.page}:" in error["message"]
    assert error["retry"] is True
    assert "retrying" not in await page.evaluate("states")
    assert len(sends) <= 2  # of parts that begin together
    # Once it is let in, the upload goes on.
    await begin(page, line, [path], destination=destination)
    await file_of(page, line, files)
    watch.complaints.clear()


async def test_a_bucket_that_is_out_of_reach_is_told_from_a_lost_line(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    async def no_route(route: Route) -> None:
        await route.abort("addressunreachable")

    await page.route(f"{line.bucket}/**", no_route)
    await begin(page, line, [files.make("far.bin", MIB)], destination="puts", retries=0)
    [error] = await outcome(page)
    assert f"The service answers, but the bucket at {line.bucket} does not" in error["message"]
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
    assert size // 2 <= cut_at < size // 2 + MIB
    assert line.wire.sent - before <= size + 2 * PART + heads(sends)
    assert await page.evaluate("mostLeaving") == 2
    assert not any(url.endswith("/v1/uploads") for url in announced)


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
    await page.wait_for_function("localStorage.length")  # it is remembered beside the confirm
    await page.unroute(pattern)
    await load(page, line)
    sent = record(page, "PUT", line.bucket)
    await begin(page, line, [path], destination="puts")
    await file_of(page, line, files)
    assert sent == []


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
    assert error["message"].startswith("The file has changed")
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
