"""Long work is done in turns with other requests, however fast the machine is."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest

from app import turns
from app.turns import Turn
from bench import rows
from bench.sections.records import FILL as FILL_RECORDS
from tests.support.service import prepared, running
from tests.support.turns import turns_of_others

T = TypeVar("T")
FILES = 1000
PNG = {"destination": "images", "filename": "a.png", "content_type": "image/png", "size": 1}
LARGE = {"destination": "files", "filename": "a.bin", "size": 1 << 32}


async def steps(count: int) -> None:
    turn = Turn()
    for _ in range(count):
        await turn.over()


@pytest.mark.parametrize(("seconds", "others"), [(-1.0, 100), (3600.0, 1)])
async def test_a_turn_is_over_once_its_time_is_up(
    monkeypatch: pytest.MonkeyPatch, seconds: float, others: int
) -> None:
    monkeypatch.setattr(turns, "SECONDS", seconds)
    _, count = await turns_of_others(steps(100))
    assert others <= count <= others + 2


@pytest.fixture
async def client(
    environ: dict[str, str], db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A service with a thousand files, in which each step is a turn."""
    more = {
        "AWS_STORAGE_BUCKET_NAME": rows.BUCKET,
        "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
    }
    settings = await prepared(environ | more)
    await rows.fill(db, 1, FILES, settings.destinations["images"].stored_endpoint)
    await db.execute(FILL_RECORDS)
    async with running(settings) as client:
        monkeypatch.setattr(turns, "SECONDS", -1.0)
        yield client


async def test_long_answers_are_made_in_turns(
    client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    ids = await rows.newest_ids(db, FILES)
    urls = [row[0] for row in await db.fetch("SELECT url FROM files")]
    numbers = ",".join(str(number) for number in range(1, 201))
    large = await client.post("/v1/uploads", json=LARGE)
    assert large.status_code == 201, large.text
    parts = f"/v1/uploads/{large.json()['id']}/parts"
    # Rows, links and their JSON are steps, of some also what is asked for.
    for least, method, path, body in (
        (3 * FILES, "POST", "/v1/files/presign", {"ids": ids}),
        (5 * FILES, "POST", "/v1/files/presign", {"urls": urls}),
        (100, "GET", "/v1/files?limit=100", None),
        (4 * 200, "GET", f"/v1/records/product?ids={numbers}", None),
        (4 * 100, "POST", "/v1/uploads/batch", {"uploads": [PNG] * 100}),
        (2 * 256, "POST", parts, {"part_numbers": list(range(1, 257))}),
    ):
        response, others = await turns_of_others(client.request(method, path, json=body))
        assert response.status_code == 200, response.text
        assert '"problem"' not in response.text
        assert others >= least, path


async def test_the_document_is_made_beside_other_requests(client: httpx.AsyncClient) -> None:
    both = (client.get("/openapi.json"), client.get("/openapi.json"))
    [first, second], others = await turns_of_others(_gathered(*both))
    assert first.json()["openapi"]
    assert first.content == second.content
    assert others > 100


async def _gathered(*work: Coroutine[Any, Any, T]) -> list[T]:
    return await asyncio.gather(*work)
