"""Real PostgreSQL in virtual time: what `asyncpg.connect` gives the service while a world lives.

Connections to the server stay open between worlds; what the service holds is a `SimConnection`,
which is lost, cut, or dies with its process, while the server's side is rolled back and used again.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from asyncpg.transaction import Transaction

from app.db.connections import SET_IDLE
from app.embedded.postgres import start_postgres
from tests.simulation.faults import ByCode, Dead
from tests.simulation.loop import SimLoop, owner
from tests.simulation.server import Raw, Server, execute

if TYPE_CHECKING:
    from tests.simulation.engine import Engine
    from tests.simulation.process import Process

_CLOCK: Final = re.compile(r"\b(now\(\)|clock_timestamp|current_timestamp)", re.IGNORECASE)
_OBJECT: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|FROM)\s+(\w+)")
_WRITES: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM|COMMIT)\b")
_LOCK_TIMEOUT: Final = re.compile(r"SET LOCAL lock_timeout = '(\d+)s'")
# SQLSTATEs of a server that shuts down, by which it ends the connection.
_FATAL: Final = "57P0"
_NOTIFY: Final = re.compile(r"NOTIFY (\w+)")


@lru_cache(maxsize=1024)
def name_of(sql: str) -> str:
    """A statement in two or three words: `UPDATE files`."""
    found = _OBJECT.search(sql)
    if found is None:
        return sql.split(";")[0].split()[0].upper()
    verb = "SELECT" if found[1] == "FROM" else found[1]
    return f"{verb} {found[2]}"


class _Protocol:
    """As much of a connection's protocol as asyncpg's transactions ask for."""

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

    async def fetch(self, sql: str, *args: Any, **named: Any) -> Any:
        """Rows that come in no order have one here: where they lie in a table depends on when
        PostgreSQL has tidied up, and that on true time.
        """
        rows = await self._ask(sql, self._raw.connection.fetch, args, **named)
        has_order = sql.rfind("ORDER BY") > sql.rfind("RETURNING")
        return rows if has_order else sorted(rows, key=repr)

    async def fetchrow(self, sql: str, *args: Any, **named: Any) -> Any:
        return await self._ask(sql, self._raw.connection.fetchrow, args, **named)

    async def fetchval(self, sql: str, *args: Any, **named: Any) -> Any:
        return await self._ask(sql, self._raw.connection.fetchval, args, **named)

    async def execute(self, sql: str, *args: Any, **named: Any) -> Any:
        if said := _LOCK_TIMEOUT.search(sql):
            self._lock_timeout = float(said[1])
            return "SET"
        if sql == SET_IDLE:
            return "SET"  # a vanished process's transactions end by the loop's clock
        if heard := _NOTIFY.fullmatch(sql):
            await self._engine.seam(self.process, "database", "NOTIFY", lambda: None)
            self._engine.notify(heard[1])
            return "NOTIFY"
        return await self._ask(sql, self._raw.connection.execute, args, **named)

    async def executemany(self, sql: str, args: Any, **named: Any) -> Any:
        return await self._ask(sql, self._raw.connection.executemany, (args,), **named)

    def transaction(self, **named: Any) -> Transaction:
        return Transaction(
            self,
            named.get("isolation"),
            named.get("readonly", False),
            named.get("deferrable", False),
        )

    async def set_type_codec(self, typename: str, **_: Any) -> None:
        assert typename == "jsonb"  # which the server's side has already

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

    async def close(self, **_: Any) -> None:
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
        self,
        sql: str,
        method: Callable[..., Awaitable[Any]],
        args: Any,
        timeout: float | None = None,  # noqa: ASYNC109 -- asyncpg's name
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
            if fault.code.startswith(_FATAL):
                self.terminate()
                raise _error_of(fault.code) from fault
            # The server's own error, so that its transaction is aborted as by any other.
            raised = partial(execute, self._raw, _raise(fault.code))
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
            await engine.server.run(raw, "clock", partial(execute, raw, now))
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


def _error_of(code: str) -> asyncpg.PostgresError:
    """asyncpg's error of an SQLSTATE."""
    found: asyncpg.PostgresError = asyncpg.PostgresError.get_message_class_for_sqlstate(code)
    return found("simulated")


def _raise(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'simulated' USING ERRCODE = '{code}'; END $$"


async def connect(engine: "Engine", *, command_timeout: float = 10, **_: Any) -> SimConnection:
    """In the place of `asyncpg.connect`."""
    process = owner.get()
    if process is None:
        raise AssertionError("only processes connect")
    if process.dead:
        raise Dead
    try:
        raw = await engine.seam(process, "database", "CONNECT", engine.server.take)
    except ByCode as fault:
        raise _error_of(fault.code) from fault
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
