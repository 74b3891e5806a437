"""The examples of README and docs/browser.md, run as they stand there but for the address."""

import re
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, FilePayload, Page, expect

ROOT = Path(__file__).parents[2]
README, GUIDE = ROOT / "README.md", ROOT / "docs" / "browser.md"
ADDRESS = "http://127.0.0.1:8000"
HELLO: FilePayload = {"name": "Hello.txt", "mimeType": "text/plain", "buffer": b"hello there"}


def _block(text: Path, language: str, containing: str, service: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", text.read_text(encoding="utf-8"), re.DOTALL)
    [block] = [block for block in blocks if containing in block]
    assert ADDRESS in block
    return str(block).replace(ADDRESS, service)


def test_the_curl_flow(service: str, tmp_path: Path) -> None:
    script = _block(README, "bash", "form.curl", service)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert '"filename":"My page.png"' in run.stdout
    assert run.stdout.endswith("the same bytes\n")


@contextmanager
def _pages(origin: str, html: str) -> Iterator[None]:
    """A page of another origin than the service's, at whatever path."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>Example</title>{html}".encode())

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", urlsplit(origin).port or 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    yield page
    await page.close()


async def _newest(api: httpx.AsyncClient) -> list[str]:
    items = (await api.get("/v1/files", params={"limit": 2})).json()["items"]
    assert {item["destination"] for item in items} == {"files"}
    return [item["filename"] for item in items]


async def test_the_browser_example(
    tab: Page, service: str, foreign_origin: str, api: httpx.AsyncClient
) -> None:
    with _pages(foreign_origin, _block(README, "html", 'type="file"', service)):
        await tab.goto(foreign_origin)
        await tab.set_input_files("#files", [HELLO, {**HELLO, "name": "Again.txt"}])
        await expect(tab.get_by_role("link", name="open")).to_have_count(2)
        await tab.get_by_role("link", name="open").first.click()
        await tab.wait_for_url(re.compile("X-Amz-Signature"))
        assert await tab.inner_text("body") == "hello there"
    assert sorted(await _newest(api)) == ["Again.txt", "Hello.txt"]


async def test_the_bare_calls(
    tab: Page, service: str, foreign_origin: str, api: httpx.AsyncClient
) -> None:
    with _pages(foreign_origin, _block(GUIDE, "html", 'type="file"', service)):
        await tab.goto(foreign_origin)
        await tab.set_input_files("#file", {**HELLO, "name": "Bare.txt"})
        await tab.wait_for_url(re.compile("X-Amz-Signature"))
        assert await tab.inner_text("body") == "hello there"
    assert (await _newest(api))[0] == "Bare.txt"


async def test_the_bare_calls_say_what_is_too_large_for_them(
    tab: Page, service: str, foreign_origin: str, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate((100 << 20) + 1)
    with _pages(foreign_origin, _block(GUIDE, "html", 'type="file"', service)):
        await tab.goto(foreign_origin)
        async with tab.expect_event("dialog") as shown:
            await tab.set_input_files("#file", large)
        dialog = await shown.value
        assert dialog.message == "This file goes in parts: take uploader.js for it."
        await dialog.dismiss()


@pytest.mark.parametrize(
    ("containing", "said"), [("uploader.upload(", "Hello.txt is there"), ("uploadAll", "1 of 1")]
)
async def test_the_guides_examples(
    tab: Page, service: str, foreign_origin: str, containing: str, said: str
) -> None:
    names = ("pause", "resume", "cancel")
    html = (
        '<input type="file" id="input"><output id="output"></output>'
        + "".join(f'<button id="{name}">{name}</button>' for name in names)
        + f"""<script type="module">
          import {{ Uploader }} from "{service}/static/uploader.js";
          input.onchange = async () => {{ {_block(GUIDE, "js", containing, service)} }};
        </script>"""
    )
    with _pages(foreign_origin, html):
        await tab.goto(foreign_origin)
        await tab.set_input_files("#input", HELLO)
        await expect(tab.locator("output")).to_have_text(said)
