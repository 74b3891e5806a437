"""A cache for the report over HTTP: one examination serves all requests of ten minutes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from app.doctor.findings import Report
from app.errors import ExaminationUnderWay
from app.single_flight import SingleFlight

LIFETIME: Final = timedelta(minutes=10)
# Routers in front give up after 30 s (Heroku: H12).
_LONGEST_WAIT: Final = 20  # seconds


class ReportCache:
    """Holds the newest report, at most ten minutes old; runs one examination at a time."""

    def __init__(
        self, examine: Callable[[], Awaitable[Report]], clock: Callable[[], datetime]
    ) -> None:
        self._examine = examine
        self._clock = clock
        self._newest: tuple[Report, datetime] | None = None
        self._examinations = SingleFlight()

    @property
    def newest(self) -> tuple[Report, datetime] | None:
        """The newest report and when it was made, however old; None where there is none."""
        return self._newest

    async def get(self) -> tuple[Report, datetime]:
        """The report and when it was made; a new one if there is none of the last ten minutes.

        Raises ExaminationUnderWay when a new one takes more than 20 seconds; it goes on.
        """
        if self._newest is None or self._clock() - self._newest[1] >= LIFETIME:
            self._newest = None
            task = self._examinations.share("report", self._renew)
            done, _ = await asyncio.wait({task}, timeout=_LONGEST_WAIT)
            for ended in done:
                ended.result()
        if self._newest is None:
            raise ExaminationUnderWay("The stores are still being examined.", retry_after=5)
        return self._newest

    async def close(self) -> None:
        """Cancel an examination that is under way, and wait until it has removed what it made."""
        await self._examinations.drain()

    async def _renew(self) -> None:
        self._newest = await self._examine(), self._clock()
