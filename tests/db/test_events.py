"""Events: each written with its move where anybody listens, and put in order once committed."""

import json
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from app.core.principal import Principal, Scope
from app.db import events as db_events
from app.db import moves
from app.logs.log import Actor, current_actor
from app.models.files import File, State
from tests.support.rows import LATER, NOW, SOON, insert, new_file


async def listen(db: asyncpg.Connection, *tenants: str) -> None:
    for tenant in tenants:
        await db_events.open_feed(db, tenant, NOW)


async def written(db: asyncpg.Connection) -> list[str]:
    return [row[0] for row in await db.fetch("SELECT type FROM events ORDER BY id")]


async def positions(db: asyncpg.Connection, tenant: str = "") -> dict[str, int | None]:
    """By subject."""
    found = await db.fetch("SELECT subject, position FROM events WHERE tenant = $1", tenant)
    return {row["subject"]: row["position"] for row in found}


async def sequence(db: asyncpg.Connection) -> int | None:
    async with db.transaction():
        ids = await db_events.give_positions(db)
    return None if ids is None else len(ids)


async def confirm(db: asyncpg.Connection, file: File) -> None:
    await moves.mark_confirmed(db, file._replace(confirmed_at=NOW))


MOVES: dict[
    str, tuple[File, Callable[[asyncpg.Connection, File], Awaitable[object]], list[str]]
] = {
    "confirm": (new_file(), confirm, ["file.confirmed"]),
    "reject": (
        new_file(),
        lambda db, file: moves.mark_rejected(db, file, "why", NOW),
        ["file.rejected"],
    ),
    "release": (
        new_file(State.CONFIRMED, confirmed_at=NOW),
        lambda db, file: moves.mark_released(db, file, LATER),
        ["file.released"],
    ),
    "restore": (
        new_file(State.RELEASED, confirmed_at=NOW, ended_at=NOW),
        moves.mark_restored,
        ["file.restored"],
    ),
    "remove": (
        new_file(State.REMOVING, confirmed_at=NOW),
        lambda db, file: moves.finish_removal(db, file, LATER, LATER),
        ["file.removed"],
    ),
    "cancel": (
        new_file(State.REMOVING),
        lambda db, file: moves.finish_removal(db, file, LATER, LATER),
        ["upload.expired"],
    ),
    "clear what was rejected": (
        new_file(State.REMOVING, reason="why"),
        lambda db, file: moves.finish_removal(db, file, LATER, LATER),
        [],
    ),
    "claim a removal": (
        new_file(State.CONFIRMED, confirmed_at=NOW),
        lambda db, file: moves.claim_file_removal(db, file, NOW, SOON),
        [],
    ),
    "claim a completion": (
        new_file(),
        lambda db, file: moves.claim_completion(db, file, 5, NOW, LATER),
        [],
    ),
}


@pytest.mark.parametrize("move", MOVES)
async def test_a_move_tells_once_and_those_that_change_nothing_tell_nothing(
    db: asyncpg.Connection, move: str
) -> None:
    file, make, types = MOVES[move]
    await listen(db, file.tenant)
    await insert(db, file)
    await make(db, file)
    assert await written(db) == types
    if types:
        # Whoever comes second has moved nothing.
        await make(db, file)
        assert await written(db) == types


@pytest.mark.parametrize("listens", ["nobody", "another tenant"])
async def test_nothing_is_written_where_nobody_listens(
    db: asyncpg.Connection, listens: str
) -> None:
    if listens == "another tenant":
        await listen(db, "acme")
    for file, make, _ in MOVES.values():
        await insert(db, file)
        await make(db, file)
    assert await written(db) == []


async def test_an_event_has_the_row_as_it_was_moved(db: asyncpg.Connection) -> None:
    file = new_file(owner="ann")
    await listen(db, "")
    await insert(db, file)
    await confirm(db, file._replace(size=7, etag='"e"'))
    [event] = await db.fetch("SELECT * FROM events")
    assert (event["subject"], event["owner"]) == (str(file.id), "ann")
    assert event["created_at"] == NOW
    assert event["event_id"].version == 7
    assert event["event_id"].int >> 80 == int(NOW.timestamp() * 1000)
    data = json.loads(event["data"])
    assert (data["state"], data["size"], data["etag"]) == ("confirmed", 7, '"e"')
    assert data["filename"] == file.filename
    assert event["position"] is None


async def test_what_is_rolled_back_was_never_told(db: asyncpg.Connection) -> None:
    file = new_file()
    await listen(db, "")
    await insert(db, file)
    transaction = db.transaction()
    await transaction.start()
    await confirm(db, file)
    await transaction.rollback()
    assert await written(db) == []
    await confirm(db, file)
    await sequence(db)
    assert await positions(db) == {str(file.id): 1}


async def test_what_is_committed_late_comes_later_and_is_not_skipped(
    db: asyncpg.Connection, database_url: str
) -> None:
    """The first of two transactions commits last: a reader who was beyond it meets it still."""
    late, early = new_file(), new_file()
    await listen(db, "")
    await insert(db, late, early)
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await confirm(other, late)
        await confirm(db, early)
        assert await sequence(db) == 1
        assert await positions(db) == {str(early.id): 1}
        await transaction.commit()
    finally:
        await other.close()
    assert await sequence(db) == 1
    assert await positions(db) == {str(early.id): 1, str(late.id): 2}
    assert await sequence(db) == 0


