"""Steps of the sweep's tests, and the bucket as they look at it."""

import asyncio
import sys
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.parts import MIB
from app.settings.model import Settings
from tests.support.steps import announced

MP4 = b"\0\0\0\x1cftypisom\0\0\2\0isommp41\0\0\0\x08free" + bytes(60)
SWEEP = (sys.executable, "-m", "tests.support.unhurried", "sweep")


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, s3: Any, settings: Settings) -> None:
        self._s3, self.name = s3, settings.destinations["files"].bucket

    async def versions(self, key: str) -> int:
        listing = await self._s3.list_object_versions(Bucket=self.name, Prefix=key)
        return len(listing.get("Versions", []) + listing.get("DeleteMarkers", []))

    async def uploads(self) -> int:
        listing = await self._s3.list_multipart_uploads(Bucket=self.name)
        return len(listing.get("Uploads", []))


async def states(db: asyncpg.Connection) -> Counter[str]:
    return Counter(row[0] for row in await db.fetch("SELECT state FROM files"))


async def parts_sent(
    client: httpx.AsyncClient, web: httpx.AsyncClient, data: bytes, count: int, name: str = "a.bin"
) -> dict[str, Any]:
    upload = await announced(client, data, name)
    assert upload["upload"]["method"] == "multipart"
    for part in upload["upload"]["parts"][:count]:
        start = (part["part_number"] - 1) * upload["upload"]["part_size"]
        sent = await web.put(part["url"], content=data[start : start + part["size"]])
        assert sent.is_success
    return upload


DATA = bytes(range(256)) * (6 * MIB // 256)


async def announce_many(client: httpx.AsyncClient, count: int) -> None:
    uploads = [{"destination": "files", "filename": f"{n}.txt", "size": 5} for n in range(count)]
    for start in range(0, count, 100):
        body = {"uploads": uploads[start : start + 100]}
        assert (await client.post("/v1/uploads/batch", json=body)).is_success


async def leased(db: asyncpg.Connection, state: str, count: int) -> None:
    """Wait until a sweeper's leases are committed."""
    held = "SELECT count(*) FROM files WHERE state = $1 AND claimed_until > now()"
    for _ in range(3000):
        if await db.fetchval(held, state) == count:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"nobody claimed {count} files that are {state}")
