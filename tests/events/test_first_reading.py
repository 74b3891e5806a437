"""The feed's beginning, and its events after a change that is none itself."""

import asyncio

import asyncpg
import httpx
import pytest

from app.db import moves
from app.settings.model import Settings
from tests.support.rows import NOW, insert, new_file
from tests.support.service import prepared
from tests.support.steps import stored

FEED = "/v1/events"


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    field = "CLAIMCHECK_RECORDS__PRODUCT__GALLERY"
    return await prepared(environ | {field: '{"destination": "files", "many": true}'})


async def test_a_changed_name_and_metadata_are_in_later_events(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await stored(client, web)
    after = (await client.get(FEED)).json()["cursor"]
    change = {"filename": "new.txt", "metadata": {"order": 7}}
    changed = await client.patch(f"/v1/files/{file['id']}", json=change)
    assert changed.status_code == 200, changed.text
    attach_to = {"file_ids": [file["id"]]}
    assert (await client.put("/v1/records/product/42/gallery", json=attach_to)).is_success
    await client.delete("/v1/records/product/42")
    await client.delete(f"/v1/files/{file['id']}")
    told, held, _, released = (await client.get(FEED, params={"after": after})).json()["items"]
    assert told["type"] == "file.changed"
    assert held["data"]["fields"]["gallery"][0]["filename"] == "new.txt"
    assert {name: released["data"][name] for name in change} == change


async def test_the_first_answer_comes_after_changes_that_saw_nobody_listen(
    client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """So a list of files that is made after it lacks nothing that is in no event."""
    transaction = db.transaction()
    await transaction.start()
    file = new_file(destination="files")
    await insert(db, file)
    assert await moves.mark_confirmed(db, file._replace(confirmed_at=NOW))
    reading = asyncio.create_task(client.get(FEED, timeout=60))
    async with asyncio.timeout(60):
        while not await db.fetchval("SELECT count(*) FROM listeners"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert not reading.done()
    await transaction.commit()
    assert (await reading).json()["items"] == []
    assert await db.fetchval("SELECT state FROM files WHERE id = $1", file.id) == "confirmed"
