"""Files of many requests in one statement, and none of them the worse for the others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.db import files as db_files
from app.db import inserts
from app.db import reserve as db_reserve
from app.db.connections import Database
from app.db.inserts import Inserts
from app.errors import DatabaseUnavailable, QuotaExceeded
from app.models.files import File
from app.models.usage import Level
from app.settings.model import load_settings
from app.settings.quotas import Limits, QuotaSettings
from tests.support.rows import new_file
from tests.support.usage import switch_on

NO_QUOTA = QuotaSettings()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(load_settings({"DATABASE_URL": database_url}))
    yield database
    await database.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each statement took."""
    counts: list[int] = []

    async def counted(db: asyncpg.Connection, rows: Sequence[File], kept: Any = ()) -> set[UUID]:
        counts.append(len(rows))
        return await insert_files(db, rows, kept)

    insert_files = db_files.insert_files
    monkeypatch.setattr(db_files, "insert_files", counted)
    return counts


async def count(database: Database) -> int:
    async with database.connection() as db:
        found: int = await db.fetchval("SELECT count(*) FROM files")
        return found


async def test_who_is_alone_is_stored_alone(database: Database, statements: list[int]) -> None:
    queue = Inserts(database, NO_QUOTA)
    for _ in range(3):
        file = new_file()
        assert await queue.insert([file]) == {file.id}
        assert await count(database) == len(statements)
    assert statements == [1, 1, 1]


async def test_who_comes_at_the_same_time_is_stored_together(
    database: Database, statements: list[int]
) -> None:
    queue = Inserts(database, NO_QUOTA)
    requests = [[new_file() for _ in range(1 + n % 3)] for n in range(30)]
    answers = await asyncio.gather(*(queue.insert(files) for files in requests))
    for files, stored in zip(requests, answers, strict=True):
        assert {file.id for file in files} <= stored
    assert statements == [60]
    assert await count(database) == 60


async def test_each_row_keeps_its_values_and_its_nulls(database: Database) -> None:
    # A column that is NULL in all rows, in some, in none; and one with the same value in all, or at
    # both ends.
    rows = [
        new_file(size=5, path="a"),
        new_file(size=None, reason="size", path="b"),
        new_file(size=0, reason="", path="a"),
        new_file(size=5, reason=None, path="a"),
    ]
    await Inserts(database, NO_QUOTA).insert(rows)
    async with database.connection() as db:
        assert [await db_files.get_again(db, row) for row in rows] == rows


async def test_who_comes_during_a_statement_is_in_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Inserts(database, NO_QUOTA)
    waiting: list[asyncio.Task[set[UUID]]] = []
    sizes: list[int] = []
    insert_files = db_files.insert_files

    async def slow(db: asyncpg.Connection, rows: Sequence[File], kept: Any = ()) -> set[UUID]:
        sizes.append(len(rows))
        if len(sizes) == 1:
            waiting.extend(asyncio.create_task(queue.insert([new_file()])) for _ in range(5))
            await db.execute("SELECT pg_sleep(0.05)")
        return await insert_files(db, rows, kept)

    monkeypatch.setattr(db_files, "insert_files", slow)
    await queue.insert([new_file()])
    await asyncio.gather(*waiting)
    assert sizes == [1, 5]


async def test_a_statement_has_its_limit(
    database: Database, statements: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inserts, "MAX_ROWS", 10)
    queue = Inserts(database, NO_QUOTA)
    await asyncio.gather(*(queue.insert([new_file() for _ in range(4)]) for _ in range(7)))
    assert statements == [12, 12, 4]
    await queue.insert([new_file() for _ in range(11)])
    assert statements[-1] == 11


async def test_answers_leave_room_for_others(database: Database) -> None:
    queue = Inserts(database, NO_QUOTA)
    tasks = [asyncio.create_task(queue.insert([new_file()])) for _ in range(30)]
    answered = [0]
    while answered[-1] < len(tasks):
        await asyncio.sleep(0)
        answered.append(sum(task.done() for task in tasks))
    steps = [after - before for before, after in pairwise(answered)]
    assert max(steps) == inserts.ANSWERS_A_TURN


async def test_of_two_who_want_the_same_key_one_gets_it(database: Database) -> None:
    queue = Inserts(database, NO_QUOTA)
    twins = [new_file(key="twin") for _ in range(2)]
    other = new_file()
    one, two, three = await asyncio.gather(*(queue.insert([file]) for file in (*twins, other)))
    assert len({twin.id for twin in twins} & one & two) == 1
    assert other.id in three
    assert await queue.insert([new_file(key="twin")]) == set()


