"""Files of many requests read by one statement, and each caller sees their own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.core.principal import Principal, Scope
from app.db import files as db_files
from app.db import lookups
from app.db.connections import Database
from app.db.lookups import Lookups
from app.errors import DatabaseUnavailable
from app.models.files import File, Readable, State
from app.settings.model import load_settings
from tests.support.rows import insert, new_file

ME = Principal("dev")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(load_settings({"DATABASE_URL": database_url}))
    yield database
    await database.close()


@pytest.fixture
async def mine(db: asyncpg.Connection) -> list[File]:
    files = [new_file(State.CONFIRMED) for _ in range(20)]
    await insert(db, *files)
    return files


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many ids each statement asked for."""
    counts: list[int] = []
    readable_by_id = db_files.readable_by_id

    async def counted(
        db: asyncpg.Connection, ids: Sequence[UUID], caller: Principal | None
    ) -> list[Readable]:
        counts.append(len(ids))
        return await readable_by_id(db, ids, caller)

    monkeypatch.setattr(db_files, "readable_by_id", counted)
    return counts


def name_of(file: Readable | None) -> str | None:
    return file and file.key


async def test_who_asks_in_one_turn_is_answered_together(
    database: Database, mine: list[File], statements: list[int]
) -> None:
    reads = Lookups(database)
    # One of them twice, and one that is not there.
    asked = [*(file.id for file in mine), mine[0].id, uuid4()]
    found = await asyncio.gather(*(reads.readable(file_id, ME) for file_id in asked))
    assert list(map(name_of, found)) == [*(file.key for file in mine), mine[0].key, None]
    # The first one waits for nobody, and no statement is too long.
    assert sorted(statements) == [1, 5, lookups.MAX_IDS]
    assert not reads._groups


async def test_who_is_alone_is_read_alone(
    database: Database, mine: list[File], statements: list[int]
) -> None:
    reads = Lookups(database)
    for file in mine[:3]:
        assert name_of(await reads.readable(file.id, ME)) == file.key
    assert statements == [1, 1, 1]


async def test_each_sees_their_own_however_many_ask_at_once(
    database: Database, db: asyncpg.Connection, mine: list[File]
) -> None:
    theirs, elsewhere = (
        new_file(State.CONFIRMED, owner="they"),
        new_file(State.CONFIRMED, tenant="other"),
    )
    pending = new_file()
    await insert(db, theirs, elsewhere, pending)
    all_of_tenant = Principal("dev", scopes=frozenset({Scope.FILES_ALL}))
    wanted = (mine[0], theirs, elsewhere, pending)
    sees: list[tuple[Principal | None, list[File]]] = [
        (ME, [mine[0]]),
        (Principal("they"), [theirs]),
        (all_of_tenant, [mine[0], theirs]),
        (Principal("dev", tenant="other"), [elsewhere]),
        (None, [mine[0], theirs, elsewhere]),
    ]
    reads = Lookups(database)
    asked = [(caller, file, seen) for file in wanted for caller, seen in sees for _ in range(2)]
    found = await asyncio.gather(*(reads.readable(file.id, caller) for caller, file, _ in asked))
    for (_, file, seen), answer in zip(asked, found, strict=True):
        assert name_of(answer) == (file.key if file in seen else None)


async def test_a_failure_reaches_all_who_wait_and_nobody_after(
    database: Database, mine: list[File], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Lookups(database)
    with monkeypatch.context() as patched:
        patched.setattr(database, "connection", lambda: _Lost())
        found = await asyncio.gather(
            *(reads.readable(file.id, ME) for file in mine), return_exceptions=True
        )
    assert [type(answer) for answer in found] == [DatabaseUnavailable] * len(mine)
    assert name_of(await reads.readable(mine[0].id, ME)) == mine[0].key
    assert not reads._under_way


class _Lost:
    async def __aenter__(self) -> None:
        await asyncio.sleep(0)
        raise DatabaseUnavailable("The database did not answer.", retry_after=2)

    async def __aexit__(self, *_: object) -> None:
        pass


async def test_who_goes_away_leaves_the_others_their_answers(
    database: Database, mine: list[File]
) -> None:
    reads = Lookups(database)
    tasks = [asyncio.create_task(reads.readable(file.id, ME)) for file in mine[:4]]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[2].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in found[::2]] == [asyncio.CancelledError] * 2
    assert [name_of(answer) for answer in found[1::2]] == [mine[1].key, mine[3].key]
    assert name_of(await reads.readable(mine[0].id, ME)) == mine[0].key
