"""examples/django_shop in a process of its own, with a service on Ceph RGW behind a wire."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from tests.clients.django.shop.place import MIB, Shop, sign_in
from tests.support.browser import fixtures
from tests.support.browser.chromium import Watch, watched
from tests.support.browser.wire import wired
from tests.support.service import (
    SESSION_SECRET,
    Store,
    as_set,
    key_for,
    own_database,
    prepared,
    served,
)
from tests.support.stores import block_public_access, free_port, rgw

ROOT = Path(__file__).parents[4]
PARTS = {"multipart_threshold": 5 * MIB, "part_size": 5 * MIB}
DESTINATIONS = {
    "images": {"content_types": ["image/*"], **PARTS},
    "videos": {"content_types": ["video/*"], **PARTS},
}
KEY_SCOPES = ("sessions:mint", "uploads:write", "files:read", "files:all")
# Staff: two may change products and do no more, the third may do nothing.
STAFF = """
from django.contrib.auth.models import Permission, User
for name in ("ann", "eve", "bob"):
    user = User.objects.create_user(name, password="-", is_staff=True)
    if name != "bob":
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="shop"))
"""

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
    folder, port = tmp_path_factory.mktemp("django") / "shop", free_port()
    url = f"http://localhost:{port}"
    keys = gateway.owner
    async with wired(gateway.endpoint_url) as (wire, bucket):
        environ = {
            "DATABASE_URL": await own_database(postgres_url),
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
            "CLAIMCHECK_CORS_ORIGINS": url,
            "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
            "AWS_S3_PUBLIC_ENDPOINT_URL": bucket,
            **Store(gateway.endpoint_url, keys.access_key, keys.secret_key).environ("shop"),
        }
        settings = await prepared(environ)
        # RGW 16.2 refuses every upload under the rest of it.
        block_public_access(gateway.client(), "shop", "IgnorePublicAcls")
        key = await key_for(settings, *KEY_SCOPES, owner="shop")
        async with served(environ, folder.with_name("service.log")) as service:
            service.client.headers.update(key)
            address = str(service.client.base_url).rstrip("/")
            copied(folder, address, bucket)
            async with _served(folder, port, key["Authorization"].removeprefix("Bearer ")):
                database, s3 = folder / "shop.db", gateway.client()
                async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as web:
                    yield Shop(url, web, service.client, bucket, wire, s3, database)


def copied(folder: Path, service: str, bucket: str) -> None:
    """The example, with the addresses of this service and this bucket, and no others."""
    ignored = shutil.ignore_patterns(".venv", "shop.db", "__pycache__")
    shutil.copytree(ROOT / "examples" / "django_shop", folder, ignore=ignored)
    settings = folder / "settings.py"
    text = settings.read_text(encoding="utf-8")
    text = text.replace('"http://127.0.0.1:*"', f'"{service}", "{bucket}"')
    settings.write_text(text.replace("http://127.0.0.1:8000", service), encoding="utf-8")


@asynccontextmanager
async def _served(folder: Path, port: int, key: str) -> AsyncIterator[None]:
    clients = ROOT / "clients"
    found = ":".join(str(clients / name / "src") for name in ("django", "python"))
    environ = as_set({"CLAIMCHECK_KEY": key, "PYTHONPATH": found, "PYTHONDONTWRITEBYTECODE": "1"})
    environ.pop("DJANGO_SETTINGS_MODULE", None)  # of tests in this process
    log = folder.with_name("shop.log")

    async def manage(*arguments: str) -> asyncio.subprocess.Process:
        with log.open("ab") as output:
            command = (sys.executable, "-W", "error::DeprecationWarning", "manage.py", *arguments)
            return await asyncio.create_subprocess_exec(
                *command, cwd=folder, env=environ, stdout=output, stderr=output
            )

    for arguments in (("migrate",), ("shell", "-c", STAFF)):
        assert await (await manage(*arguments)).wait() == 0, log.read_text()
    process = await manage("runserver", "--noreload", f"localhost:{port}")
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for _ in range(2400):
                try:
                    await client.get(f"http://localhost:{port}/")
                    break
                except httpx.TransportError:
                    assert process.returncode is None, log.read_text()
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
    assert watch.origins <= {shop.url, shop.service, shop.bucket, "blob://", "data://"}


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    return await context.new_page()


@pytest.fixture
async def admin(page: Page, shop: Shop) -> Page:
    """Ann, who has signed in."""
    await sign_in(page, shop)
    return page
