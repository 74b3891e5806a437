"""The SQL of daily counts, as functions of a connection."""

from collections.abc import Sequence
from datetime import date

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.db.statements import arrays, rows_of, write
from app.models.daily import DailyCount, daily_counts

_c = daily_counts.c
_rows = insert(daily_counts).from_select(DailyCount._fields, rows_of(_c))
_ADD = write(
    _rows.on_conflict_do_update(
        index_elements=["day", "tenant", "destination", "outcome"],
        set_={name: _c[name] + _rows.excluded[name] for name in ("times", "bytes")},
    )
)
_READ = write(
    sa.select(daily_counts)
    .where(_c.day >= sa.bindparam("since", type_=sa.Date()), _c.tenant == sa.bindparam("tenant"))
    .order_by(_c.destination, _c.day, _c.times.desc()),
    DailyCount._make,
)
_PURGE = write(sa.delete(daily_counts).where(_c.day < sa.bindparam("before", type_=sa.Date())))


async def add_daily(db: asyncpg.Connection, rows: Sequence[DailyCount]) -> None:
    """Add counts to those there are. In one order, so that no two wait for each other."""
    await _ADD.run(db, **arrays(DailyCount._fields, sorted(rows)))


async def read_daily(db: asyncpg.Connection, tenant: str, since: date) -> list[DailyCount]:
    """The tenant's counts from that day on, by destination and day, the most frequent first."""
    return await _READ.rows(db, tenant=tenant, since=since)


async def purge_daily(db: asyncpg.Connection, before: date) -> None:
    """Forget the counts of days before this one."""
    await _PURGE.run(db, before=before)
