"""Long work is done in turns with other requests, however fast the machine is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest

from app import turns
from app.db.statements import Statement
from app.routers import pages
from app.turns import Turn
from bench import rows
from bench.sections.records import FILL as FILL_RECORDS
from tests.support.service import prepared, running
from tests.support.turns import Offers, Unbroken

T = TypeVar("T")
FILES = 1000
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
EVENTS = 500
Asked = tuple[int, str, str, Any]  # steps, method, path, body
PNG = {"destination": "images", "filename": "a.png", "content_type": "image/png", "size": 1}
LARGE = {"destination": "files", "filename": "a.bin", "size": 1 << 32}


# As the moves of files would have written them.
FILL_EVENTS = """
INSERT INTO events (event_id, type, tenant, owner, subject, destination, created_at, data)
SELECT id, 'file.confirmed', '', owner, id::text, destination, confirmed_at,
  jsonb_strip_nulls(to_jsonb(files))
FROM files LIMIT $1
"""
FILL_QUOTAS = """
INSERT INTO quotas (tenant, owner, files) SELECT '', 'owner-' || i, i FROM generate_series(1, $1) i
"""


async def steps(count: int) -> None:
    turn = Turn()
    for _ in range(count):
        await turn.over()


@pytest.mark.parametrize(("seconds", "others"), [(-1.0, 100), (3600.0, 1)])
async def test_a_turn_is_over_once_its_time_is_up(
    monkeypatch: pytest.MonkeyPatch, seconds: float, others: int
) -> None:
    monkeypatch.setattr(turns, "SECONDS", seconds)
    count, task = 0, asyncio.create_task(steps(100))
    while not task.done():
        await asyncio.sleep(0)
        count += 1
    assert others <= count <= others + 2


@pytest.fixture
async def client(
    environ: dict[str, str], db: asyncpg.Connection
) -> AsyncIterator[httpx.AsyncClient]:
    """A service with a thousand files."""
    more = {
        "AWS_STORAGE_BUCKET_NAME": rows.BUCKET,
        "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
    }
    settings = await prepared(environ | more)
    await rows.fill(db, 1, FILES, settings.destinations["images"].stored_endpoint)
    await db.execute(FILL_RECORDS)
    async with running(settings) as client:
        yield client


@pytest.fixture
async def asked(client: httpx.AsyncClient, db: asyncpg.Connection) -> list[Asked]:
    """Requests with long answers, and the least number of steps that each is made in."""
    ids = await rows.newest_ids(db, FILES)
    urls = [row[0] for row in await db.fetch("SELECT url FROM files")]
    numbers = ",".join(str(number) for number in range(1, 201))
    large = await client.post("/v1/uploads", json=LARGE)
    assert large.status_code == 201, large.text
    parts = f"/v1/uploads/{large.json()['id']}/parts"
    # It is the first reading that begins the feed.
    assert (await client.get("/v1/events?after=latest")).status_code == 200
    await db.execute(FILL_EVENTS, EVENTS)
    await db.execute(FILL_QUOTAS, FILES)
    # Rows, links and their JSON are steps, of some also what is asked for.
    return [
        (2 * FILES + FILES // 8, "POST", "/v1/files/presign", {"ids": ids}),
        (4 * FILES + FILES // 8, "POST", "/v1/files/presign", {"urls": urls}),
        (2 * FILES + 2 * FILES // 8, "POST", "/v1/files/presign", {"ids": ids, "details": True}),
        (2 * (100 // 8), "GET", "/v1/files?limit=100", None),
        (4 * EVENTS, "GET", f"/v1/events?limit={EVENTS}", None),
        (2 * FILES, "GET", f"/v1/quotas?limit={FILES}", None),
        (4 * 200, "GET", f"/v1/records/product?ids={numbers}", None),
        (4 * 100, "POST", "/v1/uploads/batch", {"uploads": [PNG] * 100}),
        (2 * 256, "POST", parts, {"part_numbers": list(range(1, 257))}),
    ]


async def test_long_answers_are_made_in_turns(
    client: httpx.AsyncClient, asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    offers = Offers(monkeypatch)
    for least, method, path, body in asked:
        response = await client.request(method, path, json=body)
        assert response.status_code == 200, response.text
        assert '"problem"' not in response.text
        assert offers.taken() >= least, path


async def test_no_chain_of_short_turns_makes_a_long_one(
    client: httpx.AsyncClient, asked: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part of the work begins its own turn, and the end of one is no turn of others."""
    unbroken = Unbroken(monkeypatch, most=30)
    for least, method, path, body in asked:
        response = await client.request(method, path, json=body)
        assert response.status_code == 200, response.text
        assert min(least, 30) <= unbroken.longest() <= 4 * 30, (path, body)


async def test_a_thousand_files_are_read_in_portions_and_shown_in_order(
    client: httpx.AsyncClient, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await rows.newest_ids(db, FILES - 2)
    asked = [*ids, UNKNOWN_ID, ids[0]]
    url_of = {f"{row[0]}": row[1] for row in await db.fetch("SELECT id, url FROM files")}
    urls = [url_of[one] for one in ids] + ["https://elsewhere.example/a.png", url_of[ids[0]]]
    wanted: list[str | None] = [*ids, None, ids[0]]
    read: list[int] = []
    of_all = Statement.rows

    async def noted(self: Statement[Any], *arguments: Any, **values: Any) -> list[Any]:
        found = await of_all(self, *arguments, **values)
        read.append(len(found))
        return found

    monkeypatch.setattr(Statement, "rows", noted)
    for body in (
        {"ids": asked},
        {"urls": urls},
        {"ids": asked, "details": True},
        {"urls": urls, "details": True},
    ):
        read.clear()
        answer = await client.post("/v1/files/presign", json=body)
        items = answer.json()["items"]
        assert [item.get("id") for item in items] == wanted
        assert [item["problem"]["status"] for item in items if "problem" in item] == [404]
        assert sum(read) >= FILES - 2
        assert max(read) <= FILES // 2


async def test_the_document_is_made_in_a_thread_and_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_thread, done = asyncio.to_thread, list[Callable[..., Any]]()

    async def noted(function: Callable[..., T], *arguments: Any) -> T:
        done.append(function)
        return await in_thread(function, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    answers = await asyncio.gather(*(client.get("/openapi.json") for _ in range(3)))
    assert answers[0].json()["openapi"]
    # The route's own short way is made in one, too.
    assert len({answer.content for answer in answers}) == done.count(pages._document) == 1
