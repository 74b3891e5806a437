"""Readers of the feed miss no event and meet none twice, whatever happens beside them."""

import asyncio
import random
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.core.principal import Principal, Scope
from app.db import events as db_events
from app.db import moves
from app.embedded.postgres import _find_install, create_database, start_postgres
from app.errors import CursorExpired, DatabaseUnavailable
from app.events.feed import read_feed
from app.models.files import File
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings, load_settings
from tests.support.rows import LATER, NOW, insert, new_file

ALL = Principal("reader", scopes=frozenset({Scope.FILES_ALL}))
BINARIES = _find_install() / "bin"


async def read_all(res: Resources, after: str | None = None) -> tuple[list[str], str]:
    """Subjects and types behind the cursor, in order, and the cursor at the end."""
    found = []
    while True:
        page = await read_feed(res, ALL, after, None, 100)
        found += [f"{event.subject} {event.type}" for event in page.events]
        after = page.cursor
        if page.is_last:
            return found, after


async def life(db: asyncpg.Connection, file: File, pause: float = 0) -> list[str]:
    """Confirm the file and release it, each in a transaction that takes its time."""
    async with db.transaction():
        confirmed = await moves.mark_confirmed(db, file._replace(confirmed_at=NOW))
        await asyncio.sleep(pause)
    assert confirmed
    async with db.transaction():
        assert await moves.mark_released(db, confirmed, LATER)
        await asyncio.sleep(pause)
    return [f"{file.id} file.confirmed", f"{file.id} file.released"]


