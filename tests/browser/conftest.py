"""Headless Chromium, and a real service on this machine for its pages to talk to."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.browser import fixtures
from tests.support.browser.chromium import Watch, origin_of, watched
from tests.support.browser.dev import started
from tests.support.stores import free_port

browser, packages, picture, watch = (
    fixtures.browser,
    fixtures.packages,
    fixtures.picture,
    fixtures.watch,
)


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
        "CLAIMCHECK_DESTINATIONS__PUTS__CONDITIONAL_WRITES": "true",
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
    return origin_of(answer["upload"]["url"])


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
