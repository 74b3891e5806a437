"""Uppy 5 and 6, unmodified, from another origin, through the service to Ceph RGW."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, Route

from app.core.bucket_setup import Aspect, StoreKind, needs_of, target_config
from app.core.destination import Destination
from app.core.principal import Scope
from app.errors import BucketUnavailable
from app.routers.uppy import late_failure
from app.settings.model import load_settings
from tests.browser import uppy
from tests.support.browser.packages import needs_npm
from tests.support.browser.wire import Wire, wired
from tests.support.service import Store, key_for, served
from tests.support.steps import minted
from tests.support.stores import free_port, rgw

pytestmark = [
    pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available())),
    needs_npm,
]

BUCKET = "uppy"
MB = 1_000_000
LARGE = 60 * MB
PART = 5 * 1024 * 1024
# Parts under way at the same time: what of them had not arrived is sent again.
AT_ONCE = {5: 6, 6: 1}
DESTINATIONS = {"files": {"max_size": LARGE + 4 * MB}, "puts": {"method": "put"}}


@dataclass(frozen=True)
class Bench:
    """The service, the wire between browsers and its bucket, and the pages' origin."""

    api: httpx.AsyncClient
    wire: Wire
    origin: str


async def stored(api: httpx.AsyncClient, name: str) -> list[str]:
    """The ids of the service's files of this name."""
    items = (await api.get("/v1/files", params={"limit": 100})).json()["items"]
    return [item["id"] for item in items if item["filename"] == name]


async def hash_of(file: dict[str, Any]) -> str:
    """SHA-256 of what the file's link serves."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        return hashlib.sha256((await web.get(file["presigned_url"])).content).hexdigest()


@pytest.fixture(scope="session")
async def bench(
    postgres_url: str, packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    folder = tmp_path_factory.mktemp("uppy")
    origin = f"http://127.0.0.1:{free_port()}"
    with rgw.start_rgw() as gateway:
        owner = gateway.client()
        owner.create_bucket(Bucket=BUCKET)
        needs = needs_of([Destination(name="files", bucket=BUCKET)], [origin])
        rules = target_config(Aspect.CORS, needs, {}, StoreKind.CEPH)
        owner.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=rules)
        user = gateway.create_service_user("service", BUCKET)
        store = Store(gateway.endpoint_url, user.access_key, user.secret_key)
        async with wired(gateway.endpoint_url) as (wire, public):
            environ = {
                "DATABASE_URL": postgres_url,
                "CLAIMCHECK_AUTH": "keys",
                "CLAIMCHECK_CORS_ORIGINS": origin,
                "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
                "AWS_S3_PUBLIC_ENDPOINT_URL": public,
                **store.environ(BUCKET),
            }
            async with served(environ, folder / "log") as service:
                key = await key_for(load_settings(environ), *Scope, owner="shop")
                service.client.headers.update(key)
                scripts = {}
                for name in DESTINATIONS:
                    session = await minted(
                        service.client, destination=name, max_files=1000, unsized=True
                    )
                    address = str(service.client.base_url)
                    code = uppy.guides_code(address, name, session["token"])
                    for major in uppy.MAJORS:
                        scripts[f"{major}-{name}"] = uppy.bundled(packages, major, code)
                session = await minted(service.client, max_files=10)
                code = uppy.guides_code(address, "files", session["token"]) + uppy.guides_size()
                for major in uppy.MAJORS:
                    scripts[f"{major}-sized"] = uppy.bundled(packages, major, code)
                with uppy.pages(origin, scripts):
                    yield Bench(service.client, wire, origin)


@pytest.fixture(params=uppy.MAJORS)
def major(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
async def page(browser: Browser, bench: Bench) -> AsyncIterator[Page]:
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    yield await context.new_page()
    bench.wire.go_on()
    await context.close()


async def opened(page: Page, bench: Bench, major: int, destination: str = "files") -> None:
    """The guide's page, with that Uppy in it."""
    await page.goto(f"{bench.origin}/{major}-{destination}")
    version = await page.evaluate("plugin().constructor.VERSION")
    assert version == {5: "5.1.0", 6: "6.3.1"}[major]


