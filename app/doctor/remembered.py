"""A report that is asked for over HTTP: made once, for all who ask within some minutes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from app.core.single_flight import SingleFlight
from app.doctor.findings import Report
from app.errors import ExaminationUnderWay

LIFE: Final = timedelta(minutes=10)
# Routers in front give up after 30 s (Heroku: H12).
_PATIENCE: Final = 20


class RememberedReport:
    """The newest report, at most ten minutes old; one examination at a time."""

    def __init__(
        self, examine: Callable[[], Awaitable[Report]], clock: Callable[[], datetime]
    ) -> None:
        self._examine = examine
        self._clock = clock
        self._made: tuple[Report, datetime] | None = None
        self._making = SingleFlight()

    async def get(self) -> tuple[Report, datetime]:
        """The report and when it was made.

        Raises ExaminationUnderWay when a new one takes more than 20 seconds; it goes on.
        """
        if self._made is None or self._clock() - self._made[1] >= LIFE:
            self._made = None
            making = self._making.share("report", self._make)
            done, _ = await asyncio.wait({making}, timeout=_PATIENCE)
            for task in done:
                task.result()
        if self._made is None:
            raise ExaminationUnderWay("The stores are still being examined.", retry_after=5)
        return self._made

    async def close(self) -> None:
        """End an examination that is under way; it takes away what it has made."""
        await self._making.drain()

    async def _make(self) -> None:
        self._made = await self._examine(), self._clock()
