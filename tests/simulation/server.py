"""The PostgreSQL of a job, and the connections to it, which stay open from world to world."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import asyncpg

from app.db.migrations import migrate
from tests.simulation.control import Control
from tests.simulation.loop import SimLoop, Statement

_connect: Final = asyncpg.connect
# By whose search path the service's own SQL finds these before those of pg_catalog.
_SCHEMA: Final = """
CREATE SCHEMA IF NOT EXISTS sim;
CREATE TABLE IF NOT EXISTS sim.run (seed text NOT NULL);
INSERT INTO sim.run VALUES ('');
CREATE SEQUENCE IF NOT EXISTS sim.chance;
CREATE OR REPLACE FUNCTION sim.now() RETURNS timestamptz LANGUAGE sql STABLE
  AS $$ SELECT current_setting('sim.now')::timestamptz $$;
CREATE OR REPLACE FUNCTION sim.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
  AS $$ SELECT current_setting('sim.now')::timestamptz $$;
CREATE OR REPLACE FUNCTION sim.gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE
  AS $$ SELECT md5((SELECT seed FROM sim.run) || nextval('sim.chance'))::uuid $$;
CREATE OR REPLACE FUNCTION sim.random() RETURNS double precision LANGUAGE sql VOLATILE
  AS $$ SELECT ('x' || left(md5((SELECT seed FROM sim.run) || nextval('sim.chance')), 13)
        )::bit(52)::bigint / 4503599627370496::double precision $$;
"""
_SERVER_SETTINGS: Final = {
    "search_path": "sim, public, pg_catalog",
    "application_name": "claimcheck",
    # Deadlocks are found by the simulation, whose victim does not depend on true time.
    "deadlock_timeout": "1h",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
# As many are open from the beginning: three processes with pools of five, and what they listen by.
_CONNECTIONS: Final = 20
# No statement is forgotten by the virtual clock.
_CACHE: Final = {"statement_cache_size": 1000, "max_cached_statement_lifetime": 0}
# The tables that have rows, and the sequences that were used.
_WRITTEN: Final = """
SELECT format('SELECT %L AS name WHERE EXISTS (SELECT FROM %s)', oid::regclass, oid::regclass)
FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'sim'::regnamespace)
  AND relname NOT IN ('alembic_version', 'run')
ORDER BY oid::regclass::text
"""


class Raw:
    """A connection to the server, and what its next statement needs."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.pid: int = connection.get_server_pid()
        self.fd: int = connection._transport.get_extra_info("socket").fileno()
        # What it is at.
        self.running: tuple[Statement, asyncio.Task[Any]] | None = None

    def in_transaction(self) -> bool:
        return bool(self.connection._protocol.is_in_transaction())


