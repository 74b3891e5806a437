"""Headless Chromium, and a real service on this machine for its pages to talk to."""

import shutil
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    async_playwright,
    expect,
)

from tests.browser.dev import started
from tests.browser.packages import install
from tests.stores import free_port

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

# How long a machine that does much else may take for what comes anyhow; Playwright's own is 5 s.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


@asynccontextmanager
async def launched(playwright: Playwright) -> AsyncIterator[Browser]:
    """Chromium as the machine has it, which must have one."""
    chromium = shutil.which("chromium")
    browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
    yield browser
    await browser.close()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("browser tests: Chromium is not installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright, launched(playwright) as browser:
        yield browser


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `node_modules`; for tests with `needs_npm`."""
    folder = tmp_path_factory.mktemp("packages")
    install(folder)
    return folder


@pytest.fixture(scope="session")
def foreign_origin() -> str:
    """Another origin than the service's, which its settings allow."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, foreign_origin: str) -> Iterator[str]:
    """The address of `claimcheck dev` with its embedded stores, as `make run` starts it.

    Its destinations are two of the usual ones, and `puts` and `parts`, which take uploads so.
    """
    environ = {
        "CLAIMCHECK_CORS_ORIGINS": foreign_origin,
        "CLAIMCHECK_DESTINATIONS__IMAGES__CONTENT_TYPES": "image/*",
        "CLAIMCHECK_DESTINATIONS__FILES__METHOD": "post",
        "CLAIMCHECK_DESTINATIONS__PUTS__METHOD": "put",
        "CLAIMCHECK_DESTINATIONS__PUTS__ALLOW_EXISTENCE_OPTIMIZATION": "true",
        "CLAIMCHECK_DESTINATIONS__PARTS__METHOD": "multipart",
        "CLAIMCHECK_DESTINATIONS__PARTS__PART_SIZE": str(5 << 20),
    }
    with started(tmp_path_factory.mktemp("service"), environ) as address:
        yield address


@pytest.fixture(scope="session")
async def api(service: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client beside the browser, to check what the page says."""
    async with httpx.AsyncClient(base_url=service, trust_env=False, timeout=60) as client:
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
async def watched(browser: Browser, watch: Watch) -> AsyncIterator[BrowserContext]:
    """A fresh profile; its complaints go to `watch`.

    But for icons: where a file or bare text fills a tab, browsers ask for one of their own accord.
    """
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)

    def on_console(message: ConsoleMessage) -> None:
        url = message.location["url"]
        if message.type in ("error", "warning") and not url.endswith("/favicon.ico"):
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
    async with watched(browser, watch) as context:
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