async def test_one_at_a_time_gives_positions(db: asyncpg.Connection, database_url: str) -> None:
    file = new_file()
    await listen(db, "")
    await insert(db, file)
    await confirm(db, file)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            assert len(await db_events.give_positions(other) or ()) == 1
            assert await sequence(db) is None
    finally:
        await other.close()
    assert await sequence(db) == 0


async def test_tenants_count_for_themselves(
    db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_events, "MOST_AT_ONCE", 2)
    files = [new_file(tenant=tenant) for tenant in ("a", "b", "a", "a", "b")]
    await listen(db, "a", "b")
    await insert(db, *files)
    for file in files:
        await confirm(db, file)
    assert [await sequence(db) for _ in range(4)] == [2, 2, 1, 0]
    assert await positions(db, "a") == {str(files[n].id): i for i, n in enumerate((0, 2, 3), 1)}
    assert await positions(db, "b") == {str(files[n].id): i for i, n in enumerate((1, 4), 1)}


async def test_events_are_found_by_file_and_by_request(db: asyncpg.Connection) -> None:
    """By those who may see them."""
    file, other = new_file(owner="ann"), new_file(owner="bob")
    await listen(db, "")
    await insert(db, file, other)
    for request_id, confirmed in (("r1", file), ("r2", other)):
        before = current_actor.set(Actor(request_id=request_id))
        await confirm(db, confirmed)
        current_actor.reset(before)
    moved = await moves.mark_released(db, file, LATER)
    assert moved

    boss, bob = Principal("boss", scopes=frozenset({Scope.FILES_ALL})), Principal("bob")
    stranger = Principal("boss", "acme", frozenset({Scope.FILES_ALL}))
    found = await db_events.events_of(db, boss, str(file.id), 10)
    assert [event.type for event in found] == ["file.released", "file.confirmed"]
    assert len(await db_events.events_of(db, boss, str(file.id), 1)) == 1
    [event] = await db_events.events_of_request(db, boss, "r1", 10)
    assert (event.subject, event.request_id) == (str(file.id), "r1")
    # What waits for its position comes first.
    newest = [await db_events.newest_events(db, who, 10) for who in (boss, bob, stranger)]
    assert [len(found) for found in newest] == [3, 1, 0]
    await sequence(db)
    last = new_file(owner="ann")
    await insert(db, last)
    await confirm(db, last)
    [newest_of_all] = await db_events.newest_events(db, boss, 1)
    assert newest_of_all.subject == str(last.id)
    for caller in (bob, stranger):
        assert await db_events.events_of(db, caller, str(file.id), 10) == []
        assert await db_events.events_of_request(db, caller, "r1", 10) == []
    assert len(await db_events.events_of_request(db, bob, "r2", 10)) == 1


async def test_a_move_is_found_as_before(db: asyncpg.Connection) -> None:
    """By the primary key of the file and of the listener, in one statement."""
    file = new_file()
    await listen(db, "")
    await insert(db, file, *(new_file() for _ in range(300)))
    await db.execute("ANALYZE files")
    plan: list[str] = []

    class Planning:
        async def fetchrow(self, sql: str, *arguments: object) -> None:
            # The tables are so small here that reading them whole would do.
            await db.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
            plan.extend(line[0] for line in await db.fetch(f"EXPLAIN {sql}", *arguments))

    assert await moves.mark_confirmed(Planning(), file._replace(confirmed_at=NOW)) is None
    text = "\n".join(plan)
    assert "Index Scan using pk_files on files" in text
    assert "Index Scan using pk_listeners on listeners" in text
    assert "Seq Scan" not in text


async def look(db: asyncpg.Connection, floor: db_events.Floor) -> bool:
    """Whether something waits; if so it is given a position."""
    waiting = await db_events.are_waiting(db, floor)
    if waiting:
        async with db.transaction():
            await db_events.give_positions(db, floor)
    return waiting


async def test_looks_begin_behind_what_surely_has_its_position(
    db: asyncpg.Connection, database_url: str
) -> None:
    """Not beyond an event that may be committed still; and an old snapshot does not keep it."""
    first, late, last = new_file(), new_file(), new_file()
    floor = db_events.Floor()
    await listen(db, "")
    await insert(db, first, late, last)
    await confirm(db, first)
    reading, writing = [await asyncpg.connect(database_url) for _ in range(2)]
    try:
        await reading.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; TABLE events")
        await writing.execute("BEGIN")
        await confirm(writing, late)
        await confirm(db, last)
        ids = [row[0] for row in await db.fetch("SELECT id FROM events ORDER BY id")]
        assert [await look(db, floor) for _ in range(4)] == [True, False, False, False]
        assert floor.id <= ids[0]
        await writing.execute("COMMIT")
        assert [await look(db, floor) for _ in range(4)] == [True, False, False, False]
        assert floor.id == ids[1]
        found = await positions(db)
        assert [found[str(file.id)] for file in (first, last, late)] == [1, 2, 3]
    finally:
        await reading.close()
        await writing.close()


async def test_ids_that_come_again_are_looked_at_again(db: asyncpg.Connection) -> None:
    """As where a database was put back to an earlier moment under a process that goes on."""
    files = [new_file() for _ in range(3)]
    floor = db_events.Floor()
    await listen(db, "")
    await insert(db, *files)
    for file in files[:2]:
        await confirm(db, file)
    assert [await look(db, floor) for _ in range(3)] == [True, False, False]
    assert floor.id > 0
    before = await db.fetchval("SELECT min(id) FROM events")
    await db.execute("DELETE FROM events")
    await db.execute("SELECT setval('events_id_seq', $1, false)", before)
    await confirm(db, files[2])
    assert await look(db, floor)
    assert (await positions(db))[str(files[2].id)] == 1