async def start_upload(page: Page, name: str, size: int = LARGE) -> str:
    """Begin to upload a file, whose id in Uppy this is; the end is for `ended`."""
    file_id = await page.evaluate("([name, size]) => add(name, size)", [name, size])
    await page.evaluate("() => { globalThis.result = null; uppy.upload().then(r => result = r); }")
    return str(file_id)


async def ended(page: Page) -> tuple[list[str], list[str]]:
    """The names of what has succeeded and of what has failed."""
    await page.wait_for_function("result !== null")
    names: list[list[str]] = await page.evaluate(
        "[result.successful, result.failed].map(files => files.map(file => file.name))"
    )
    return names[0], names[1]


async def kept(page: Page, count: int = 1) -> list[dict[str, Any]]:
    """The guide's own record of the files, as soon as it has that many."""
    await page.wait_for_function(
        "count => uppy.getFiles().filter(file => file.meta.stored).length === count", arg=count
    )
    kept: list[dict[str, Any]] = await page.evaluate("uppy.getFiles().map(f => f.meta.stored)")
    return kept


async def is_stored(page: Page, bench: Bench, file_id: str, name: str) -> None:
    """The upload has ended well, and the service has the file with the very bytes."""
    assert await ended(page) == ([name], [])
    [file] = await kept(page)
    assert (file["state"], file["filename"]) == ("confirmed", name)
    assert await stored(bench.api, name) == [file["id"]]
    assert await hash_of(file) == await page.evaluate("id => digest(id)", file_id)


async def state_of(bench: Bench, upload_id: str) -> str:
    answer = (await bench.api.get(f"/v1/uploads/{upload_id}")).json()
    return str(answer.get("state", "gone"))


async def uploaded(
    page: Page, api: httpx.AsyncClient, names: dict[str, int], destination: str
) -> None:
    """Uppy sends these empty and small files, and the service has them with the very bytes."""
    ids = [await page.evaluate("([n, s]) => add(n, s)", [n, s]) for n, s in names.items()]
    await page.evaluate("() => { globalThis.result = null; uppy.upload().then(r => result = r); }")
    assert await ended(page) == (list(names), [])
    files = await kept(page, len(names))
    for file_id, file, (name, size) in zip(ids, files, names.items(), strict=True):
        assert (file["state"], file["filename"], file["size"]) == ("confirmed", name, size)
        assert file["destination"] == destination
        assert await stored(api, name) == [file["id"]]
        assert await hash_of(file) == await page.evaluate("id => digest(id)", file_id)
    assert files[0]["content_type"] == "application/octet-stream"


@pytest.mark.parametrize(
    # RGW 16.2 sends no ETag with its answer to a form, and Uppy 5 waits for one for ever.
    ("major", "destination"),
    [(5, "puts"), (6, "files")],
)
async def test_small_files(bench: Bench, page: Page, major: int, destination: str) -> None:
    await opened(page, bench, major, destination)
    names = {f"日本語の写真 {major}.bin": 70_000, f"صورة {major}.txt": 5, f"пусто {major}.bin": 0}
    await uploaded(page, bench.api, names, destination)


async def test_uppy_5_sends_forms_where_they_are_answered_with_an_etag(
    page: Page, service: str, foreign_origin: str, api: httpx.AsyncClient, packages: Path
) -> None:
    script = uppy.bundled(packages, 5, uppy.guides_code(service, "files"))
    with uppy.pages(foreign_origin, {"forms": script}):
        await page.goto(f"{foreign_origin}/forms")
        await uploaded(page, api, {"per Formular.bin": 70_000}, "files")


async def test_a_large_file_in_parts(bench: Bench, page: Page, major: int) -> None:
    await opened(page, bench, major)
    name = f"大きいファイル {major}.bin"
    file_id = await start_upload(page, name)
    await is_stored(page, bench, file_id, name)
    assert sorted(await page.evaluate("parts")) == list(range(1, 13))


