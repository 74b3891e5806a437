"""The database: a pool of asyncpg connections to PostgreSQL, and what its failures mean."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.db.tell import TOLD
from app.errors import DatabaseUnavailable, Problem
from app.settings.model import Settings

# A driver's connection, as use cases hand it to the statements of `app.db`.
Connection = asyncpg.Connection

CONNECT_SECONDS: Final = 5
STATEMENT_SECONDS: Final = 10
# The database is not there, or went away on the way.
_LOST = (
    OSError,
    EOFError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # The driver's state machine, which the end of the connection met at another moment.
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # Its disk does not answer, or it is a standby by now.
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    AsyncAdapt_asyncpg_dbapi.Error,
    DBAPIError,
    PoolTimeout,
)


class Database:
    """Hands out asyncpg connections from SQLAlchemy's pool.

    The pool, the tables and the migrations are SQLAlchemy's. Statements run on the driver's
    connection itself (`app.db.statements`), because SQLAlchemy's async layer costs more per
    statement than everything else in a request.
    """

    def __init__(self, settings: Settings, *, migrating: bool = False) -> None:
        """With `migrating` statements take their time, and a pooler in between is always fine."""
        assert settings.database_url is not None
        # Set whenever events were committed (`app.db.wake`).
        self.told = asyncio.Event()
        self._pooled_by_transaction = settings.database_transaction_pooling or migrating
        connect_args: dict[str, Any] = {
            # asyncpg reads the URL itself: `postgres://`, `?sslmode=require`, a socket's `?host=`.
            "dsn": settings.database_url.get_secret_value(),
            "timeout": CONNECT_SECONDS,
            "command_timeout": None if migrating else STATEMENT_SECONDS,
        }
        if self._pooled_by_transaction:
            # A statement prepared on one server connection is unknown on the next one, and its
            # name may be taken there by another process. Without a cache they have no names.
            connect_args |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        else:
            connect_args["server_settings"] = {"application_name": "claimcheck"}
        self._connect_args = connect_args
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            connect_args=connect_args,
            pool_size=settings.database_pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            # Each statement commits by itself, so there is nothing to roll back on return.
            pool_reset_on_return=None,
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection that commits each statement by itself.

        Raises DatabaseUnavailable when there is none to be had or when it is lost on the way: the
        outcome of a statement under way is then unknown.
        """
        try:
            pooled = await self.engine.raw_connection()
            try:
                driver = pooled.driver_connection
                if driver is None or driver.is_closed():
                    # The server closed it while it lay in the pool.
                    pooled.invalidate()
                    pooled = await self.engine.raw_connection()
                    driver = pooled.driver_connection
                assert driver is not None
                if self._pooled_by_transaction:
                    # The pooler may change servers between parsing and executing otherwise.
                    async with driver.transaction():
                        yield driver
                else:
                    yield driver
            finally:
                if driver in TOLD:
                    TOLD.discard(driver)
                    self.told.set()
                pooled.close()
        except asyncpg.UndefinedTableError as error:
            raise DatabaseUnavailable(
                "The database has no tables yet: run `claimcheck migrate`.", retry_after=30
            ) from error
        except _LOST as error:
            raise DatabaseUnavailable(
                "The database did not answer; try again in a moment.", retry_after=2
            ) from error

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
            raise DatabaseUnavailable(
                "The database did not answer; try again in a moment.", retry_after=2
            ) from error

    async def close(self) -> None:
        await self.engine.dispose()


def lacks_tables(problem: Problem) -> bool:
    """Whether the database was there, and without the tables that a migration makes."""
    return isinstance(problem.__cause__, asyncpg.UndefinedTableError)
