"""The example of examples/, in a process of its own, with a service on Ceph RGW behind a wire."""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.admin.panel import member
from tests.admin.shop import MIB, ROOT, Shop
from tests.support.browser import fixtures
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.wire import wired
from tests.support.service import Store, as_set, key_for, own_database, prepared, served
from tests.support.stores import block_public_access, free_port, rgw

DESTINATIONS = {
    "images": {"content_types": ["image/*"], "multipart_threshold": 5 * MIB, "part_size": 5 * MIB},
    "papers": {},
}
KEY_SCOPES = ("sessions:mint", "uploads:write", "files:read")

browser, packages, picture, watch = (
    fixtures.browser,
    fixtures.packages,
    fixtures.picture,
    fixtures.watch,
)


@pytest.fixture(scope="package")
async def shop(
    gateway: rgw.Rgw, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    # Browsers let a page reach loopback only from there.
    url = f"http://localhost:{free_port()}"
    database_url = await own_database(postgres_url)
    keys = gateway.owner
    store = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
    async with wired(gateway.endpoint_url) as (wire, bucket):
        environ = {
            "DATABASE_URL": database_url,
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_ADMIN": "true",
            "CLAIMCHECK_SECRET_KEY": secrets.token_urlsafe(32),
            "CLAIMCHECK_CORS_ORIGINS": url,
            "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
            "AWS_S3_PUBLIC_ENDPOINT_URL": bucket,
            **store.environ("shop"),
        }
        settings = await prepared(environ)
        # RGW 16.2 refuses every upload under the rest of it.
        block_public_access(gateway.client(), "shop", "IgnorePublicAcls")
        key = await key_for(settings, *KEY_SCOPES, owner="shop")
        await member(settings)
        others = await key_for(settings, *KEY_SCOPES, owner="somebody else")
        async with served(environ, folder / "log") as service:
            service.client.headers.update(key)
            database = folder / "shop.db"
            ours = {
                "CLAIMCHECK_URL": str(service.client.base_url).rstrip("/"),
                "CLAIMCHECK_KEY": key["Authorization"].removeprefix("Bearer "),
                "SHOP_DATABASE": f"sqlite:///{database}",
            }
            async with _served(url, ours, folder):
                yield Shop(url, service.client, key, others, wire, bucket, database, database_url)


@asynccontextmanager
async def _served(url: str, environ: dict[str, str], folder: Path) -> AsyncIterator[None]:
    """The apps of the example and of `staff.py`, run as the example says."""
    address = urlsplit(url)
    with (folder / "shop.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "tests.admin.staff:app"),
            *("--host", str(address.hostname), "--port", str(address.port)),
            env=as_set(environ),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for _ in range(2400):
                try:
                    await client.get(f"{url}/admin/")
                    break
                except httpx.TransportError:
                    assert process.returncode is None, (folder / "shop.log").read_text()
                    await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def context(browser: Browser, shop: Shop, watch: Watch) -> AsyncIterator[BrowserContext]:
    """A fresh profile. A complaint or a request to anyone else fails the test at its end."""
    async with watched(browser, watch) as context:
        yield context
    assert watch.complaints == []
    assert watch.origins <= {shop.url, shop.service, shop.bucket}


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    return await context.new_page()
