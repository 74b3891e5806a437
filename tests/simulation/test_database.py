"""Real PostgreSQL in virtual time: locks that are waited for, commits of unknown outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from app.db.connections import Database, was_deadlock
from app.errors import DatabaseUnavailable
from app.settings.model import Settings
from tests.simulation.database import Server
from tests.simulation.engine import EPOCH, Engine
from tests.simulation.faults import Fault
from tests.simulation.process import Process

_SET = "UPDATE daily_counts SET bytes = bytes + $1 WHERE destination = $2"
_READ = "SELECT destination, bytes FROM daily_counts ORDER BY 1"
_ROWS = """INSERT INTO daily_counts (day, tenant, destination, outcome, times, bytes)
SELECT '2026-03-01', '', name, 'x', 0, 0 FROM unnest($1::text[]) AS name"""


class World(Engine):
    """Processes that do what a test says, each with a pool of connections."""

    def __init__(self, server: Server, settings: Settings, *faults: Fault, seed: int = 1) -> None:
        super().__init__(seed, server, list(faults))
        self.settings = settings

    def process(self, name: str) -> tuple[Process, Database]:
        process = Process(self, name, self.settings)
        process.dead = False
        return process, Database(self.settings)

    def rows(self) -> dict[str, int]:
        return dict(map(tuple, self.server.control.fetch(_READ)))

    def locks(self) -> int:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        return int(self.server.control.fetch(sql)[0][0])

    def live(self, life: Callable[[], Awaitable[Any]]) -> Any:
        async def prepared() -> Any:
            process, db = self.process("first")

            async def insert() -> None:
                async with db.connection() as connection:
                    await connection.execute(_ROWS, ["a", "b"])

            await process.begin(insert())
            return await life()

        return self.run(prepared())


async def _hold(db: Database, names: str, seconds: float, pause: float = 0.0) -> None:
    """Change these rows in their order, and commit after a while."""
    async with db.transaction() as connection:
        for name in names:
            await connection.execute(_SET, 1, name)
            await asyncio.sleep(pause)
        await asyncio.sleep(seconds)


def test_a_statement_waits_for_anothers_lock_while_others_go_on(
    server: Server, settings: Settings
) -> None:
    world = World(server, settings)

    async def life() -> list[tuple[str, float]]:
        seen = []

        async def tell(name: str, row: str, seconds: float) -> None:
            process, db = world.process(name)
            await process.begin(_hold(db, row, seconds))
            seen.append((name, world.loop.time()))

        holder = asyncio.create_task(tell("holder", "a", 5))
        await asyncio.sleep(1)
        await asyncio.gather(
            tell("waits", "a", 0), tell("waits too", "a", 0), tell("other", "b", 2), holder
        )
        return seen

    seen = world.live(life)
    assert [name for name, _ in seen][:2] == ["other", "holder"]
    assert {name for name, _ in seen[2:]} == {"waits", "waits too"}
    assert 3 < seen[0][1] < 4
    assert 5 < seen[1][1] < seen[2][1] < seen[3][1] < 6
    assert world.rows() == {"a": 3, "b": 1}


def test_of_two_that_wait_for_each_other_the_later_one_is_refused(
    server: Server, settings: Settings
) -> None:
    world = World(server, settings)

    async def life() -> list[Any]:
        first, one = world.process("one")
        second, two = world.process("two")
        working = [first.begin(_hold(one, "ab", 0, 1)), second.begin(_hold(two, "ba", 0, 1.5))]
        return await asyncio.gather(*working, return_exceptions=True)

    done, refused = world.live(life)
    assert done is None
    assert isinstance(refused, DatabaseUnavailable)
    assert was_deadlock(refused)
    assert world.rows() == {"a": 1, "b": 1}


@pytest.mark.parametrize("how", ["timeout", "lock_timeout", "cancelled"])
def test_a_wait_ends_by_the_virtual_clock(server: Server, settings: Settings, how: str) -> None:
    world = World(server, settings)

    async def wait(db: Database) -> None:
        async with db.transaction() as connection:
            if how == "lock_timeout":
                await connection.execute("SET LOCAL lock_timeout = '2s'")
            await connection.execute(_SET, 10, "a")

    async def life() -> tuple[float, Any]:
        holder, held = world.process("holder")
        waiter, waits = world.process("waiter")
        holding = holder.begin(_hold(held, "a", 30))
        await asyncio.sleep(1)
        waiting = waiter.begin(wait(waits))
        if how == "cancelled":
            await asyncio.sleep(3)
            waiting.cancel()
        [failure] = await asyncio.gather(waiting, return_exceptions=True)
        at = world.loop.time()
        await holding
        await waiter.begin(_hold(waits, "b", 0))
        return at, failure

    at, failure = world.live(life)
    expected, seconds = {
        "timeout": (DatabaseUnavailable, 11),
        "lock_timeout": (asyncpg.LockNotAvailableError, 3),
        "cancelled": (asyncio.CancelledError, 4),
    }[how]
    assert isinstance(failure, expected)
    assert seconds <= at < seconds + 0.5
    assert world.rows() == {"a": 1, "b": 1}
    assert world.locks() == 0


@pytest.mark.parametrize("whose", ["holder", "waiter"])
def test_a_killed_process_leaves_no_lock(server: Server, settings: Settings, whose: str) -> None:
    world = World(server, settings)

    async def life() -> float:
        holder, held = world.process("holder")
        waiter, waits = world.process("waiter")
        working = [holder.begin(_hold(held, "a", 9)), waiter.begin(_hold(waits, "a", 0, 9))]
        await asyncio.sleep(1)
        world.processes[whose].kill()
        await asyncio.sleep(20)
        assert all(task.done() for task in working)
        return world.loop.time()

    world.live(life)
    assert world.rows() == {"a": 1, "b": 0}
    assert world.locks() == 0


@pytest.mark.parametrize(
    ("outcome", "kind", "code", "committed"),
    [
        ("before", "commit", "", False),
        ("after", "commit", "", True),
        ("kill_before", "commit", "", False),
        ("kill_after", "commit", "", True),
        ("before", "database", "40001", False),
        ("after", "database", "", False),
        ("late", "database", "", False),
    ],
)
def test_faults_take_effect_or_do_not(
    server: Server, settings: Settings, outcome: Any, kind: str, code: str, committed: bool
) -> None:
    fault = Fault(
        outcome,
        kind,
        "one",
        "UPDATE" if kind == "database" else "",
        code=code,
        seconds=20 if outcome == "late" else 0,
    )
    world = World(server, settings, fault)

    async def life() -> Any:
        process, db = world.process("one")
        working = process.begin(_hold(db, "a", 0))
        await asyncio.wait({working})
        return None if working.cancelled() else working.exception()

    failure = world.live(life)
    if outcome.startswith("kill"):
        assert world.process
    elif code:
        assert isinstance(failure, asyncpg.SerializationError)
    else:
        assert isinstance(failure, DatabaseUnavailable)
    assert world.rows() == {"a": int(committed), "b": 0}
    assert world.locks() == 0
    assert any("meets a fault" in line for line in world.story.lines)


def test_clock_and_chance_of_the_server_are_the_worlds(server: Server, settings: Settings) -> None:
    sql = "SELECT now(), gen_random_uuid(), random()"

    def once(seed: int) -> Any:
        world = World(server, settings, seed=seed)

        async def life() -> Any:
            process, db = world.process("one")

            async def ask() -> Any:
                await asyncio.sleep(100)
                async with db.connection() as connection:
                    return tuple(await connection.fetchrow(sql))

            return await process.begin(ask())

        return world.live(life)

    now, identity, number = once(1)
    assert 100 < (now - EPOCH).total_seconds() < 101
    assert 0 <= number < 1
    assert once(1) == (now, identity, number)
    assert once(2)[1:] != (identity, number)


@pytest.mark.parametrize("is_lost", [False, True])
def test_notifications_come_through_the_world(
    server: Server, settings: Settings, is_lost: bool
) -> None:
    world = World(server, settings)
    world.lost_notifications = float(is_lost)

    async def life() -> list[float]:
        process, db = world.process("one")
        heard = []

        async def listen() -> None:
            connection = await db.connect_to_hear()
            assert connection is not None
            await connection.add_listener("claimcheck", lambda *_: heard.append(world.loop.time()))
            async with db.connection() as other:
                await other.execute("NOTIFY claimcheck")
                await other.execute("NOTIFY another")
            await asyncio.sleep(5)
            assert connection.is_closed() is is_lost
            connection.terminate()
            world.notify("claimcheck")
            await asyncio.sleep(5)

        await process.begin(listen())
        return heard

    assert len(world.live(life)) == (0 if is_lost else 1)
