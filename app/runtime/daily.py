"""Outcomes of announcements, by day, for the panel's plot.

Counted in the process, and added to the database every few seconds: a process that is killed loses
those of the last ones.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from typing import Final

from app.db.connections import Database
from app.db.daily import add_daily
from app.errors import DatabaseUnavailable, Problem
from app.models.daily import CONFIRMED, DailyCount

_FLUSH_SECONDS: Final = 5.0
# Past so many different counts, of a database that is away for long, no others are begun.
_MOST: Final = 10_000

_Key = tuple[date, str, str, str]


class Daily:
    """Counts, where it is `on`, and does nothing else."""

    def __init__(self, database: Database, clock: Callable[[], datetime], *, on: bool) -> None:
        self._database, self._clock, self._on = database, clock, on
        self._counts: Counter[_Key] = Counter()
        self._bytes: Counter[_Key] = Counter()
        self._flushing: asyncio.Task[None] | None = None

    def confirmed(self, tenant: str, destination: str, size: int) -> None:
        """Count a file of so many bytes."""
        self._add(tenant, destination, CONFIRMED, size)

    def refused(self, tenant: str, destination: str, problem: Problem) -> None:
        """Count an announcement or an upload that was refused; not for the service's own failure.

        The destination is one of the settings': names that clients make up are without number.
        """
        if problem.status < 500:
            self._add(tenant, destination, problem.slug())

    def _add(self, tenant: str, destination: str, outcome: str, size: int = 0) -> None:
        if not self._on:
            return
        key = self._clock().date(), tenant, destination, outcome
        if key not in self._counts and len(self._counts) >= _MOST:
            return
        self._counts[key] += 1
        self._bytes[key] += size
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_soon())

    async def _flush_soon(self) -> None:
        while self._counts:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Add what was counted to the database; where that is away it is kept for the next time."""
        counts, sizes = self._counts, self._bytes
        if not counts:
            return
        self._counts, self._bytes = Counter(), Counter()
        rows = [DailyCount(*key, count, sizes[key]) for key, count in counts.items()]
        try:
            async with self._database.connection() as db:
                await add_daily(db, rows)
        except DatabaseUnavailable:
            self._counts.update(counts)
            self._bytes.update(sizes)

    async def close(self) -> None:
        """Add what is left."""
        if self._flushing is not None:
            self._flushing.cancel()
            with suppress(asyncio.CancelledError):
                await self._flushing
        await self.flush()