async def test_with_its_size_a_session_need_not_take_others(
    bench: Bench, page: Page, major: int
) -> None:
    """Each part then has its length signed, which is as Uppy cuts it."""
    await opened(page, bench, major, "sized")
    name = f"sized {major}.bin"
    async with page.expect_request(lambda request: "partNumber=12" in request.url) as sent:
        file_id = await start_upload(page, name)
    assert "content-length" in (await sent.value).url
    await is_stored(page, bench, file_id, name)
    assert sorted(await page.evaluate("parts")) == list(range(1, 13))
    too_large = await page.evaluate(
        """async () => {
          const id = add("larger.bin", 65 * 1000 * 1000);
          await uppy.upload();
          return [uppy.getFile(id).error, parts.length];
        }"""
    )
    assert too_large[0]
    assert too_large[1] == 12  # refused before anything was sent


async def test_pause_and_resume(bench: Bench, page: Page, major: int) -> None:
    await opened(page, bench, major)
    before = bench.wire.sent
    bench.wire.stop_after(LARGE // 2)
    file_id = await start_upload(page, f"paused {major}.bin")
    await bench.wire.stopped()
    await page.evaluate("uppy.pauseAll()")
    await bench.wire.break_all()
    bench.wire.go_on()
    assert await page.evaluate("result") is None
    await page.evaluate("uppy.resumeAll()")
    await is_stored(page, bench, file_id, f"paused {major}.bin")
    assert bench.wire.sent - before < LARGE + (AT_ONCE[major] + 1) * PART


async def test_cancel_drops_what_was_sent(bench: Bench, page: Page, major: int) -> None:
    await opened(page, bench, major)
    bench.wire.stop_after(LARGE // 3)
    file_id = await start_upload(page, f"cancelled {major}.bin")
    await bench.wire.stopped()
    upload_id = await page.evaluate("id => uppy.getFile(id).s3Multipart.uploadId", file_id)
    assert await state_of(bench, upload_id) == "pending"
    async with page.expect_response(lambda r: r.request.method == "DELETE") as deleted:
        await page.evaluate("uppy.cancelAll()")
        bench.wire.go_on()
    assert (await deleted.value).status == 200
    assert await state_of(bench, upload_id) == "gone"
    assert await page.evaluate("errors") == []
    assert await stored(bench.api, f"cancelled {major}.bin") == []


async def test_dropped_connections_are_retried(bench: Bench, page: Page, major: int) -> None:
    await opened(page, bench, major)
    bench.wire.cut(3 * MB, 4 * MB, 1 * MB)
    file_id = await start_upload(page, f"dropped {major}.bin")
    await is_stored(page, bench, file_id, f"dropped {major}.bin")
    assert bench.wire.cuts_left == 0


async def test_retry_is_offered_and_sends_what_is_missing(
    bench: Bench, page: Page, major: int
) -> None:
    await opened(page, bench, major)
    await page.evaluate("globalThis.retry = document.createElement('button')")
    await page.evaluate(f"() => {{ {uppy.guides_retry()} retry.hidden = true; }}")
    before = bench.wire.sent
    bench.wire.stop_after(LARGE // 2)
    file_id = await start_upload(page, f"retried {major}.bin")
    await bench.wire.stopped()
    await page.context.set_offline(True)
    await bench.wire.break_all()
    bench.wire.go_on()
    if major == 6:
        await page.wait_for_function("!retry.hidden")
        assert (await ended(page))[1] == [f"retried {major}.bin"]
    await page.context.set_offline(False)
    if major == 6:
        await page.evaluate("retry.click()")
    await kept(page)
    assert await stored(bench.api, f"retried {major}.bin") != []
    [file] = await kept(page)
    assert await hash_of(file) == await page.evaluate("id => digest(id)", file_id)
    assert bench.wire.sent - before < LARGE + (AT_ONCE[major] + 1) * PART


async def test_an_upload_goes_on_after_a_reload(bench: Bench, page: Page, major: int) -> None:
    """Keep and give back of a file as @uppy/golden-retriever does, by hand."""
    await opened(page, bench, major)
    before = bench.wire.sent
    bench.wire.stop_after(LARGE // 2)
    file_id = await start_upload(page, f"reloaded {major}.bin")
    await bench.wire.stopped()
    remembered = await page.evaluate("id => uppy.getFile(id).s3Multipart", file_id)
    await opened(page, bench, major)
    await bench.wire.break_all()
    bench.wire.go_on()
    args = [f"reloaded {major}.bin", LARGE, remembered]
    file_id = await page.evaluate(
        """([name, size, s3Multipart]) => {
          const id = add(name, size);
          uppy.setFileState(id, { s3Multipart });
          globalThis.result = null;
          uppy.upload().then((r) => (result = r));
          return id;
        }""",
        args,
    )
    await is_stored(page, bench, file_id, f"reloaded {major}.bin")
    [file] = await kept(page)
    assert file["id"] == remembered["uploadId"]
    assert bench.wire.sent - before < LARGE + (AT_ONCE[major] + 1) * PART


async def test_a_file_that_is_too_large_is_refused(bench: Bench, page: Page, major: int) -> None:
    await opened(page, bench, major)
    await start_upload(page, f"too large {major}.bin", LARGE + 6 * MB)
    assert await ended(page) == ([], [f"too large {major}.bin"])
    [error] = await page.evaluate("errors")
    # Uppy 6 shows the status alone.
    assert {5: "that files takes", 6: "Unprocessable"}[major] in error
    assert await stored(bench.api, f"too large {major}.bin") == []


@pytest.mark.parametrize(("major", "destination"), [(5, "puts"), (6, "files")])
async def test_what_the_service_finds_in_a_file_fails_it_in_uppy(
    bench: Bench, page: Page, major: int, destination: str
) -> None:
    await opened(page, bench, major, destination)
    sent = await page.evaluate(
        """async ([fine, foul]) => {
          const type = "image/png";
          uppy.addFile({ name: fine, data: new File(["five."], fine) });
          uppy.addFile({ name: foul, type, data: new File(["<!doctype html>"], foul, { type }) });
          const result = await uppy.upload();
          return [result.successful, result.failed].map((files) =>
            files.map(({ name, meta }) => [name, meta.stored?.filename ?? null]));
        }""",
        [f"fine {major}.txt", f"foul {major}.png"],
    )
    assert sent == [[[f"fine {major}.txt"] * 2], [[f"foul {major}.png", None]]]
    [error] = await page.evaluate("errors")
    assert "text/html" in error
    assert await stored(bench.api, f"foul {major}.png") == []


@pytest.mark.parametrize("ends_well", [True, False])
async def test_an_answer_that_began_with_white_space(
    bench: Bench, page: Page, major: int, ends_well: bool
) -> None:
    """The answer to a completion that took long, and how Uppy reads it."""

    async def late(route: Route) -> None:
        answer = await route.fetch()
        assert answer.status == 200
        failure = BucketUnavailable("The bucket did not answer.")
        accept = await route.request.header_value("accept")
        if ends_well:
            body = (await answer.body()).decode()
        else:
            body = late_failure(failure, accept or "").decode()
        headers = {"access-control-allow-origin": bench.origin}
        await route.fulfill(content_type="application/json", headers=headers, body="   " + body)

    await opened(page, bench, major)
    await page.route("**/complete?*", late)
    await page.evaluate("plugin().setOptions({ shouldUseMultipart: true })")
    name = f"late {ends_well} {major}.txt"
    file_id = await start_upload(page, name, 5)
    if ends_well:
        await is_stored(page, bench, file_id, name)
        return
    assert await ended(page) == ([], [name])
    [error] = await page.evaluate("errors")
    assert {5: "The bucket did not answer.", 6: "is not valid JSON"}[major] in error
    # Uppy 5 has cancelled it: a file it is, and stays.
    assert len(await stored(bench.api, name)) == 1
