"""Levels are switched on and off, and what was there before is counted, whoever moves files."""

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg
import pytest

from app.db import files as db_files
from app.db import moves
from app.db import usage as db_usage
from app.db.arrivals import delete_probe
from app.db.reserve import reserve_files
from app.errors import DatabaseUnavailable
from app.models.files import State
from app.models.usage import Level, Usage
from app.runtime.resources import open_resources
from app.settings.model import Settings, load_settings
from app.settings.quotas import Limits, QuotaSettings
from app.upkeep.sweep import Sweep
from app.usage.compare import compare
from app.usage.levels import keep_levels, look_after_usage
from tests.support.rows import LATER, NOW, insert, new_file
from tests.support.service import prepared, running
from tests.support.usage import pending, switch_on
from tests.usage.steps import live

BODY = {"destination": "files", "filename": "a.png", "size": 1}
QUOTA = QuotaSettings(owner=Limits(files=3))
LIMIT = {"CLAIMCHECK_QUOTA__OWNER__FILES": "3"}


def settings_of(database_url: str, **limits: str) -> Settings:
    named = {f"CLAIMCHECK_QUOTA__{name.upper()}": value for name, value in limits.items()}
    return load_settings({"DATABASE_URL": database_url, **named})


async def used(db: asyncpg.Connection, owner: str) -> Usage:
    return (await db_usage.read_usage(db, [("", owner)]))["", owner].usage


async def test_what_was_there_first_is_counted(db: asyncpg.Connection, database_url: str) -> None:
    rows = [
        new_file(State.PENDING, size=1),
        new_file(State.COMPLETING, size=2),
        new_file(State.PENDING, size=None, reserved=4),
        new_file(State.CONFIRMED, size=8, confirmed_at=NOW),
        new_file(State.REMOVING, size=16, confirmed_at=NOW),
        new_file(State.REMOVING, size=32),
        # Nothing any more.
        new_file(State.REMOVING, size=64, reason="why"),
        *(new_file(state, size=128) for state in (State.REJECTED, State.RELEASED, State.REMOVED)),
    ]
    await insert(db, *rows)
    async with open_resources(settings_of(database_url, owner__files="1")) as res:
        await keep_levels(res)
        assert await used(db, "dev") == ("", "dev", 2, 24, 4, 39)
        # What ends then is given back to the last byte.
        for row in rows[4:7]:
            assert await moves.finish_removal(db, row, NOW, LATER)
        assert await used(db, "dev") == ("", "dev", 1, 8, 3, 7)
        assert await compare(res, mend=False) == []


async def test_nothing_is_refused_until_all_is_counted(db: asyncpg.Connection) -> None:
    await insert(db, *(new_file() for _ in range(3)))
    async with db.transaction():
        await db_usage.keep_level(db, Level.OWNER)
    # What is announced now is noted, and not refused.
    assert (await reserve_files(db, [new_file()], [], QUOTA)).stored
    async with db.transaction():
        assert await db_usage.count_level(db, Level.OWNER)
    assert (await reserve_files(db, [new_file()], [], QUOTA)).stored
    # A process that has ended here leaves it to the next.
    async with db.transaction():
        assert await db_usage.count_level(db, Level.OWNER)
    assert (await reserve_files(db, [new_file()], [], QUOTA)).stored
    async with db.transaction():
        assert await db_usage.finish_level(db, Level.OWNER)
    assert (await reserve_files(db, [new_file()], [], QUOTA)).full == {("", "dev")}
    assert (await used(db, "dev")).pending == 6
    async with db.transaction():
        assert not await db_usage.count_level(db, Level.OWNER)


async def test_who_writes_for_long_puts_it_off(db: asyncpg.Connection, database_url: str) -> None:
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await db_files.insert_files(other, [new_file()])
            with pytest.raises(DatabaseUnavailable):
                async with db.transaction():
                    await db_usage.keep_level(db, Level.OWNER)
            # Which is no reason for a sweep to end.
            async with open_resources(settings_of(database_url, owner__files="9")) as res:
                await look_after_usage(res, asyncio.Event())
    finally:
        await other.close()
    assert await db_usage.read_levels(db) == {}


async def test_limits_hold_from_the_start_of_a_process(environ: dict[str, str]) -> None:
    async with running(await prepared(environ)) as client:
        for _ in range(2):
            assert (await client.post("/v1/uploads", json=BODY)).status_code == 201
    async with running(await prepared(environ | LIMIT)) as client:
        said = [(await client.post("/v1/uploads", json=BODY)).status_code for _ in range(2)]
        assert said == [201, 403]


async def test_without_a_limit_nothing_is_kept_any_more(
    db: asyncpg.Connection, database_url: str
) -> None:
    await switch_on(db, *Level)
    await insert(db, new_file())
    async with open_resources(settings_of(database_url, tenant__files="9")) as res:
        await look_after_usage(res, asyncio.Event())
        assert await db_usage.read_levels(db) == {Level.TENANT: True}
        assert await db.fetchval("SELECT count(*) FROM usage_changes") == 0
        assert [tuple(row) for row in await db.fetch("SELECT * FROM usage")] == [
            ("", "", 0, 0, 1, 5)
        ]
    async with open_resources(settings_of(database_url)) as res:
        await look_after_usage(res, asyncio.Event())
        assert await db.fetchval("SELECT count(*) FROM usage") == 0
    # And on again: from nothing.
    async with open_resources(settings_of(database_url, owner__files="9")) as res:
        await look_after_usage(res, asyncio.Event())
        assert await used(db, "dev") == ("", "dev", 0, 0, 1, 5)


