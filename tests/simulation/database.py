"""Real PostgreSQL in virtual time: what `asyncpg.connect` gives the service while a world lives.

Connections to the server stay open between worlds; what the service holds is a `SimConnection`,
which is lost, cut, or dies with its process, while the server's side is rolled back and used again.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from asyncpg.transaction import Transaction

from app.db.migrations import migrate
from app.embedded.postgres import start_postgres
from tests.simulation.control import Control
from tests.simulation.faults import ByCode, Dead
from tests.simulation.loop import SimLoop, Statement, owner

if TYPE_CHECKING:
    from tests.simulation.engine import Engine
    from tests.simulation.process import Process

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
# No statement is forgotten by the virtual clock.
_CACHE: Final = {"statement_cache_size": 1000, "max_cached_statement_lifetime": 0}
# The tables that have rows, and the sequences that were used.
_WRITTEN: Final = """
SELECT format('SELECT %L AS name WHERE EXISTS (SELECT FROM %s)', oid::regclass, oid::regclass)
FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'sim'::regnamespace)
  AND relname NOT IN ('alembic_version', 'run')
ORDER BY oid::regclass::text
"""
_CLOCK: Final = re.compile(r"\b(now\(\)|clock_timestamp|current_timestamp)", re.IGNORECASE)
_OBJECT: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|FROM)\s+(\w+)")
_WRITES: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|COMMIT)\b")
_LOCK_TIMEOUT: Final = re.compile(r"SET LOCAL lock_timeout = '(\d+)s'")
_NOTIFY: Final = re.compile(r"NOTIFY (\w+)")


@lru_cache(maxsize=1024)
def name_of(sql: str) -> str:
    """A statement in two or three words: `UPDATE files`."""
    found = _OBJECT.search(sql)
    if found is None:
        return sql.split(";")[0].split()[0].upper()
    verb = "SELECT" if found[1] == "FROM" else found[1]
    return f"{verb} {found[2]}"


class Raw:
    """A connection to the server, and what its next statement needs."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.pid: int = connection.get_server_pid()
        self.fd: int = connection._transport.get_extra_info("socket").fileno()
        self.has_codecs = False
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
        parts = [row[0] for row in self.control.fetch(_WRITTEN)]
        self._is_written = " UNION ALL ".join(parts)

    def begin_anew(self, seed: object) -> None:
        """Empty tables, sequences at their start, plans as they are made for empty tables."""
        loop = self.loop
        for raw in self._every:
            if raw.in_transaction():
                loop.run_until_complete(
                    self.run(raw, "ROLLBACK", partial(_execute, raw, "ROLLBACK"))
                )
            loop.run_until_complete(
                self.run(raw, "DISCARD", partial(_execute, raw, "DISCARD PLANS"))
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

    async def _open(self) -> Raw:
        raw = Raw(await _connect(self.dsn, server_settings=_SERVER_SETTINGS, **_CACHE))
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
            await self.run(raw, "ROLLBACK", partial(_execute, raw, "ROLLBACK"))
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


async def _execute(raw: Raw, sql: str) -> Any:
    return await raw.connection.execute(sql)


class _Protocol:
    """What asyncpg's transactions ask of a connection's protocol."""

    def __init__(self, connection: "SimConnection") -> None:
        self._connection = connection

    def is_in_transaction(self) -> bool:
        return self._connection.is_in_transaction()


class SimConnection:
    """A connection as the service knows it: each statement is a seam."""

    _pool_release_ctr = 0  # asyncpg's transactions look at it

    def __init__(self, engine: "Engine", process: "Process", raw: Raw, timeout: float) -> None:
        self._engine, self.process, self._raw, self._timeout = engine, process, raw, timeout
        self._top_xact: Transaction | None = None
        self._protocol = _Protocol(self)
        self._lock_timeout: float | None = None
        self._is_open, self._has_written = True, False
        self._savepoints = 0
        process.connections.append(self)

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        return await self._ask(sql, self._raw.connection.fetch, args, timeout)

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        return await self._ask(sql, self._raw.connection.fetchrow, args, timeout)

    async def fetchval(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        return await self._ask(sql, self._raw.connection.fetchval, args, timeout)

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        if said := _LOCK_TIMEOUT.search(sql):
            self._lock_timeout = float(said[1])
            return "SET"
        if heard := _NOTIFY.fullmatch(sql):
            await self._engine.seam(self.process, "database", "NOTIFY", lambda: None)
            self._engine.notify(heard[1])
            return "NOTIFY"
        return await self._ask(sql, self._raw.connection.execute, args, timeout)

    async def executemany(self, sql: str, args: Any, *, timeout: float | None = None) -> Any:
        return await self._ask(sql, self._raw.connection.executemany, (args,), timeout)

    def transaction(self, **named: Any) -> Transaction:
        return Transaction(
            self,
            named.get("isolation"),
            named.get("readonly", False),
            named.get("deferrable", False),
        )

    async def set_type_codec(self, typename: str, **named: Any) -> None:
        if not self._raw.has_codecs:
            self._raw.has_codecs = True
            set_codec = self._raw.connection.set_type_codec
            await self._engine.server.run(self._raw, "codec", partial(set_codec, typename, **named))

    async def add_listener(self, channel: str, callback: Callable[..., Any]) -> None:
        await self._engine.seam(self.process, "database", "LISTEN", lambda: None)
        self._engine.listeners.append((channel, self, callback))

    def is_in_transaction(self) -> bool:
        return self._is_open and self._raw.in_transaction()

    def is_closed(self) -> bool:
        return not self._is_open

    def terminate(self) -> None:
        """The server rolls back what was under way: at once here, for it hears of the end."""
        if self._is_open:
            self.lose()
            self._engine.server.give_back(self._raw)

    async def close(self, *, timeout: float | None = None) -> None:
        self.terminate()

    def lose(self) -> Raw:
        """It is no connection any more. Who calls this gives back the server's side."""
        self._is_open = False
        if self in self.process.connections:
            self.process.connections.remove(self)
        listeners = self._engine.listeners
        listeners[:] = [each for each in listeners if each[1] is not self]
        return self._raw

    def _get_unique_id(self, prefix: str) -> str:
        self._savepoints += 1
        return f"_sim_{prefix}_{self._savepoints}"

    async def _ask(
        self, sql: str, method: Callable[..., Awaitable[Any]], args: Any, timeout: float | None
    ) -> Any:
        if self.process.dead:
            raise Dead
        if not self._is_open:
            raise asyncpg.InterfaceError("connection is closed")
        name = name_of(sql)
        # A commit is one where there is anything to commit.
        kind = "commit" if name == "COMMIT" and self._has_written else "database"
        effect = partial(self._effect, sql, name, method, args)
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                return await self._engine.seam(self.process, kind, name, effect)
        except ByCode as fault:
            # The server's own error, so that its transaction is aborted as by any other.
            raised = partial(_execute, self._raw, _raise(fault.code))
            return await self._engine.server.run(self._raw, name, raised)
        except ConnectionError as error:
            self.terminate()
            raise asyncpg.ConnectionDoesNotExistError(
                "connection was closed in the middle of operation"
            ) from error

    async def _effect(
        self, sql: str, name: str, method: Callable[..., Awaitable[Any]], args: Any
    ) -> Any:
        if not self._is_open:
            raise ConnectionResetError
        engine, raw = self._engine, self._raw
        if _CLOCK.search(sql):
            now = f"SELECT set_config('sim.now', '{engine.now().isoformat()}', false)"
            await engine.server.run(raw, "clock", partial(_execute, raw, now))
        try:
            return await engine.server.run(
                raw, name, partial(method, sql, *args), self._lock_timeout
            )
        finally:
            if name in {"COMMIT", "ROLLBACK"}:
                self._lock_timeout = None
            if _WRITES.search(sql):
                self._has_written = name != "COMMIT"
                engine.after_write()


def _raise(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'simulated' USING ERRCODE = '{code}'; END $$"


async def connect(engine: "Engine", *, command_timeout: float = 10, **_: Any) -> SimConnection:
    """In the place of `asyncpg.connect`."""
    process = owner.get()
    if process is None:
        raise AssertionError("only processes connect")
    if process.dead:
        raise Dead
    raw = await engine.seam(process, "database", "CONNECT", engine.server.take)
    return SimConnection(engine, process, raw, command_timeout)


@contextmanager
def simulated_server(loop: SimLoop) -> Iterator[Server]:
    """An embedded PostgreSQL with its tables, for the worlds of this loop."""
    with start_postgres() as dsn:
        server = Server(dsn, loop)
        server.prepare()
        try:
            yield server
        finally:
            server.close()
