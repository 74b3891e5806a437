"""A tenant's office: the panel on Ceph RGW, with a wire in between, and a back end's key."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from playwright.async_api import Page

from app.runtime.resources import open_resources
from app.settings.model import Settings
from app.staff import accounts as staff
from tests.admin.panel import NAME, PASSWORD, member
from tests.admin.shop import MIB
from tests.support.browser.wire import Wire, wired
from tests.support.service import Store, key_for, own_database, prepared, served
from tests.support.stores import block_public_access, rgw

LIMIT = 30 * MIB
SETTINGS = {
    "CLAIMCHECK_AUTH": "keys",
    "CLAIMCHECK_ADMIN": "true",
    "CLAIMCHECK_QUOTA__OWNER__FILES": "1000",
    "CLAIMCHECK_DESTINATIONS": json.dumps(
        {
            "images": {
                "content_types": ["image/*"],
                "max_size": LIMIT,
                "multipart_threshold": 5 * MIB,
                "part_size": 5 * MIB,
            },
            "papers": {},
        }
    ),
    "CLAIMCHECK_RECORDS": json.dumps(
        {
            "product": {
                "picture": {"destination": "images"},
                "gallery": {"destination": "images", "many": True},
            }
        }
    ),
}


@dataclass(frozen=True)
class Office:
    """The panel's address; the service, which `api` asks with a back end's key; the bucket."""

    url: str
    settings: Settings
    api: httpx.AsyncClient
    wire: Wire
    bucket: str
    gateway: rgw.Rgw
    database: str

    async def product(self, name: str) -> dict[str, Any]:
        answer = (await self.api.get(f"/v1/records/product/{name}")).raise_for_status()
        fields: dict[str, Any] = answer.json()["fields"]
        return fields

    def answers_head(self, file: dict[str, Any]) -> bool:
        """Whether the bucket has the object."""
        key = file["url"].partition("/office/")[2]
        with suppress(Exception):
            self.gateway.client().head_object(Bucket="office", Key=key)
            return True
        return False

    async def end_everything(self) -> None:
        """The sessions of whoever is signed in, and what they may upload with."""
        async with open_resources(self.settings) as res:
            assert await staff.sign_out_everywhere(res, NAME)
        db = await asyncpg.connect(self.database)
        ids = await db.fetch("SELECT id FROM upload_sessions")
        await db.close()
        all_rights = await key_for(self.settings, "sessions:mint", "files:all")
        for (session_id,) in ids:
            path = f"/v1/upload-sessions/{session_id}"
            (await self.api.delete(path, headers=all_rights)).raise_for_status()


@asynccontextmanager
async def opened(gateway: rgw.Rgw, postgres_url: str, folder: Path) -> AsyncIterator[Office]:
    database = await own_database(postgres_url)
    store = Store(gateway.endpoint_url, gateway.owner.access_key, gateway.owner.secret_key)
    async with wired(gateway.endpoint_url) as (wire, bucket):
        environ = {
            "DATABASE_URL": database,
            "CLAIMCHECK_SECRET_KEY": secrets.token_urlsafe(32),
            "AWS_S3_PUBLIC_ENDPOINT_URL": bucket,
            **store.environ("office"),
            **SETTINGS,
        }
        async with served(environ, folder / "log") as service:
            url = str(service.client.base_url).rstrip("/")
            # The panel's own pages must be let in by the bucket.
            settings = await prepared(environ | {"CLAIMCHECK_CORS_ORIGINS": url})
            # RGW 16.2 refuses every upload under the rest of it.
            block_public_access(gateway.client(), "office", "IgnorePublicAcls")
            await member(settings)
            key = await key_for(
                settings, *("records:read", "files:read", "uploads:write"), owner="shop"
            )
            service.client.headers.update(key)
            yield Office(url, settings, service.client, wire, bucket, gateway, database)


async def sign_in(page: Page, password: str = PASSWORD) -> None:
    await page.get_by_label("Name or e-mail address").fill(NAME)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