class Server:
    """A PostgreSQL for one job: its worlds come one after the other."""

    def __init__(self, dsn: str, loop: SimLoop) -> None:
        self.dsn, self.loop = dsn, loop
        self.control = Control(dsn)
        self._idle: list[Raw] = []
        self._every: list[Raw] = []
        self._is_written = ""
        # Whatever is real, which is never cancelled.
        self._working: dict[asyncio.Task[Any], None] = {}
        loop.blockers = self.control.blockers
        loop.cancel = self.control.cancel

    def prepare(self) -> None:
        """The tables, and what stands in for the server's clock and chance."""
        migrate(self.dsn)
        self.control.execute(_SCHEMA)
        self.control.execute("ALTER SYSTEM SET autovacuum = off")
        self.control.execute("SELECT pg_reload_conf()")
        if find_spec("tests.simulation.ledger"):
            from tests.simulation import ledger

            self.control.execute(ledger.DDL)
        # Whether one is open already must make no difference to a life.
        self.loop.run_until_complete(self._open_some())
        parts = [row[0] for row in self.control.fetch(_WRITTEN)]
        self._is_written = " UNION ALL ".join(parts)

    def begin_anew(self, seed: object) -> None:
        """Empty tables, sequences at their start, plans as they are made for empty tables."""
        loop = self.loop
        for raw in self._every:
            if raw.in_transaction():
                loop.run_until_complete(
                    self.run(raw, "ROLLBACK", partial(execute, raw, "ROLLBACK"))
                )
            loop.run_until_complete(
                self.run(raw, "DISCARD", partial(execute, raw, "DISCARD PLANS"))
            )
        self._idle = list(self._every)
        names = ", ".join(row[0] for row in self.control.fetch(self._is_written))
        if names:
            self.control.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        self.control.execute(
            f"UPDATE sim.run SET seed = '{seed}/'; ALTER SEQUENCE sim.chance RESTART"
        )

    async def take(self) -> Raw:
        """An idle connection, or a new one."""
        if self._idle:
            return self._idle.pop(0)
        statement = Statement(None, None, "connect")
        connecting = self._begin(self._in_turn(statement, self._open))
        raw: Raw = await self._whole(connecting, statement)
        return raw

    async def _open_some(self) -> None:
        for _ in range(_CONNECTIONS):
            await self._in_turn(Statement(None, None, "connect"), self._open)

    async def _open(self) -> Raw:
        connection = await _connect(self.dsn, server_settings=_SERVER_SETTINGS, **_CACHE)
        # As the service sets it up itself, but for its being a real statement once only.
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )
        raw = Raw(connection)
        self.loop.idle_fds.add(raw.fd)
        self._every.append(raw)
        return raw

    def _begin(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = self.loop.outside(work)
        self._working[task] = None
        task.add_done_callback(self._working.pop)
        return task

    async def come_to_rest(self) -> None:
        """Wait for whatever is real."""
        while self._working:
            await asyncio.wait(self._working)

    def give_back(self, raw: Raw) -> "asyncio.Task[None]":
        """Roll back whatever it was at, and keep it for another."""
        return self._begin(self._give_back(raw))

    async def _give_back(self, raw: Raw) -> None:
        if raw.running is not None:
            statement, task = raw.running
            self.loop.interrupt(statement)
            await asyncio.wait({task})
        if raw.in_transaction():
            await self.run(raw, "ROLLBACK", partial(execute, raw, "ROLLBACK"))
        self._idle.append(raw)

    async def run(
        self,
        raw: Raw,
        name: str,
        work: Callable[[], Awaitable[Any]],
        lock_timeout: float | None = None,
    ) -> Any:
        """One real statement: it takes no time, unless it waits for another's lock.

        Whoever is cancelled meanwhile stops it where it waits for a lock; else it was too late.
        """
        statement = Statement(raw.pid, raw.fd, name)
        running = self._begin(self._in_turn(statement, work))
        raw.running = statement, running
        timer = None
        if lock_timeout is not None:
            timer = self.loop.call_later(lock_timeout, self.loop.time_out, statement)
        try:
            return await self._whole(running, statement)
        except asyncpg.QueryCanceledError as error:
            if statement.ended_by == "deadlock":
                raise asyncpg.DeadlockDetectedError("deadlock detected") from error
            if statement.ended_by == "lock_timeout":
                raise asyncpg.LockNotAvailableError("canceling: lock timeout") from error
            raise
        finally:
            raw.running = None
            if timer is not None:
                timer.cancel()

    async def _in_turn(self, statement: Statement, work: Callable[[], Awaitable[Any]]) -> Any:
        await self.loop.begin(statement)
        try:
            return await work()
        finally:
            self.loop.end(statement)

    async def _whole(self, running: "asyncio.Task[Any]", statement: Statement) -> Any:
        """Its outcome. A cancellation of whoever waits is held until the server has answered."""
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.done():
                self.loop.interrupt(statement)
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({running})
            if not running.cancelled():
                running.exception()
            raise

    def close(self) -> None:
        for raw in self._every:
            raw.connection.terminate()
        self.loop.run_until_complete(asyncio.sleep(0.001))  # sockets are closed a turn later
        self.control.close()


async def execute(raw: Raw, sql: str) -> Any:
    return await raw.connection.execute(sql)
