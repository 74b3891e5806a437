"""A front end behind an identity provider, as docs/auth.md has it, run as it stands there."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, FilePayload, expect

from tests.support.issuer import Issuer, running_issuer
from tests.support.service import Service, bearer, prepared, served
from tests.support.steps import stored

GUIDE = (Path(__file__).parents[2] / "docs" / "auth.md").read_text(encoding="utf-8")


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def behind(
    environ: dict[str, str], issuer: Issuer, foreign_origin: str, tmp_path: Path
) -> AsyncIterator[Service]:
    environ |= issuer.environ(CLAIMCHECK_AUTH="jwt", CLAIMCHECK_CORS_ORIGINS=foreign_origin)
    await prepared(environ)
    async with served(environ, tmp_path / "log") as service:
        yield service


async def test_the_front_end_of_the_guide(
    browser: Browser, behind: Service, issuer: Issuer, foreign_origin: str, picture: bytes
) -> None:
    [script] = re.findall(r"```js\n(import .*?)```", GUIDE, re.DOTALL)
    service = str(behind.client.base_url).rstrip("/")
    token = issuer.token(sub="ann")
    html = f"""<!doctype html><title>Shop</title>
      <input type="file" id="pictures" multiple><output id="stored"></output><p id="count"></p>
      <script type="module">
        const accessToken = async () => "{token}";
        {script.replace("https://uploads.example.com", service)}
      </script>"""

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    files: list[FilePayload] = [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": picture} for n in "ab"
    ]
    with ThreadingHTTPServer(("127.0.0.1", urlsplit(foreign_origin).port or 0), Shop) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        page = await browser.new_page()
        sent: list[tuple[str, str | None]] = []
        page.on("request", lambda r: sent.append((r.url, r.headers.get("authorization"))))
        try:
            await page.goto(foreign_origin)
            await page.set_input_files("#pictures", files)
            await expect(page.locator("#count")).to_have_text("2 files of yours")
            await expect(page.locator("#stored")).to_have_text("a.png b.png ")
        finally:
            await page.close()
            server.shutdown()
            thread.join()

    # The bucket has seen two files and no token.
    to_bucket = [given for url, given in sent if not url.startswith((service, foreign_origin))]
    assert to_bucket == [None, None]
    for sub, count in (("ann", 2), ("bob", 0)):
        headers = bearer(issuer.token(sub=sub))
        listed = (await behind.client.get("/v1/files", headers=headers)).json()
        assert len(listed["items"]) == count


async def test_our_page_with_a_token_opens_files_by_their_grants(
    browser: Browser, behind: Service, issuer: Issuer, picture: bytes, web: httpx.AsyncClient
) -> None:
    token = issuer.token(sub="ann")
    behind.client.headers.update(bearer(token))
    await stored(behind.client, web, picture, "hers.png")
    context = await browser.new_context()
    page = await context.new_page()
    try:
        await page.goto(str(behind.client.base_url))
        await page.get_by_label("Access token").fill(token)
        await page.get_by_role("button", name="Sign in").click()
        link = page.get_by_role("link", name="Open hers.png")
        granted = await link.get_attribute("href")
        assert "?grant=" in (granted or "")
        for hours in (0, 2):  # while the grant lasts, and when the page is older than it
            await page.clock.set_system_time(datetime.now(UTC) + timedelta(hours=hours))
            async with (
                page.expect_popup() as opening,
                context.expect_event("request", lambda request: "?grant=" in request.url) as asking,
            ):
                await link.click()
            shown = await opening.value
            await expect(shown.locator("img")).to_be_visible()
            assert "X-Amz-Signature" in shown.url
            assert "authorization" not in (await asking.value).headers
            await shown.close()
    finally:
        await context.close()
