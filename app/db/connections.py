"""The database: a pool of asyncpg connections to PostgreSQL, and what its failures mean."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final

import asyncpg
from pydantic_core import from_json

from app.db.tell import TOLD
from app.errors import DatabaseUnavailable, Problem
from app.settings.model import Settings

# A driver's connection, as use cases hand it to the statements of `app.db`.
Connection = asyncpg.Connection

CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 10
# No transaction waits for anything but its own next statement. One that has none for so long is
# that of a machine that is gone: else its locks would stay for the two hours after which TCP asks.
IDLE_SECONDS: Final = 60
SET_IDLE: Final = f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
# The database is not there, or went away on the way.
_LOST = (
    OSError,
    EOFError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The driver's state machine, which the end of the connection met at another moment.
    asyncpg.InternalClientError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # Its disk does not answer, or it is a standby by now.
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Database:
    """Hands out asyncpg connections, `database_pool_size` of them at most.

    Whoever waits for one gets it in their turn: the queues of asyncpg's and of SQLAlchemy's pools
    let newcomers overtake, so that one request in a hundred waited a hundred times as long as the
    others. The tables, the statements (`app.db.statements`) and the migrations are SQLAlchemy's.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        # Set whenever events were committed (`app.db.wake`).
        self.told = asyncio.Event()
        self._pooled_by_transaction = settings.database_transaction_pooling
        self._connect_args: dict[str, Any] = {
            # asyncpg reads the URL itself: `postgres://`, `?sslmode=require`, a socket's `?host=`.
            "dsn": settings.database_url.get_secret_value(),
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
        }
        if self._pooled_by_transaction:
            # A statement prepared on one server connection is unknown on the next one, and its
            # name may be taken there by another process. Without a cache they have no names.
            self._connect_args["statement_cache_size"] = 0
        else:
            # No others: PgBouncer, in session mode too, refuses those it does not keep track of.
            self._connect_args["server_settings"] = {"application_name": "claimcheck"}
        self._turns = asyncio.Semaphore(settings.database_pool_size)
        # The one that was used last is used first: its statements are prepared.
        self._idle: list[asyncpg.Connection] = []
        self._opening = asyncio.Lock()
        self._closed = False

    def connection(self) -> "_Lent":
        """A connection that commits each statement by itself, as a context.

        Entering it or leaving it raises DatabaseUnavailable when there is none to be had or when it
        is lost on the way: the outcome of a statement under way is then unknown. Also where the
        server has ended a deadlock at its cost.
        """
        return _Lent(self, pooled_by_transaction=self._pooled_by_transaction)

    async def lend(self) -> asyncpg.Connection:
        """A connection that nobody else has until it is taken back."""
        if self._turns.locked():
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        try:
            return await self._take()
        except BaseException:
            self._turns.release()
            raise

    def take_back(self, driver: asyncpg.Connection) -> None:
        """End what `lend` has begun."""
        try:
            if driver in TOLD:
                TOLD.discard(driver)
                self.told.set()
            self._give_back(driver)
        finally:
            self._turns.release()

    async def _take(self) -> asyncpg.Connection:
        if (driver := self._idle_one()) is not None:
            return driver
        # One at a time: to prove that it knows the password (RFC 5802) takes each four
        # announcements' time, and the event loop stands still for all that come at once.
        async with asyncio.timeout(CONNECT_SECONDS), self._opening:
            return self._idle_one() or await self._open()

    def _idle_one(self) -> asyncpg.Connection | None:
        while self._idle:
            driver = self._idle.pop()
            if not driver.is_closed():  # as the server does while it lies here
                return driver
        return None

    async def _open(self) -> asyncpg.Connection:
        try:
            driver = await asyncpg.connect(**self._connect_args)
        except asyncpg.PostgresError as error:
            # It lets nobody in: a wrong password, no such database.
            raise _unavailable() from error
        try:
            # In a transaction for the sake of poolers, as in `_Lent`.
            async with driver.transaction():
                if not self._pooled_by_transaction:
                    await driver.execute(SET_IDLE)
                await driver.set_type_codec(
                    "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=from_json
                )
        except BaseException:
            driver.terminate()
            raise
        return driver

    def _give_back(self, driver: asyncpg.Connection) -> None:
        if driver.is_closed():
            return
        if self._closed or driver.is_in_transaction() or _has_begun(driver):
            # Its transaction was not ended, for its end, or its beginning, was interrupted.
            driver.terminate()
        else:
            self._idle.append(driver)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection whose statements are committed together at the end, or not at all.

        Each statement sees what others have committed before it (READ COMMITTED, the default of
        PostgreSQL). Raises DatabaseUnavailable, like `connection`.
        """
        async with self.connection() as db, db.transaction():
            yield db

    async def connect_to_hear(self) -> asyncpg.Connection | None:
        """A connection apart from the pool, for LISTEN; None behind a pooler, which hears nothing.

        Whoever asks closes it. Raises DatabaseUnavailable.
        """
        if self._pooled_by_transaction:
            return None
        try:
            return await asyncpg.connect(**self._connect_args)
        except _LOST as error:
            raise _unavailable() from error

    async def close(self) -> None:
        """Close the connections; those in use as soon as they are given back."""
        self._closed = True
        while self._idle:
            driver = self._idle.pop()
            try:
                await driver.close(timeout=CONNECT_SECONDS)
            except _LOST:
                driver.terminate()


class _Lent:
    """The context of `Database.connection`. Written out, for a generator in its place would take
    four times as long as lending does.
    """

    __slots__ = ("_database", "_driver", "_pooled_by_transaction", "_transaction")

    def __init__(self, database: Database, *, pooled_by_transaction: bool) -> None:
        self._database, self._pooled_by_transaction = database, pooled_by_transaction
        self._transaction: Any = None

    async def __aenter__(self) -> asyncpg.Connection:
        try:
            self._driver = await self._database.lend()
            if self._pooled_by_transaction:
                await self._begin()
        except Exception as error:
            _raise_problem(error)
            raise
        return self._driver

    async def _begin(self) -> None:
        # The pooler may change servers between parsing and executing otherwise.
        self._transaction = self._driver.transaction()
        try:
            await self._transaction.start()
        except BaseException:
            self._database.take_back(self._driver)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._transaction is not None:
                await self._transaction.__aexit__(kind, error, traceback)
        except Exception as failed:
            _raise_problem(failed)
            raise
        finally:
            self._database.take_back(self._driver)
        if error is not None:
            _raise_problem(error)


def _raise_problem(error: BaseException) -> None:
    """Raises DatabaseUnavailable if that is what the error means."""
    if isinstance(error, asyncpg.UndefinedTableError):
        raise DatabaseUnavailable(
            "The database has no tables yet: run `claimcheck migrate`.", retry_after=30
        ) from error
    if isinstance(error, asyncpg.DeadlockDetectedError):
        raise DatabaseUnavailable(
            "Another change waited for this one, and this one for it, so it was given up; "
            "try again in a moment.",
            retry_after=2,
        ) from error
    if isinstance(error, _LOST):
        raise _unavailable() from error


def _has_begun(driver: asyncpg.Connection) -> bool:
    """Whether asyncpg takes a transaction to be open there, whatever the server says.

    A BEGIN that was cancelled, or took too long, is carried out by the server all the same, and
    asyncpg hears of it with the next statement only. The next transaction would be a savepoint of
    that one, which nobody commits. asyncpg, whose own pool looks there too, has no public name for
    it.
    """
    return getattr(driver, "_top_xact", None) is not None


def _unavailable() -> DatabaseUnavailable:
    return DatabaseUnavailable("The database did not answer; try again in a moment.", retry_after=2)


def was_deadlock(problem: Problem) -> bool:
    """Whether nothing was done, as the server has ended a deadlock at its cost."""
    return isinstance(problem.__cause__, asyncpg.DeadlockDetectedError)


def lacks_tables(problem: Problem) -> bool:
    """Whether the database was there, and without the tables that a migration makes."""
    return isinstance(problem.__cause__, asyncpg.UndefinedTableError)
