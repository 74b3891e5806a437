"""The outcomes of announcements day by day, for the panel's plot."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

from app.core.principal import Principal
from app.db.daily import purge_daily, read_daily
from app.models.daily import CONFIRMED, DailyCount
from app.runtime.resources import Resources

DAYS: Final = 30
# Days that counts are kept: a year ago can be looked up.
_KEPT: Final = 400


class Day(NamedTuple):
    """Of one day: files, their bytes, and how many were refused for which problem."""

    day: date
    files: int
    bytes: int
    refused: dict[str, int]

    @property
    def times_refused(self) -> int:
        return sum(self.refused.values())


async def read_days(res: Resources, caller: Principal) -> dict[str, list[Day]]:
    """The last 30 days (UTC) of the caller's tenant by destination, all of them, the last today.

    Destinations of which nothing became anything are not there. Raises DatabaseUnavailable.
    """
    last = res.clock().date()
    first = last - timedelta(days=DAYS - 1)
    async with res.db.connection() as db:
        rows = await read_daily(db, caller.tenant, first)
    by_destination: dict[str, list[DailyCount]] = {}
    for row in rows:
        by_destination.setdefault(row.destination, []).append(row)
    return {
        destination: [_day(first + timedelta(days=n), rows_of) for n in range(DAYS)]
        for destination, rows_of in by_destination.items()
    }


def _day(day: date, rows: Iterable[DailyCount]) -> Day:
    files = size = 0
    refused: dict[str, int] = {}
    for row in rows:
        if row.day == day:
            if row.outcome == CONFIRMED:
                files, size = row.times, row.bytes
            else:
                refused[row.outcome] = row.times
    return Day(day, files, size, refused)


async def forget_days(res: Resources) -> None:
    """Forget the days that are not kept any more. Raises DatabaseUnavailable."""
    async with res.db.connection() as db:
        await purge_daily(db, res.clock().date() - timedelta(days=_KEPT))
