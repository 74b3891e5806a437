"""uploader.js in destinations that want MD5s, on Ceph RGW: in a worker, or in the page."""

import pytest
from playwright.async_api import Page

from tests.browser.line import MIB, Files, Line, begin
from tests.browser.uploader.steps import file_of
from tests.support.browser.chromium import Watch
from tests.support.browser.steps import record
from tests.support.stores import rgw

pytestmark = pytest.mark.skipif(rgw.available() is not None, reason=str(rgw.available()))


async def test_a_byte_that_is_changed_on_its_way_is_refused_and_sent_again(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    """From a page of another origin, which may have no worker of the service's."""
    parts = record(page, "PUT", line.bucket)
    code = record(page, "GET", line.address)
    line.wire.flip(1)
    await begin(page, line, [files.make("flipped.bin", 12 * MIB)], destination="held")
    file = await file_of(page, line, files)
    assert file["parts_verified"] is True
    assert len(parts) == 3 + 1
    assert [url for url in code if url.endswith("/md5.js")] != []
    watch.expect("status of 400")
    watch.allow("cannot be accessed from origin")  # the worker


async def test_a_file_in_one_request_is_held_to_its_md5(
    page: Page, line: Line, files: Files, watch: Watch
) -> None:
    await begin(page, line, [files.make("whole.bin", 3 * MIB)], destination="held-whole")
    assert (await file_of(page, line, files))["parts_verified"] is True
    watch.expect("status of 422")  # by which it learns that an MD5 is wanted


async def test_where_nothing_is_asked_for_nothing_is_loaded(
    page: Page, line: Line, files: Files
) -> None:
    code = record(page, "GET", line.address)
    await begin(page, line, [files.make("plain.bin", 12 * MIB)], destination="parts")
    assert (await file_of(page, line, files))["parts_verified"] is False
    assert [url for url in code if "md5" in url] == []


async def test_the_services_own_page_hashes_in_a_worker_with_webassembly(
    page: Page, line: Line
) -> None:
    """Its policy forbids WebAssembly to the page, and allows it to that worker alone."""
    await page.goto(f"{line.address}/docs")
    said = await page.evaluate(
        """async () => {
          const forbidden = await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))
            .then(() => false, () => true);
          const worker = new Worker("/static/md5-worker.js", { type: "module" });
          const blob = new Blob(["hello"]);
          const answer = await new Promise((resolve) => {
            worker.onmessage = ({ data }) => resolve(data.digest);
            worker.postMessage({ id: 1, blob });
          });
          const { md5 } = await import("/static/md5.js");
          return [forbidden, answer, await md5(blob)];
        }"""
    )
    assert said == [True, "XUFAKrxLKna5cZ2REBfFkg==", "XUFAKrxLKna5cZ2REBfFkg=="]