class Reader:
    """Reads from cursor to cursor, each with a service of its own, and is interrupted at times."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.seen: list[str] = []

    async def read(self, wanted: int) -> None:
        after: str | None = None
        async with open_resources(self.settings) as res:
            while len(self.seen) < wanted:
                woken = res.wake.next()
                try:
                    page = await read_feed(res, ALL, after, None, 50)
                except DatabaseUnavailable:
                    continue
                self.seen += [f"{event.subject} {event.type}" for event in page.events]
                after = page.cursor
                if page.is_last:
                    await res.wake.wait(woken)


async def load(settings: Settings, count: int, writers: int, every: float) -> None:
    """So many files are confirmed and released by writers, one each `every` seconds, while five
    read. Their transactions end in any order.
    """
    chance = random.Random(17)
    readers = [Reader(settings) for _ in range(5)]
    files = [new_file() for _ in range(count)]
    pool = settings.model_copy(update={"database_pool_size": writers})
    async with open_resources(pool) as res:
        await read_all(res)
        async with res.db.connection() as db:
            for start in range(0, count, 500):
                await insert(db, *files[start : start + 500])

        async def write(file: File, pause: float) -> None:
            async with room, res.db.connection() as db:
                await life(db, file, pause)

        room = asyncio.Semaphore(writers)
        async with asyncio.TaskGroup() as group:
            for reader in readers:
                group.create_task(reader.read(2 * count))
            for file in files:
                group.create_task(write(file, chance.choice((0, 0, 0.01, 0.1))))
                await asyncio.sleep(every)
    wanted = {f"{file.id} {kind}" for file in files for kind in ("file.confirmed", "file.released")}
    for reader in readers:
        assert len(reader.seen) == 2 * count
        assert set(reader.seen) == wanted
        by_file = defaultdict(list)
        for line in reader.seen:
            subject, kind = line.split()
            by_file[subject].append(kind)
        assert set(map(tuple, by_file.values())) == {("file.confirmed", "file.released")}
    # One order for all.
    assert len({tuple(reader.seen) for reader in readers}) == 1


async def test_five_readers_miss_and_repeat_none(settings: Settings) -> None:
    await load(settings, count=150, writers=8, every=0.005)


@pytest.mark.slow
async def test_five_readers_at_500_commits_a_second(settings: Settings) -> None:
    await load(settings, count=7500, writers=20, every=0.004)


@asynccontextmanager
async def transaction_in(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that has written something, and does not end."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await connection.execute("CREATE TEMPORARY TABLE held AS SELECT txid_current()")
        yield connection
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()


@pytest.mark.parametrize("where", ["in another database", "in the same one"])
async def test_a_long_transaction_stops_nothing(
    database_url: str, settings: Settings, db: asyncpg.Connection, where: str
) -> None:
    url = database_url
    if where == "in another database":
        url = create_database(database_url, f"other_{random.getrandbits(48):x}")
    async with open_resources(settings) as res:
        _, cursor = await read_all(res)
        files = [new_file() for _ in range(3)]
        await insert(db, *files)
        async with transaction_in(url):
            for file in files:
                wanted = await life(db, file)
                found, cursor = await read_all(res, cursor)
                assert found == wanted


def dump(url: str, to: Path, *options: str) -> None:
    """pg_dump of all, or psql of what was dumped."""
    parts = urlsplit(url)
    subprocess.run(
        [
            *(BINARIES / "pg_dump", "--host", parts.hostname, "--port", str(parts.port)),
            *("--username", parts.username, "--no-owner", "--file", to, *options),
            parts.path[1:],
        ],
        check=True,
        env={"PGPASSWORD": str(parts.password)},
        timeout=120,
    )


def restore(url: str, dumped: Path) -> None:
    parts = urlsplit(url)
    subprocess.run(
        [
            *(BINARIES / "psql", "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1"),
            *("--host", parts.hostname, "--port", str(parts.port), "--username", parts.username),
            *("--file", dumped, parts.path[1:]),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={"PGPASSWORD": str(parts.password)},
        timeout=120,
    )


async def test_cursors_go_with_a_dump_into_another_cluster(
    environ: dict[str, str], settings: Settings, db: asyncpg.Connection, tmp_path: Path
) -> None:
    """Whose transactions are numbered from the beginning, and whose events are dumped in part
    without a position.
    """
    files = [new_file() for _ in range(4)]
    await insert(db, *files)
    async with open_resources(settings) as res:
        _, cursor = await read_all(res)
        seen = await life(db, files[0])
        found, cursor = await read_all(res, cursor)
        assert found == seen
        unseen = await life(db, files[1])
        _, end = await read_all(res, cursor)
        unseen += await life(db, files[2])  # which has no position yet
    dump(environ["DATABASE_URL"], tmp_path / "dump")
    with start_postgres() as url:
        target = create_database(url, "restored")
        restore(target, tmp_path / "dump")
        other = await asyncpg.connect(target)
        try:
            async with open_resources(load_settings(environ | {"DATABASE_URL": target})) as res:
                found, end = await read_all(res, cursor)
                assert found == unseen
                wanted = await life(other, files[3])
                assert (await read_all(res, end))[0] == wanted
                # A cursor of what is not in the dump is no cursor of this feed.
                with pytest.raises(CursorExpired):
                    await read_feed(res, ALL, "99", None, 10)
        finally:
            await other.close()


async def test_a_sequencer_that_dies_leaves_all_to_the_next(
    database_url: str, settings: Settings, db: asyncpg.Connection
) -> None:
    """Its connection is cut before its commit: what it gave positions has none."""
    file = new_file()
    await insert(db, file)
    async with open_resources(settings) as res:
        _, cursor = await read_all(res)
        wanted = await life(db, file)
        dying = await asyncpg.connect(database_url)
        await dying.execute("BEGIN")
        assert len(await db_events.give_positions(dying) or ()) == 2
        # Readers do not wait for it.
        assert await read_all(res, cursor) == ([], cursor)
        pid = dying.get_server_pid()
        await db.execute("SELECT pg_terminate_backend($1, 10000)", pid)
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await dying.close()
        assert (await read_all(res, cursor))[0] == wanted


async def test_connections_that_are_lost_wake_nobody_and_lose_nothing(
    database_url: str, settings: Settings, db: asyncpg.Connection
) -> None:
    """Every connection of the service is cut again and again, that which listens among them."""
    files = [new_file() for _ in range(6)]
    await insert(db, *files)
    async with open_resources(settings) as res:
        await read_all(res)
    reader = Reader(settings)
    reading = asyncio.create_task(reader.read(2 * len(files)))
    wanted = []
    for file in files:
        wanted += await life(db, file)
        await db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'claimcheck'"
        )
        await asyncio.sleep(0.05)
    await reading
    assert reader.seen == wanted
