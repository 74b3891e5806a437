"""The shop as its tests see it, and steps in its pages."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Locator, Page, expect

from tests.support.browser.wire import Wire

MIB = 1 << 20
API = "/api/products/"


@dataclass(frozen=True)
class Shop:
    """The example at `url`, which `web` asks; the service, which `api` asks with its key."""

    url: str
    web: httpx.AsyncClient  # without cookies
    api: httpx.AsyncClient
    bucket: str  # its origin, behind the wire
    wire: Wire
    s3: Any
    database: Path

    @property
    def service(self) -> str:
        return str(self.api.base_url).rstrip("/")

    def product(self, name: str) -> tuple[int, str, str]:
        """Its id, and the ids of its image and its video."""
        with closing(sqlite3.connect(self.database)) as db:
            query = "SELECT id, image, video FROM shop_product WHERE name = ?"
            [(pk, image, video)] = db.execute(query, (name,)).fetchall()
        return pk, image, video

    async def has_object(self, file_id: str) -> bool:
        """Whether the bucket has the bytes of a file of the service's."""
        file = (await self.api.get(f"/v1/files/{file_id}")).raise_for_status().json()
        found = self.s3.list_objects_v2(Bucket="shop", Prefix=file["key"])
        return any(item["Key"] == file["key"] for item in found.get("Contents", []))


async def bytes_at(link: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        return (await web.get(link)).raise_for_status().content


async def sign_in(page: Page, shop: Shop) -> None:
    await page.goto(f"{shop.url}/admin/login/?next=/admin/shop/product/add/")
    await log_in(page)


async def log_in(page: Page) -> None:
    """As Ann, in the form that the page has."""
    await page.get_by_label("Username").fill("ann")
    await page.get_by_label("Password").fill("-")
    await page.get_by_role("button", name="Log in").click()


async def add(page: Page, shop: Shop, name: str) -> None:
    """A new product's form, filled in but for its files."""
    await page.goto(f"{shop.url}/admin/shop/product/add/")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Price").fill("12.50")


async def edit(page: Page, shop: Shop, name: str) -> None:
    pk, *_ = shop.product(name)
    await page.goto(f"{shop.url}/admin/shop/product/{pk}/change/")


def field(page: Page, name: str) -> Locator:
    return page.locator(f"claimcheck-upload[name={name}]")


async def choose(field: Locator, file: Any) -> None:
    """Choose a file: a path, or what `payload` makes."""
    await field.locator("input[type=file]").set_input_files(file)


async def uploaded(field: Locator) -> None:
    await expect(field.get_by_text("uploaded. Save to keep it.")).to_be_visible(timeout=300_000)


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".messagelist .success")).to_contain_text("successfully")
