"""The package as a front end installs it, and pages of another origin that use it."""

import tarfile
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext

from app.routers.pages import STATIC
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.packages import install, run
from tests.support.browser.site import SOURCE, Site

APPS = Path(__file__).parent / "apps"


@pytest.fixture(scope="package")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh build: `clients/js` with its packages, and `static` beside it."""
    folder = tmp_path_factory.mktemp("package")
    install(folder / "js", SOURCE)
    run("node", "build.mjs", folder / "static", at=folder / "js")
    return folder


@pytest.fixture(scope="package")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has installed the package as it is served, and its own packages."""
    folder = tmp_path_factory.mktemp("front-end")
    install(folder, Path(__file__).with_name("npm"))
    (folder / "node_modules" / "@claimcheck").mkdir()
    [package] = STATIC.glob("*.tgz")
    with tarfile.open(package) as tar:
        tar.extractall(folder / "node_modules" / "@claimcheck", filter="data")
    ours = folder / "node_modules" / "@claimcheck"
    (ours / "package").rename(ours / "uploader")
    for path in APPS.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="package")
def site(foreign_origin: str, front_end: Path, service: str) -> Iterator[Site]:
    (front_end / "www").mkdir()
    handler = partial(_Quiet, directory=front_end / "www")
    port = urlsplit(foreign_origin).port or 0
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Site(foreign_origin, front_end, service)
        server.shutdown()
        thread.join()


@pytest.fixture
async def context(
    browser: Browser, site: Site, bucket: str, watch: Watch
) -> AsyncIterator[BrowserContext]:
    async with watched(browser, watch) as context:
        yield context
    watch.allow("favicon.ico")
    assert watch.complaints == []
    assert watch.origins <= {site.service, site.origin, bucket}
