"""Transactions that take the same rows wait for one another, and none in a circle."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.db import files as db_files
from app.db import usage as db_usage
from app.db.connections import Database, was_deadlock
from app.db.inserts import Inserts
from app.db.reserve import find_room, reserve_files
from app.errors import DatabaseUnavailable
from app.models.files import File
from app.models.usage import Level
from app.settings.model import load_settings
from app.settings.quotas import Limits, QuotaSettings
from tests.support.locks import waiting
from tests.support.rows import insert, new_file
from tests.support.usage import switch_on

QUOTA = QuotaSettings(owner=Limits(files=9))


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[list[asyncpg.Connection]]:
    async with AsyncExitStack() as stack:
        made = [await asyncpg.connect(database_url) for _ in range(3)]
        for connection in made:
            stack.push_async_callback(connection.close)
        yield made


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(load_settings({"DATABASE_URL": database_url}))
    yield database
    await database.close()


async def adopt(db: asyncpg.Connection, file: File, wait: Callable[[], Any]) -> None:
    async with db.transaction(), db_usage.adding(db, [file], QUOTA):
        await wait()
        assert await db_files.insert_confirmed(db, [file]) == {file.id}


async def announce(db: asyncpg.Connection, file: File, wait: Callable[[], Any]) -> None:
    """As one that found no room at first."""
    async with db.transaction():
        assert await find_room(db, [[file]], QUOTA) == [None]
        await wait()
        assert (await reserve_files(db, [file], [], QUOTA)).stored == {file.id}


@pytest.mark.parametrize("store", [adopt, announce])
async def test_a_level_is_dropped_while_files_are_stored(
    db: asyncpg.Connection, connections: list[asyncpg.Connection], store: Callable[..., Any]
) -> None:
    """As by a deployment without limits beside one that has them."""
    await switch_on(db, Level.OWNER)
    await insert(db, new_file())
    dropping: list[asyncio.Task[None]] = []

    async def drop() -> None:
        async with connections[1].transaction():
            await db_usage.drop_level(connections[1], Level.OWNER)

    async def meanwhile() -> None:
        dropping.append(asyncio.create_task(drop()))
        looking = asyncio.create_task(waiting(db, 1))
        # Where two seconds have passed before it was seen to wait, it waits no more.
        await asyncio.wait((looking, dropping[0]), return_when=asyncio.FIRST_COMPLETED)
        looking.cancel()

    await store(connections[0], new_file(), meanwhile)
    try:
        await dropping[0]
    except DatabaseUnavailable:
        # Two seconds may have passed here. The next sweep drops it.
        await drop()
    assert await db_usage.read_levels(db) == {}


async def test_the_same_objects_are_adopted_in_either_order(
    db: asyncpg.Connection, connections: list[asyncpg.Connection]
) -> None:
    lists = [[new_file(key=key) for key in keys] for keys in ("amz", "zma")]
    first = connections[2].transaction()
    await first.start()
    await insert(connections[2], new_file(key="m"))
    storing = [
        asyncio.create_task(db_files.insert_confirmed(one, files))
        for one, files in zip(connections[:2], lists, strict=True)
    ]
    # One waits for `m`, and the other for that or for the first.
    await waiting(db, 2)
    await first.rollback()
    assert sorted(map(len, await asyncio.gather(*storing))) == [0, 3]


async def test_whose_change_is_given_up_may_try_again(database: Database) -> None:
    both = asyncio.Barrier(2)

    async def take(*numbers: int) -> None:
        async with database.transaction() as db:
            for number in numbers:
                await db.execute("SELECT pg_advisory_xact_lock($1)", number)
                if number == numbers[0]:
                    await both.wait()

    [problem] = [
        answer
        for answer in await asyncio.gather(take(1, 2), take(2, 1), return_exceptions=True)
        if answer is not None
    ]
    assert isinstance(problem, DatabaseUnavailable)
    assert was_deadlock(problem)
    assert problem.retry_after
    # Its connection is as good as any.
    async with database.connection() as db:
        assert await db.fetchval("SELECT 1") == 1


async def test_of_announcements_that_are_given_up_together_each_is_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_files = db_files.insert_files
    bad = new_file()

    async def store(db: asyncpg.Connection, rows: Sequence[File], kept: Any = ()) -> set[UUID]:
        if len(rows) > 2 or bad in rows:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return await insert_files(db, rows, kept)

    monkeypatch.setattr(db_files, "insert_files", store)
    files = [new_file(), new_file(), bad, new_file()]
    queue = Inserts(database, QuotaSettings())
    answers = await asyncio.gather(*(queue.insert([f]) for f in files), return_exceptions=True)
    assert [isinstance(answer, set) for answer in answers] == [True, True, False, True]
    assert isinstance(answers[2], DatabaseUnavailable)