async def test_a_sweep_folds_changes_in(environ: dict[str, str], db: asyncpg.Connection) -> None:
    settings = await prepared(environ | LIMIT)
    async with running(settings) as client:
        made = (await client.post("/v1/uploads", json=BODY)).json()
        await client.delete(f"/v1/uploads/{made['id']}")
    assert await db.fetchval("SELECT count(*) FROM usage_changes") == 1
    async with open_resources(settings) as res:
        await Sweep(res).run()
    assert await db.fetchval("SELECT count(*) FROM usage_changes") == 0
    assert await db.fetchval("SELECT pending FROM usage") == 0


async def test_what_the_doctor_deletes_is_given_back(
    db: asyncpg.Connection, database_url: str
) -> None:
    await switch_on(db, *Level)
    probes = [new_file(), new_file(State.CONFIRMED, confirmed_at=NOW), new_file()]
    await db_files.insert_files(db, [probes[0], probes[2]])
    await db_files.insert_confirmed(db, [probes[1]])
    removing = await moves.claim_upload_removal(db, probes[2], NOW, LATER)
    assert removing is not None
    assert await moves.finish_removal(db, removing, NOW, LATER)
    for probe in probes:
        await delete_probe(db, probe.id)
    assert await used(db, "dev") == ("", "dev", 0, 0, 0, 0)
    assert await pending(database_url) == {"dev": 0, "": 0}


async def test_differences_are_found_and_mended(db: asyncpg.Connection, database_url: str) -> None:
    await switch_on(db, *Level)
    await insert(db, new_file(owner="ann"), new_file(owner="bob", state=State.PENDING))
    await db.execute("UPDATE usage_changes SET pending = 4 WHERE owner = 'ann'")
    await db.execute("INSERT INTO usage VALUES ('', 'gone', 1, 2, 0, 0)")
    async with open_resources(settings_of(database_url)) as res:
        found = await compare(res, mend=False)
        assert [(each.tenant, each.owner) for each in found] == [("", "ann"), ("", "gone")]
        assert (found[0].noted["pending"], found[0].files["pending"]) == (4, 1)
        assert await compare(res, mend=True) == found
        assert await compare(res, mend=False) == []
        # What announcements look at, too.
        assert await db.fetchval("SELECT pending FROM usage WHERE owner = 'ann'") == 1


@pytest.mark.parametrize("pooling", ["true", "false"])
async def test_mending_a_level_keeps_nobody_waiting_for_the_next(
    db: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch, pooling: str
) -> None:
    """Each level may take hours; and of many keys few are locked at once."""
    await switch_on(db, *Level)
    names = [f"{tenant}{n}" for tenant in "ab" for n in range(3)]
    await insert(db, *(new_file(owner=name, tenant=name[0]) for name in names))
    await db.execute("UPDATE usage_changes SET pending = 4")
    locked: list[int] = []
    compare_usage, lock_usage = db_usage.compare_usage, db_usage.lock_usage

    async def looked(
        one: asyncpg.Connection, level: Level, *, mend: bool
    ) -> list[db_usage.Difference]:
        differences = await compare_usage(one, level, mend=mend)
        # It could take hours more.
        async with db.transaction():
            await db.execute("SET LOCAL lock_timeout = '2s'")
            await lock_usage(db, [(name[0], name) for name in names])
            await lock_usage(db, [("a", ""), ("b", "")])
        return differences

    async def lock(one: asyncpg.Connection, keys: Iterable[db_usage.Key]) -> Any:
        keys = list(keys)
        locked.append(len(keys))
        return await lock_usage(one, keys)

    monkeypatch.setattr(db_usage, "compare_usage", looked)
    monkeypatch.setattr(db_usage, "lock_usage", lock)
    monkeypatch.setattr("app.usage.levels._AT_ONCE", 2)
    environ = {"DATABASE_URL": database_url, "CLAIMCHECK_DATABASE_TRANSACTION_POOLING": pooling}
    async with open_resources(load_settings(environ)) as res:
        assert len(await compare(res, mend=True)) == 8
        assert locked == [2] * 4
        assert await compare(res, mend=False) == []
    assert await db.fetchval("SELECT max(pending) FROM usage WHERE owner != ''") == 1


async def test_whatever_moves_meanwhile_what_is_counted_is_the_sum(
    db: asyncpg.Connection, database_url: str
) -> None:
    """Levels are switched on and off, and compared, while six connections announce and move."""
    living = asyncio.gather(*(live(database_url, seed, 300) for seed in range(6)))
    stopping = asyncio.Event()
    with_limits = settings_of(database_url, owner__files="9", tenant__files="9")
    async with (
        open_resources(with_limits) as on,
        open_resources(settings_of(database_url, tenant__files="9")) as half,
    ):
        while not living.done():
            for res in (on, on, half):
                try:
                    await look_after_usage(res, stopping)
                except DatabaseUnavailable:
                    continue
                assert await compare(res, mend=False) == []
        await living
        await look_after_usage(on, stopping)
        assert await compare(on, mend=False) == []
        assert await db.fetchval("SELECT count(*) FROM usage_changes") == 0
        assert await db.fetchval("SELECT min(pending + reserved + files + bytes) FROM usage") >= 0
