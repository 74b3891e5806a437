import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from app.db import files as db_files
from app.db.connections import Database
from app.embedded.postgres import start_postgres
from app.errors import DatabaseUnavailable
from app.settings.model import load_settings
from tests.support.rows import new_file

MY_PID = "SELECT pg_backend_pid()"


@asynccontextmanager
async def opened(url: str, **environ: str) -> AsyncIterator[Database]:
    database = Database(load_settings({"DATABASE_URL": url} | environ))
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool of one connection: what is wrong with it shows at the next use."""
    async with opened(database_url, CLAIMCHECK_DATABASE_POOL_SIZE="1") as database:
        yield database


@pytest.fixture
async def admin(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def ask(database: Database, query: str = MY_PID, *arguments: object) -> Any:
    async with database.connection() as db:
        return await db.fetchval(query, *arguments)


async def terminate(admin: asyncpg.Connection, pid: object) -> None:
    """End the server process, and wait until it is gone."""
    assert await admin.fetchval("SELECT pg_terminate_backend($1, 60000)", pid)


async def test_connections_are_used_again(database: Database) -> None:
    assert await ask(database) == await ask(database)
    assert await ask(database, "SHOW application_name") == "claimcheck"


async def test_connections_are_opened_one_at_a_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = most = opened_all = 0
    connect = asyncpg.connect

    async def watched(**options: Any) -> asyncpg.Connection:
        nonlocal under_way, most, opened_all
        under_way += 1
        most, opened_all = max(most, under_way), opened_all + 1
        try:
            return await connect(**options)
        finally:
            under_way -= 1

    monkeypatch.setattr("app.db.connections.asyncpg.connect", watched)
    everyone_has_one = asyncio.Barrier(4)
    async with opened(database_url, CLAIMCHECK_DATABASE_POOL_SIZE="4") as database:

        async def use() -> object:
            async with database.connection() as db:
                await everyone_has_one.wait()
                return await db.fetchval(MY_PID)

        assert len({*await asyncio.gather(*(use() for _ in range(4)))}) == 4
        assert len({*await asyncio.gather(*(ask(database) for _ in range(4)))}) <= 4
    assert (most, opened_all) == (1, 4)


async def test_whoever_waits_for_another_to_be_opened_takes_one_that_is_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, opens = asyncpg.connect, 0
    is_opening, may_open = asyncio.Event(), asyncio.Event()

    async def held(**options: Any) -> asyncpg.Connection:
        nonlocal opens
        opens += 1
        is_opening.set()
        await may_open.wait()
        return await connect(**options)

    async with opened(database_url, CLAIMCHECK_DATABASE_POOL_SIZE="4") as database:
        async with database.connection():
            monkeypatch.setattr("app.db.connections.asyncpg.connect", held)
            first, second = (asyncio.create_task(ask(database)) for _ in range(2))
            await is_opening.wait()
        may_open.set()
        await asyncio.gather(first, second)
    assert opens == 1


async def test_a_connection_that_cannot_be_given_back_takes_nobodys_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(driver: asyncpg.Connection) -> None:
        driver.terminate()
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(database, "_give_back", fail)
        with pytest.raises(RuntimeError):
            await ask(database)
    assert await ask(database)


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    first, second = new_file(), new_file()

    async def interrupted() -> None:
        async with database.transaction() as db:
            await db_files.insert_files(db, [first])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await interrupted()
    async with database.transaction() as db:
        await db_files.insert_files(db, [second])
    assert await ask(database, "SELECT array_agg(id) FROM files") == [second.id]


@pytest.mark.parametrize("url", ["{}?sslmode=prefer", "{}?sslmode=disable&application_name=x"])
async def test_herokus_urls_are_understood(database_url: str, url: str) -> None:
    heroku = url.format(database_url.replace("postgresql://", "postgres://"))
    async with opened(heroku) as database:
        assert await ask(database, "SELECT 1") == 1


async def test_encryption_is_insisted_on_where_the_url_does(database_url: str) -> None:
    """The embedded server has no certificate."""
    async with opened(f"{database_url}?sslmode=require") as database:
        with pytest.raises(DatabaseUnavailable) as caught:
            await ask(database)
    assert "SSL" in str(caught.value.__cause__)


async def test_a_connection_that_died_in_the_pool_is_replaced(
    database: Database, admin: asyncpg.Connection
) -> None:
    for _ in range(3):
        pid = await ask(database)
        await terminate(admin, pid)
        await asyncio.sleep(0.1)  # the end of the connection has been read
        assert await ask(database) not in {pid, None}


async def test_a_connection_that_dies_under_a_statement(
    database: Database, admin: asyncpg.Connection
) -> None:
    async def interrupted() -> None:
        async with database.connection() as db:
            pid = await db.fetchval(MY_PID)
            await asyncio.gather(db.execute("SELECT pg_sleep(30)"), terminate(admin, pid))

    with pytest.raises(DatabaseUnavailable) as caught:
        await interrupted()
    assert caught.value.retry_after
    assert isinstance(caught.value.__cause__, asyncpg.PostgresConnectionError)
    assert await ask(database)


async def test_a_statement_that_takes_too_long(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.connections.STATEMENT_SECONDS", 1)
    async with opened(database_url, CLAIMCHECK_DATABASE_POOL_SIZE="1") as database:
        with pytest.raises(DatabaseUnavailable):
            await ask(database, "SELECT pg_sleep(30)")
        async with database.connection() as db:
            assert await db.fetchval("SELECT 1", timeout=60) == 1


async def test_a_caller_who_leaves_takes_no_connection_along(
    database: Database, admin: asyncpg.Connection
) -> None:
    asleep = """SELECT count(*) FROM pg_stat_activity
      WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"""

    async def are_asleep(count: int) -> None:
        for _ in range(1000):  # for less than the thirty seconds
            if await admin.fetchval(asleep) == count:
                break
            await asyncio.sleep(0.02)
        assert await admin.fetchval(asleep) == count

    asking = asyncio.create_task(ask(database, "SELECT pg_sleep(30)"))
    await are_asleep(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await ask(database, "SELECT 1") == 1
    await are_asleep(0)


async def test_an_exhausted_pool_says_so_in_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url, CLAIMCHECK_DATABASE_POOL_SIZE="2") as database:
        async with database.connection(), database.connection():
            # Not for those two, who have to connect.
            monkeypatch.setattr("app.db.connections.CONNECT_SECONDS", 0.2)
            with pytest.raises(DatabaseUnavailable):
                await asyncio.wait_for(ask(database), 30)
        assert await ask(database, "SELECT 1") == 1


async def test_whoever_waits_is_not_overtaken(database: Database) -> None:
    """Each asks again at once, and comes behind all who wait by then."""
    turns: list[str] = []

    async def ask_again_and_again(name: str) -> None:
        for _ in range(5):
            async with database.connection() as db:
                turns.append(name)
                await db.fetchval("SELECT 1")

    await asyncio.gather(*map(ask_again_and_again, "abc"))
    assert "".join(turns) == "abc" * 5


async def test_a_transaction_that_was_left_open_goes_with_its_connection(
    database: Database,
) -> None:
    async with database.connection() as db:
        await db.execute("BEGIN")
        left = await db.fetchval(MY_PID)
    assert await ask(database) != left


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_what_follows_a_beginning_that_was_interrupted_is_kept(
    database_url: str, monkeypatch: pytest.MonkeyPatch, *, is_cancelled: bool
) -> None:
    """The server begins the transaction after all, when nobody waits for that any more."""
    if not is_cancelled:
        monkeypatch.setattr("app.db.connections.STATEMENT_SECONDS", 1)
    async with opened(database_url, CLAIMCHECK_DATABASE_POOL_SIZE="1") as database:

        async def insert() -> UUID:
            async with database.transaction() as db:
                file = new_file()
                await db_files.insert_files(db, [file])
            return file.id

        pid = await ask(database)
        os.kill(pid, signal.SIGSTOP)
        try:
            inserting = asyncio.create_task(insert())
            await asyncio.sleep(0.1)  # until it waits for the answer
            if is_cancelled:
                inserting.cancel()
            with pytest.raises((DatabaseUnavailable, asyncio.CancelledError)):
                await inserting
        finally:
            os.kill(pid, signal.SIGCONT)
        # The next connection has the time that a busy machine takes.
        database._connect_args["command_timeout"] = 60
        kept = [await insert() for _ in range(2)]
        found = await ask(database, "SELECT array_agg(id) FROM files")
    assert sorted(found) == sorted(kept)


async def test_locks_of_a_machine_that_is_gone_are_given_up(
    database: Database, admin: asyncpg.Connection
) -> None:
    assert await ask(database, "SHOW idle_in_transaction_session_timeout") == "1min"

    async def wait_in_a_transaction() -> None:
        async with database.transaction() as db:
            await db.execute("SET LOCAL idle_in_transaction_session_timeout = 10")
            await gone(admin, await db.fetchval(MY_PID))
            await db.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await wait_in_a_transaction()
    assert await ask(database, "SELECT 1") == 1


async def gone(admin: asyncpg.Connection, pid: object) -> None:
    """Wait until the server process has ended."""
    for _ in range(1000):
        if not await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
            return
        await asyncio.sleep(0.02)
    pytest.fail("it is still there")


async def test_a_connection_is_closed_once_it_is_given_back(
    database: Database, admin: asyncpg.Connection
) -> None:
    async with database.connection() as db:
        await database.close()
        pid = await db.fetchval(MY_PID)
    await gone(admin, pid)


async def test_our_own_mistakes_are_not_the_databases_absence(database: Database) -> None:
    for query in ("SELEC 1", "SELECT nosuch FROM files", "SELECT 1/0"):
        with pytest.raises(asyncpg.PostgresError):
            await ask(database, query)
    with pytest.raises(asyncpg.DataError):
        await ask(database, "SELECT $1::int", "x")
    with pytest.raises(LookupError):
        async with database.connection():
            raise LookupError
    assert await ask(database, "SELECT 1") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/nosuch"},
        {"netloc": "claimcheck:wrong@{host}"},
        {"netloc": "claimcheck:wrong@127.0.0.1:1"},
        {"netloc": "claimcheck:wrong@nosuch.invalid"},
    ],
    ids=lambda change: "".join(change.values()),
)
async def test_a_database_that_is_not_there(database_url: str, change: dict[str, str]) -> None:
    url = urlsplit(database_url)
    host = f"{url.hostname}:{url.port}"
    changed = url._replace(**{part: value.format(host=host) for part, value in change.items()})
    async with opened(changed.geturl()) as database:
        with pytest.raises(DatabaseUnavailable) as caught:
            await ask(database)
    assert "wrong" not in str(caught.value)


async def test_a_server_that_stops() -> None:
    with start_postgres() as url:
        database = Database(load_settings({"DATABASE_URL": url}))
        assert await ask(database, "SELECT 1") == 1
    try:
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await ask(database)
    finally:
        await database.close()
