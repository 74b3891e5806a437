"""The README's examples, taken from it and run as they stand but for the address."""

import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"


def _block(language: str, containing: str, service: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    [block] = [block for block in blocks if containing in block]
    assert ADDRESS in block
    return block.replace(ADDRESS, service)


def test_the_curl_flow(service: str, tmp_path: Path) -> None:
    script = _block("bash", "form.curl", service)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert '"filename":"My page.png"' in run.stdout
    assert run.stdout.endswith("the same bytes\n")


@pytest.fixture
def example(service: str, foreign_origin: str) -> Iterator[str]:
    """The address of a page of another origin, with the README's script in it."""
    html = "<!doctype html><title>Example</title>" + _block("html", 'type="file"', service)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", urlsplit(foreign_origin).port or 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield foreign_origin
        server.shutdown()
        thread.join()


async def test_the_browser_example(browser: Browser, example: str, api: httpx.AsyncClient) -> None:
    page = await browser.new_page()
    try:
        await page.goto(example)
        text = {"name": "From the README.txt", "mimeType": "text/plain", "buffer": b"hello there"}
        await page.set_input_files("#file", text)
        await page.wait_for_url(re.compile("X-Amz-Signature"))
        assert await page.inner_text("body") == "hello there"
    finally:
        await page.close()
    newest = (await api.get("/v1/files", params={"limit": 1})).json()["items"][0]
    assert newest["filename"] == "From the README.txt"
    assert newest["destination"] == "files"
