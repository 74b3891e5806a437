"""The example of examples/, in a process of its own, with a service on Ceph RGW behind a wire."""

import asyncio
import json
import secrets
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from app.migrations import migrate
from tests.admin.panel import member
from tests.browser import conftest as browsers
from tests.browser.conftest import Watch, watched
from tests.browser.wire import Wire, wired
from tests.contract.stores import block_public_access
from tests.stores import free_port, rgw
from tests.support import Store, as_set, in_thread, key_for, prepared, served

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
DESTINATIONS = {
    "images": {"content_types": ["image/*"], "multipart_threshold": 5 * MIB, "part_size": 5 * MIB},
    "papers": {},
}
KEY_SCOPES = ("sessions:mint", "uploads:write", "files:read")

browser, packages, picture, watch = (
    browsers.browser,
    browsers.packages,
    browsers.picture,
    browsers.watch,
)


@dataclass(frozen=True)
class Shop:
    """The example at `url`; the service, which `api` asks with the shop's key; the bucket."""

    url: str
    api: httpx.AsyncClient
    key: dict[str, str]
    others: dict[str, str]  # another owner's key
    wire: Wire
    bucket: str
    database: Path
    service_database: str

    @property
    def service(self) -> str:
        return str(self.api.base_url).rstrip("/")

    def rows(self, what: str = "name, image", table: str = "products") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as db:
            return db.execute(f"SELECT {what} FROM {table} ORDER BY id").fetchall()

    async def end_sessions(self) -> None:
        """End every upload session, as its maker can."""
        connection = await asyncpg.connect(self.service_database)
        ids = await connection.fetch("SELECT id FROM upload_sessions WHERE revoked_at IS NULL")
        await connection.close()
        for (session_id,) in ids:
            (await self.api.delete(f"/v1/upload-sessions/{session_id}")).raise_for_status()

    def insert(self, name: str, image: str) -> int:
        with closing(sqlite3.connect(self.database)) as db, db:
            cursor = db.execute("INSERT INTO products (name, image) VALUES (?, ?)", (name, image))
            return int(cursor.lastrowid or 0)

    def image_of(self, name: str) -> str | None:
        [image] = [image for found, image in self.rows() if found == name]
        return image


@pytest.fixture(scope="package")
async def shop(
    gateway: rgw.Rgw, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    # Browsers let a page reach loopback only from there.
    url = f"http://localhost:{free_port()}"
    database_url = await _database(postgres_url)
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


async def _database(url: str) -> str:
    """A migrated database of its own, so that other tests do not take the keys away."""
    name = f"shop_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    own = urlsplit(url)._replace(path=f"/{name}").geturl()
    in_thread(migrate, own)
    return own


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
