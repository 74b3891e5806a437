"""uploader.js against the other stores: the embedded one, and rclone, which has no forms."""

import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, Route

from tests.browser.line import MIB, PART, Files
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.steps import record
from tests.support.service import Store, served
from tests.support.stores import rclone

DESTINATIONS = {"parts": {"method": "multipart", "part_size": PART}}
EMBEDDED = "embedded"
RCLONE = pytest.param(
    "rclone", marks=pytest.mark.skipif(rclone.available() is not None, reason="no rclone")
)


@pytest.fixture(params=[EMBEDDED, RCLONE])
async def address(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path
) -> AsyncIterator[str]:
    """The service on that store, with which its own page talks."""
    if request.param == EMBEDDED:
        yield request.getfixturevalue("service")
        return
    with rclone.start_rclone("*") as server:
        environ = {
            "DATABASE_URL": postgres_url,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
            **Store(server.endpoint_url, server.access_key, server.secret_key).environ(
                server.bucket
            ),
        }
        async with served(environ, tmp_path / "log") as service:
            yield str(service.client.base_url).rstrip("/")


@pytest.fixture
async def page(browser: Browser, address: str, watch: Watch) -> AsyncIterator[Page]:
    async with watched(browser, watch) as context:
        page = await context.new_page()
        await page.goto(address)
        yield page
    assert watch.complaints == []


_UPLOAD = """async (destination) => {
  const { Uploader } = await import("/static/uploader.js");
  const onProgress = (progress) => (globalThis.loaded = progress.loaded);
  const upload = new Uploader({ destination }).upload(own.files[0], { onProgress });
  globalThis.outcome = upload.catch(({ message }) => ({ message }));
}"""


async def begin(page: Page, path: Path, destination: str) -> None:
    """Upload the file, not by the page's own field."""
    await page.evaluate(
        """() => {
          globalThis.own?.remove();
          const input = Object.assign(document.createElement("input"), { type: "file", id: "own" });
          document.body.append(input);
        }"""
    )
    await page.set_input_files("#own", path)
    await page.evaluate(_UPLOAD, destination)


async def is_stored(page: Page, files: Files, path: Path) -> None:
    file = await page.evaluate("outcome")
    assert file.get("state") == "confirmed", file
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        body = (await web.get(file["presigned_url"])).content
    assert hashlib.sha256(body).hexdigest() == files.digests[path.name]


async def test_parts_that_go_on_after_a_reload(
    page: Page, address: str, watch: Watch, tmp_path: Path
) -> None:
    files, size = Files(tmp_path), 6 * PART
    path = files.make("cut.bin", size)

    async def never(route: Route) -> None:
        """So that it does not come to its end before the reload."""

    await page.route(re.compile("partNumber=6&"), never)
    await begin(page, path, "parts")
    await page.wait_for_function("half => globalThis.loaded >= half", arg=size // 2)
    asked = record(page, "POST", f"{address}/v1/uploads")
    await page.reload()
    await page.unroute_all()  # which lets go of what is held: not before the page is gone
    await begin(page, path, "parts")
    await is_stored(page, files, path)
    # Where the last part had begun to leave, it asks first whether all had arrived.
    assert [url.rpartition("/")[2] for url in asked][:2] in (
        ["confirm", "renew"],
        ["renew", "confirm"],
    )
    watch.allow("409")


@pytest.mark.parametrize("address", [EMBEDDED], indirect=True)
async def test_a_put(page: Page, tmp_path: Path) -> None:
    """Not on rclone, which lets no page send the headers that are signed."""
    files = Files(tmp_path)
    path = files.make("small.bin", MIB)
    await begin(page, path, "puts")
    await is_stored(page, files, path)
