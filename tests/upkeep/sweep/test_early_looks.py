"""Uploads whose browsers vanish: the sweep finds them soon, with few looks."""

import itertools
from datetime import datetime, timedelta

import asyncpg
import httpx
import pytest

from app.core.deadlines import FIRST_LOOK, first_look
from app.core.ids import uuid7
from app.runtime.resources import open_resources
from app.settings.model import Settings
from app.store.signer import utc_now
from app.upkeep.sweep import Outcome, Sweep
from tests.support.service import running
from tests.support.steps import announced, send
from tests.support.upkeep import HOUR, PAUSED, swept, swept_at
from tests.upkeep.sweep.steps import DATA, MP4, Bucket, announce_many, parts_sent, states

MINUTE = timedelta(minutes=1)


async def test_one_that_never_comes_costs_few_looks_ever_further_apart(
    settings: Settings, client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    upload = await announced(client, b"hello", "a.txt")
    begun = await db.fetchval("SELECT created_at FROM files")
    now, looks = begun, []
    async with open_resources(settings, clock=lambda: now) as res:
        while (due := await db.fetchval("SELECT look_at FROM files")) is not None:
            now = due + timedelta(milliseconds=1)
            looks.append((now - begun).total_seconds())
            assert await Sweep(res).look() == {Outcome.AWAITED: 1}
            # Once for each moment, however often it sweeps.
            assert await Sweep(res).look() == {}
    assert 5 <= len(looks) <= 12
    for before, after in itertools.pairwise(looks):
        pause = max(before, FIRST_LOOK.total_seconds())
        assert 0.74 * pause < after - before < 1.26 * pause
    assert datetime.fromisoformat(upload["expires_at"]) > now
    assert await states(db) == {"pending": 1}


async def test_none_is_put_off_until_its_instructions_have_ended(
    settings: Settings, client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await announce_many(client, 100)
    # About half of the pauses drawn would go past the end.
    await db.execute(
        "UPDATE files SET look_at = now() - interval '1 second',"
        " created_at = now() - interval '10 minutes', expires_at = now() + interval '10 minutes'"
    )
    now = await db.fetchval("SELECT now()")
    async with open_resources(settings, clock=lambda: now) as res:
        await Sweep(res).look()
    rows = await db.fetch("SELECT look_at, expires_at FROM files")
    looks = [row["look_at"] for row in rows if row["look_at"] is not None]
    assert 10 < len(looks) < 90
    assert max(looks) < rows[0]["expires_at"]


def test_looks_are_spread_and_wait_for_large_files() -> None:
    now = utc_now()
    waits = [
        (first_look(uuid7(now, bytes([0] * 7 + [last])), now, 5) - now).total_seconds()
        for last in (0, 128, 255)
    ]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(11.25, abs=0.1)
    assert waits[2] == pytest.approx(18.75, abs=0.1)
    large = first_look(uuid7(now, bytes(8)), now, 10**10) - now
    assert large > 10 * MINUTE


async def test_those_announced_together_are_looked_for_apart(
    settings: Settings, client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await announce_many(client, 100)
    moments = await db.fetchval("SELECT count(DISTINCT look_at) FROM files")
    assert moments > 50
    assert await swept(settings, MINUTE) == {"awaited": 100}
    assert await db.fetchval("SELECT count(DISTINCT look_at) FROM files") > 90


async def test_where_what_nobody_confirms_is_deleted_nothing_is_looked_for(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    upload = await announced(client, MP4, "a.mp4", destination="videos")
    assert (await send(web, upload["upload"], MP4)).is_success
    assert await swept(settings, MINUTE) == {}
    # Also where the setting was changed after the announcement.
    await db.execute("UPDATE files SET look_at = now()")
    assert await swept(settings, MINUTE) == {"awaited": 1}
    assert await states(db) == {"pending": 1}
    assert await swept(settings) == {"removed": 1}


async def test_parts_of_an_unknown_number_are_not_looked_for(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await parts_sent(client, web, DATA, 2)
    await db.execute("UPDATE files SET size = NULL, part_size = NULL")
    assert await swept(settings, MINUTE) == {"awaited": 1}
    assert await states(db) == {"pending": 1}
    assert await swept(settings, PAUSED) == {"removed": 1}


async def test_another_object_at_the_key_is_no_arrival_until_the_instructions_end(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    upload = await announced(client, b"hello", "a.txt")
    await bucket._s3.put_object(Bucket=bucket.name, Key=upload["key"], Body=b"hello")
    assert await swept(settings, MINUTE) == {"awaited": 1}
    assert await states(db) == {"pending": 1}
    assert (await send(web, upload["upload"], b"hello")).is_success
    assert await swept(settings, 5 * MINUTE) == {"confirmed": 1}


async def test_what_is_not_as_announced_is_rejected_at_once(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    data = b"<html><script>alert(1)</script></html>"
    upload = await announced(client, data, "a.png", destination="images")
    assert (await send(web, upload["upload"], data)).is_success
    assert await swept(settings, MINUTE) == {"rejected": 1}


async def test_a_renewed_upload_is_looked_for_again(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    upload = await announced(client, b"hello", "a.txt")
    await db.execute("UPDATE files SET look_at = NULL")
    moment = utc_now() + 59 * MINUTE
    async with running(settings, clock=lambda: moment) as later:
        renewed = (await later.post(f"/v1/uploads/{upload['id']}/renew")).json()
    assert (await send(web, renewed["upload"], b"hello")).is_success
    assert await swept_at(settings, moment + timedelta(seconds=10)) == {}
    assert await swept(settings, HOUR) == {"confirmed": 1}


async def test_parts_that_are_signed_late_are_looked_for_soon(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """However long it took until then; and as few looks as of a new upload follow."""
    upload = await parts_sent(client, web, DATA, 1)
    # By then it is looked for hours apart.
    now = utc_now() + 10 * HOUR
    await db.execute("UPDATE files SET look_at = $1", now + 10 * HOUR)
    last = upload["upload"]["part_count"]
    files = settings.destinations["files"].model_copy(update={"multipart_expires_in": 604_800})
    destinations = {**settings.destinations, "files": files}
    settings = settings.model_copy(update={"destinations": destinations})
    async with running(settings, clock=lambda: now) as later:
        answer = await later.post(
            f"/v1/uploads/{upload['id']}/parts", json={"part_numbers": [last]}
        )
        assert answer.is_success, answer.text
    pauses = []
    async with open_resources(settings, clock=lambda: now) as res:
        for _ in range(3):
            due = await db.fetchval("SELECT look_at FROM files")
            pauses.append((due - now).total_seconds())
            now = due + timedelta(milliseconds=1)
            assert await Sweep(res).look() == {Outcome.AWAITED: 1}
    for pause, shortest, longest in zip(pauses, (11, 11, 17), (20, 25, 57), strict=True):
        assert shortest <= pause <= longest
