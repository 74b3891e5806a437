"""uploader.js in a page of another origin, against Ceph RGW over a wire that can fail."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.browser.line import Files, Line, load, open_line
from tests.support.browser.chromium import Watch, watched
from tests.support.stores import rgw


@pytest.fixture(scope="package")
def gateway() -> Iterator[rgw.Rgw]:
    with rgw.start_rgw() as gateway:
        yield gateway


@pytest.fixture(scope="package")
async def line(
    gateway: rgw.Rgw, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Line]:
    log = tmp_path_factory.mktemp("line") / "log"
    async with open_line(gateway, postgres_url, log) as line:
        yield line


@pytest.fixture
async def context(browser: Browser, line: Line, watch: Watch) -> AsyncIterator[BrowserContext]:
    async with watched(browser, watch) as context:
        yield context
    assert watch.complaints == []
    assert watch.origins <= {line.page, line.address, line.bucket}


@pytest.fixture
async def page(context: BrowserContext, line: Line) -> Page:
    page = await context.new_page()
    await load(page, line)
    return page


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
