"""Wakes those who wait for events, in whatever process they were written.

NOTIFY is sent after the commit, not in it: committing transactions would wait for each other for
the queue of notifications (PostgreSQL, `PreCommit_Notify`). One is sent for all events of a moment.
Whoever waits looks each second as well: behind a pooler of transactions LISTEN hears nothing, and a
notification may be lost with its connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from app.db.connections import Database
from app.errors import DatabaseUnavailable

_CHANNEL: Final = "claimcheck_events"
# Seconds: between two notifications of a process; how often those who wait look in any case; after
# how long without anybody who waits the connection is closed, and how often that is looked at.
_NOTIFY_EVERY: Final = 0.05
LOOK_EVERY: Final = 1.0
_LINGER: Final = 30.0
_WATCH_EVERY: Final = 1.0


class Wake:
    """Take `next()`, look for events, and where there are none `wait` for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = asyncio.Event()
        self._hearing: asyncio.Task[None] | None = None
        self._waited_at = 0.0

    def next(self) -> asyncio.Event:
        """It is set as soon as there may be events that were not there before this call."""
        return self._next

    async def wait(self, event: asyncio.Event, seconds: float = LOOK_EVERY) -> None:
        """Wait for the event, or for so long."""
        self._waited_at = asyncio.get_running_loop().time()
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(self._hear())
        # Not `wait_for`: Python 3.11's forgets a cancellation that comes just after the event, and
        # a task that is to end would go on for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, LOOK_EVERY)):
                await event.wait()

    def _ring(self, *_: Any) -> None:
        self._next.set()
        self._next = asyncio.Event()

    async def _hear(self) -> None:
        """Listen while anybody waits, until the connection is lost; whoever waits next goes on."""
        loop = asyncio.get_running_loop()
        with suppress(DatabaseUnavailable, asyncpg.PostgresError, OSError):
            connection = await self._database.connect_to_hear()
            if connection is None:
                # Those who wait look each second, and ask for no connection before.
                await asyncio.sleep(_LINGER)
                return
            try:
                await connection.add_listener(_CHANNEL, self._ring)
                # For what was written since they looked.
                self._ring()
                while (  # noqa: ASYNC110 -- a clock is looked at
                    loop.time() < self._waited_at + _LINGER and not connection.is_closed()
                ):
                    await asyncio.sleep(_WATCH_EVERY)
            finally:
                connection.terminate()

    async def tell(self) -> None:
        """Notify whenever this process has written events, without end."""
        while True:
            await self._database.told.wait()
            self._database.told.clear()
            with suppress(DatabaseUnavailable):
                async with self._database.connection() as db:
                    await db.execute(f"NOTIFY {_CHANNEL}")
            await asyncio.sleep(_NOTIFY_EVERY)

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.wait([self._hearing])


@asynccontextmanager
async def waking(database: Database) -> AsyncIterator[Wake]:
    """Yield one that notifies of what this process writes, and hears of what others do."""
    wake = Wake(database)
    telling = asyncio.create_task(wake.tell())
    try:
        yield wake
    finally:
        telling.cancel()
        await asyncio.wait([telling])
        await wake.close()