async def test_a_row_that_is_refused_does_not_take_the_others_along(database: Database) -> None:
    queue = Inserts(database, NO_QUOTA)
    good = [new_file() for _ in range(3)]
    impossible = [new_file(size=-1), new_file(owner="a\0b"), new_file(filename="\ud800")]
    requests = [[file] for pair in zip(good, impossible, strict=True) for file in pair]
    answers = await asyncio.gather(*map(queue.insert, requests), return_exceptions=True)
    for [file], answer in zip(requests, answers, strict=True):
        if file in good:
            assert answer == {file.id}
        else:
            assert isinstance(answer, Exception)
            assert not isinstance(answer, DatabaseUnavailable)
    assert await count(database) == 3
    assert await queue.insert([new_file()])


QUOTA = QuotaSettings(owner=Limits(pending=3))


@pytest.fixture
async def reserved(db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each statement took that keeps limits."""
    await switch_on(db, Level.OWNER)
    counts: list[int] = []

    async def counted(
        db: asyncpg.Connection, rows: Sequence[File], *more: Any
    ) -> db_reserve.Reserved:
        counts.append(len(rows))
        return await reserve_files(db, rows, *more)

    reserve_files = db_reserve.reserve_files
    monkeypatch.setattr(db_reserve, "reserve_files", counted)
    return counts


@pytest.mark.parametrize("full", [1, 2, 16])
async def test_owners_without_room_cost_the_others_no_statement(
    database: Database, reserved: list[int], full: int
) -> None:
    queue = Inserts(database, QUOTA)
    await queue.insert([new_file(owner=f"full {n}") for n in range(full) for _ in range(3)])
    reserved.clear()
    others = [[new_file(owner=f"other {n}")] for n in range(33 - full)]
    refused = [[new_file(owner=f"full {n}")] for n in range(full)]
    answers = await asyncio.gather(*map(queue.insert, refused + others), return_exceptions=True)
    assert all(isinstance(answer, QuotaExceeded) for answer in answers[:full])
    for [file], answer in zip(others, answers[full:], strict=True):
        assert isinstance(answer, set)
        assert file.id in answer
    assert reserved == [33]


async def test_of_an_owner_with_little_room_as_many_are_stored_as_fit(
    database: Database, reserved: list[int]
) -> None:
    mine = [[new_file(owner="mine") for _ in range(n)] for n in (2, 2, 1, 1, 5, 1)]
    others = [[new_file(owner=f"other {n}")] for n in range(20)]
    answers = await asyncio.gather(
        *map(Inserts(database, QUOTA).insert, mine + others), return_exceptions=True
    )
    stored = [isinstance(answer, set) for answer in answers]
    assert stored == [True, False, True, False, False, False] + [True] * 20
    # All; of mine those that fit.
    assert reserved == [12 + 20, 3]
    assert "5 more" in str(answers[4])
    assert await count(database) == 3 + 20


async def test_a_row_that_is_refused_does_not_take_others_of_a_full_owner_along(
    database: Database, reserved: list[int]
) -> None:
    requests = [[new_file(owner="mine", size=size)] for size in (1, 1, -1, 1, 1)]
    answers = await asyncio.gather(
        *map(Inserts(database, QUOTA).insert, requests), return_exceptions=True
    )
    assert [isinstance(answer, set) for answer in answers].count(True) == 3
    assert isinstance(answers[2], asyncpg.CheckViolationError)
    assert await count(database) == 3


async def test_who_leaves_does_not_disturb_the_others(database: Database) -> None:
    queue = Inserts(database, NO_QUOTA)
    files = [new_file() for _ in range(3)]
    tasks = [asyncio.create_task(queue.insert([file])) for file in files]
    await asyncio.sleep(0)
    tasks[0].cancel()
    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert all(isinstance(stored, set) and files[2].id in stored for stored in others)


async def test_without_a_database_all_hear_of_it(database: Database) -> None:
    gone = Database(load_settings({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}))
    queue = Inserts(gone, NO_QUOTA)
    for _ in range(2):
        answers = await asyncio.gather(
            *(queue.insert([new_file()]) for _ in range(4)), return_exceptions=True
        )
        assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
    await gone.close()


async def test_behind_a_pooler_of_transactions_nobody_is_answered_before_the_commit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooled = {"DATABASE_URL": database_url, "CLAIMCHECK_DATABASE_TRANSACTION_POOLING": "true"}
    database = Database(load_settings(pooled))
    queue = Inserts(database, NO_QUOTA)
    insert_files = db_files.insert_files

    async def lost(db: asyncpg.Connection, *rows: Any) -> set[UUID]:
        stored = await insert_files(db, *rows)
        db.terminate()
        return stored

    monkeypatch.setattr(db_files, "insert_files", lost)
    with pytest.raises(DatabaseUnavailable):
        await queue.insert([new_file()])
    assert await count(database) == 0
    await database.close()
