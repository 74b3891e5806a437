"""The SQL of events and of who listens to them, as functions of a connection.

`app.db.tell` writes them. An event has no position in its tenant's feed until it was committed, and
`give_positions` has seen it. That runs in one transaction at a time, and sees only what was
committed before: so whoever reads a position has seen every lower one before, and an event that is
committed late gets a later one. Positions are in the rows, and go with them into another cluster.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import sqlalchemy as sa

from app.db.statements import FIRST, write
from app.models.events import events

_e = events.c

# Any number that nothing else uses.
_LOCK: Final = 4_071_846_124
_TAKE_TURN = write(sa.text(f"SELECT pg_try_advisory_xact_lock({_LOCK})"))
# A transaction takes no more, so that readers see the first of very many soon.
MOST_AT_ONCE: Final = 1000

_GIVE_POSITIONS = write(
    sa.text("""
WITH waiting AS MATERIALIZED (
  SELECT id, tenant FROM events WHERE position IS NULL ORDER BY id LIMIT :most
), before AS (
  SELECT tenant, greatest(
    (SELECT max(position) FROM events WHERE events.tenant = tenants.tenant),
    (SELECT purged FROM listeners WHERE listeners.tenant = tenants.tenant),
    0
  ) AS position
  FROM (SELECT DISTINCT tenant FROM waiting) AS tenants
), numbered AS (
  SELECT id, before.position + row_number() OVER (PARTITION BY tenant ORDER BY id) AS position
  FROM waiting JOIN before USING (tenant)
)
UPDATE events SET position = numbered.position FROM numbered
WHERE events.id = numbered.id
RETURNING events.id
"""),
    FIRST,
)


async def give_positions(db: asyncpg.Connection) -> list[int] | None:
    """Give a position to events that have none, in the order of their ids; the ids of those.

    Call it in a transaction of its own, which is committed at once. None where another is at it.
    """
    # A statement of its own: what comes after it sees all that the one before has committed.
    if not await _TAKE_TURN.value(db):
        return None
    return await _GIVE_POSITIONS.rows(db, most=MOST_AT_ONCE)


class End(NamedTuple):
    """The positions between which a reader of a tenant's feed may be.

    Later events than `purged` are all there to read; those up to it are not shown any more.
    """

    purged: int
    last: int


_END = write(
    sa.text("""
SELECT purged, greatest(purged, (
  SELECT max(position) FROM events WHERE events.tenant = listeners.tenant
)) FROM listeners WHERE tenant = :tenant
"""),
    End._make,
)
_LISTEN = write(
    sa.text("""
INSERT INTO listeners (tenant, is_read, read_at) VALUES (:tenant, true, :now)
ON CONFLICT (tenant) DO UPDATE SET is_read = true, read_at = excluded.read_at, purged =
  CASE WHEN listeners.is_read THEN listeners.purged ELSE 1 + greatest(listeners.purged, (
    SELECT max(position) FROM events WHERE events.tenant = listeners.tenant
  )) END
WHERE NOT listeners.is_read OR listeners.read_at < :noted_before
RETURNING tenant
""").bindparams(
        sa.bindparam("tenant", type_=sa.Text()),
        sa.bindparam("now", type_=sa.DateTime(timezone=True)),
        sa.bindparam("noted_before", type_=sa.DateTime(timezone=True)),
    )
)
# How old the note may be that a feed was read: so few writes for however many reads.
_NOTED_EVERY: Final = timedelta(hours=1)


async def listen(db: asyncpg.Connection, tenant: str, now: datetime) -> None:
    """Note that the tenant's feed is read: from now on its events are written.

    If it was not before, readers who come with an older position have missed some.
    """
    await _LISTEN.run(db, tenant=tenant, now=now, noted_before=now - _NOTED_EVERY)


async def feed_end(db: asyncpg.Connection, tenant: str) -> End:
    """The bounds of the tenant's feed, to which somebody listens."""
    found = await _END.row(db, tenant=tenant)
    assert found is not None
    return found


_SET_ENDPOINTS = write(
    sa.text("""
INSERT INTO listeners (tenant, has_endpoints) VALUES (:tenant, :has_endpoints)
ON CONFLICT (tenant) DO UPDATE SET has_endpoints = excluded.has_endpoints
""").bindparams(
        sa.bindparam("tenant", type_=sa.Text()), sa.bindparam("has_endpoints", type_=sa.Boolean())
    )
)


async def note_endpoints(db: asyncpg.Connection, tenant: str, *, has_endpoints: bool) -> None:
    """Note whether the tenant has an enabled webhook endpoint: its events are written for those.

    Call it in the transaction that makes, changes or deletes one.
    """
    await _SET_ENDPOINTS.run(db, tenant=tenant, has_endpoints=has_endpoints)
