"""Steps of the records' tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx

from tests.support.steps import confirm_all

RECORDS = "CLAIMCHECK_RECORDS__PRODUCT__"
PICTURE = "/v1/records/product/42/picture"
GALLERY = "/v1/records/product/42/gallery"


@asynccontextmanager
async def acting(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service for somebody else."""
    async with httpx.AsyncClient(
        transport=client._transport, base_url=client.base_url, headers=headers
    ) as other:
        yield other


async def images(client: httpx.AsyncClient, database_url: str, count: int) -> list[str]:
    """Ids of so many confirmed files, as if the bucket had been asked."""
    body = {"destination": "images", "filename": "a.png", "size": 1}
    answer = await client.post("/v1/uploads/batch", json={"uploads": [body] * count})
    await confirm_all(database_url)
    return [upload["id"] for upload in answer.json()["uploads"]]


async def counts(db: asyncpg.Connection) -> dict[str, int]:
    """How often each file is used; fails unless the count in its row is right."""
    rows = await db.fetch(
        """SELECT f.id, f.attachments, f.state, count(r.file_id) AS used
           FROM files f LEFT JOIN record_files r ON r.file_id = f.id GROUP BY f.id"""
    )
    for row in rows:
        assert row["attachments"] == row["used"], row
        assert row["used"] == 0 or row["state"] == "confirmed", row
    return {str(row["id"]): row["used"] for row in rows if row["used"]}


def gallery(record: dict[str, Any]) -> list[str]:
    return [file["file_id"] for file in record["fields"]["gallery"]]
