"""Headless Chromium, and a real service on this machine for its pages to talk to."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from tests.browser.packages import install

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 90
STOP_SECONDS = 30


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("browser tests: Chromium is not installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `node_modules`; for tests with `needs_npm`."""
    folder = tmp_path_factory.mktemp("packages")
    install(folder)
    return folder


@pytest.fixture(scope="session")
def foreign_origin() -> str:
    """Another origin than the service's, which its settings allow."""
    return f"http://127.0.0.1:{_free_port()}"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, foreign_origin: str) -> Iterator[str]:
    """The address of `claimcheck dev` with its embedded stores, as `make run` starts it.

    Its destinations are two of the usual ones and `puts`, which takes uploads by PUT.
    """
    port = _free_port()
    ours = ("AWS_", "BUCKETEER_", "CLAIMCHECK_", "DATABASE_URL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {
        "PORT": str(port),
        "CLAIMCHECK_CORS_ORIGINS": foreign_origin,
        "CLAIMCHECK_DESTINATIONS__IMAGES__CONTENT_TYPES": "image/*",
        "CLAIMCHECK_DESTINATIONS__FILES__METHOD": "post",
        "CLAIMCHECK_DESTINATIONS__PUTS__METHOD": "put",
    }
    folder = tmp_path_factory.mktemp("service")
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "dev"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            if not _is_ready(process, f"{address}/readyz"):
                log.seek(0)
                pytest.fail(f"`claimcheck dev` did not get ready:\n{log.read()}")
            yield address
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False


@pytest.fixture(scope="session")
async def api(service: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client beside the browser, to check what the page says."""
    async with httpx.AsyncClient(base_url=service, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
async def bucket(api: httpx.AsyncClient) -> str:
    """The origin that uploads go to."""
    announcement = {"destination": "files", "filename": "probe.txt", "size": 1}
    answer = (await api.post("/v1/uploads", json=announcement)).raise_for_status().json()
    (await api.delete(f"/v1/uploads/{answer['id']}")).raise_for_status()
    return _origin(answer["upload"]["url"])


@dataclass
class Watch:
    """What a browser context did: the origins it asked, and what it complained of.

    Violations of the Content-Security-Policy are among the complaints. A test that provokes one
    takes it from the list; whatever is left at the end fails the test.
    """

    origins: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def expect(self, text: str, times: int = 1) -> None:
        """Take `times` complaints with `text` in them from the list; fail if they are not there."""
        for _ in range(times):
            found = [complaint for complaint in self.complaints if text in complaint]
            assert found, f"{text!r} is not among {self.complaints}"
            self.complaints.remove(found[0])


@pytest.fixture
def watch() -> Watch:
    return Watch()


@asynccontextmanager
async def watched(browser: Browser, watch: Watch, silent: str) -> AsyncIterator[BrowserContext]:
    """A fresh profile; its complaints go to `watch`, but for those of the address `silent`."""
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)

    def on_console(message: ConsoleMessage) -> None:
        url = message.location["url"]
        if message.type in ("error", "warning") and url != silent:
            watch.complaints.append(f"{message.text} {url}")

    context.on("console", on_console)
    context.on("weberror", lambda event: watch.complaints.append(str(event.error)))
    context.on("request", lambda request: watch.origins.add(_origin(request.url)))
    yield context
    await context.close()


@pytest.fixture
async def context(
    browser: Browser, service: str, bucket: str, watch: Watch
) -> AsyncIterator[BrowserContext]:
    """A fresh profile. A complaint or a request to anyone else fails the test at its end."""
    # Of its own accord a browser asks the bucket for an icon when a file fills a tab.
    async with watched(browser, watch, silent=f"{bucket}/favicon.ico") as context:
        yield context
    assert watch.complaints == []
    assert watch.origins <= {service, bucket}


@pytest.fixture
async def page(context: BrowserContext, service: str) -> Page:
    """The page at `/`, its list loaded."""
    page = await context.new_page()
    async with page.expect_response(lambda response: "/v1/files?" in response.url):
        await page.goto(service)
    return page


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A PNG of 24 x 16 pixels (W3C PNG: signature, IHDR, IDAT, IEND)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    width, height = 24, 16
    rows = b"".join(
        b"\0" + bytes((16 * y, 120, 10 * x)[i] for x in range(width) for i in range(3))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
