"""The SQL of events and of who listens to them, as functions of a connection.

`app.db.tell` writes them. An event has no position in its tenant's feed until it was committed, and
`give_positions` has seen it. That runs in one transaction at a time, and sees only what was
committed before: so whoever reads a position has seen every lower one before, and an event that is
committed late gets a later one. Positions are in the rows, and go with them into another cluster.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.principal import Principal
from app.db.statements import FIRST, visible, visible_to, write
from app.models.events import Event, events
from app.models.tables import MOMENT

_e = events.c
_types = sa.bindparam("types", type_=ARRAY(sa.Text()))
_next_id = sa.bindparam("next_id", type_=sa.BigInteger())
_before = sa.bindparam("before", type_=MOMENT)

# Any number that nothing else uses.
_LOCK: Final = 4_071_846_124
_TAKE_TURN = write(sa.text(f"SELECT pg_try_advisory_xact_lock({_LOCK})"))
# A transaction takes no more, so that readers see the first of very many soon.
MOST_AT_ONCE: Final = 1000

_GIVE_POSITIONS = write(
    sa.text("""
WITH waiting AS MATERIALIZED (
  SELECT id, tenant FROM events WHERE position IS NULL AND id > :id ORDER BY id LIMIT :most
), before AS MATERIALIZED (
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
""").bindparams(sa.bindparam("id", type_=sa.BigInteger())),
    FIRST,
)


@dataclass(slots=True)
class Floor:
    """The id up to which all events have a position, as far as a process knows.

    While anybody reads a snapshot of long ago, as pg_dump does, the index of what waits keeps an
    entry of each event since; looks begin behind those. `next_id` is the floor to be: once all
    transactions before `next_xid` have ended, nobody can commit an event with an id up to there.
    """

    id: int = 0
    next_id: int = 0
    next_xid: int = 0

    def forget(self) -> None:
        """Look at all events again."""
        self.id = self.next_id = self.next_xid = 0


class _Look(NamedTuple):
    are_waiting: bool
    are_below: bool
    oldest_xid: int
    next_xid: int
    last_id: int


_LOOK = write(
    sa.text("""
SELECT
  EXISTS (SELECT FROM events WHERE position IS NULL AND id > :id),
  EXISTS (SELECT FROM events WHERE position IS NULL AND id > :id AND id <= :next_id),
  pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
  coalesce((SELECT max(id) FROM events), 0)
""").bindparams(sa.bindparam("id", type_=sa.BigInteger()), _next_id),
    _Look._make,
)


async def are_waiting(db: asyncpg.Connection, floor: Floor) -> bool:
    """Whether there are events that have no position; it raises the floor where that is sure."""
    look = await _LOOK.row(db, id=floor.id, next_id=floor.next_id)
    assert look is not None
    if look.last_id < floor.id:
        # Another database by now, or the same as it was before: its ids come again.
        floor.forget()
        return True
    # A transaction has its number before its event has an id (`app.db.tell`).
    if look.oldest_xid >= floor.next_xid and not look.are_below:
        floor.id, floor.next_id = floor.next_id, look.last_id
        floor.next_xid = look.next_xid
    return look.are_waiting


async def give_positions(db: asyncpg.Connection, floor: Floor | None = None) -> list[int] | None:
    """Give a position to events that have none, in the order of their ids; the ids of those.

    To those above the floor, if there is one. Call it in a transaction of its own, which is
    committed at once. None where another is at it.
    """
    # A statement of its own: what comes after it sees all that the one before has committed.
    if not await _TAKE_TURN.value(db):
        return None
    return await _GIVE_POSITIONS.rows(db, most=MOST_AT_ONCE, id=floor.id if floor else 0)


class Feed(NamedTuple):
    """The bounds of a tenant's feed. Its events are those behind `purged`, up to `last`; up to
    `purged` some are not there any more, or were never written.
    """

    is_read: bool
    read_at: datetime | None
    purged: int
    last: int


_FEED = write(
    sa.text("""
SELECT is_read, read_at, purged, greatest(purged, (
  SELECT max(position) FROM events WHERE events.tenant = listeners.tenant
)) FROM listeners WHERE tenant = :tenant
"""),
    Feed._make,
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
        sa.bindparam("now", type_=MOMENT),
        sa.bindparam("noted_before", type_=MOMENT),
    )
)
# How old the note may be that a feed was read: so few writes for however many reads.
_NOTED_EVERY: Final = timedelta(hours=1)


async def open_feed(db: asyncpg.Connection, tenant: str, now: datetime) -> tuple[Feed, bool]:
    """The bounds of the tenant's feed, noting that it is read: from now on events are written. And
    whether it was not read before: then those that were written are not of the feed.
    """
    feed = await _FEED.row(db, tenant=tenant)
    noted = feed is not None and feed.is_read and feed.read_at
    if not noted or noted < now - _NOTED_EVERY:
        await _LISTEN.run(db, tenant=tenant, now=now, noted_before=now - _NOTED_EVERY)
        feed = await _FEED.row(db, tenant=tenant)
    assert feed is not None
    return feed, not noted


# A statement locks the tables that it changes before it looks at anything, until it is committed
# (PostgreSQL, "Explicit Locking"; pg_locks): those that come later see who listens.
_CHANGES_UNDER_WAY = write(
    sa.text("""
SELECT virtualtransaction FROM pg_locks
WHERE relation IN ('files'::regclass, 'records'::regclass) AND mode = 'RowExclusiveLock'
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""),
    FIRST,
)


async def changes_under_way(db: asyncpg.Connection) -> set[str]:
    """Names of the transactions that are changing files or records now, whosever these are."""
    return set(await _CHANGES_UNDER_WAY.rows(db))


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


# Positions that one reading looks at: a narrow one has so many to leave out at most.
_LOOKED_AT: Final = 5000
_READ = write(
    sa.select(events)
    .where(
        visible(events),
        _e.position > sa.bindparam("after", type_=sa.BigInteger()),
        _e.position <= sa.bindparam("until", type_=sa.BigInteger()),
        sa.or_(_types.is_(None), _e.type == sa.any_(_types)),
    )
    .order_by(_e.position)
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    Event._make,
)


async def read_events(
    db: asyncpg.Connection,
    caller: Principal,
    after: int,
    last: int,
    types: Collection[str] | None,
    limit: int,
) -> tuple[list[Event], int]:
    """Events that the caller may see behind a position, up to the feed's last one, in order; and
    the position from which to read on. There may be more, also where there are fewer than `limit`.
    """
    until = min(after + _LOOKED_AT, last)
    found = await _READ.rows(
        db,
        after=after,
        until=until,
        types=None if types is None else list(types),
        limit=limit,
        **visible_to(caller),
    )
    if len(found) < limit:
        return found, max(after, until)
    assert found[-1].position is not None
    return found, found[-1].position


_OF_SUBJECT, _OF_REQUEST = (
    write(
        sa.select(events)
        .where(visible(events), column == sa.bindparam("wanted"))
        .order_by(_e.id.desc())
        .limit(sa.bindparam("limit", type_=sa.Integer())),
        Event._make,
    )
    for column in (_e.subject, _e.request_id)
)
# As the index of positions has it, backwards: what waits for its position comes first.
_NEWEST = write(
    sa.select(events)
    .where(visible(events))
    .order_by(_e.position.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    Event._make,
)


async def events_of(
    db: asyncpg.Connection, caller: Principal, subject: str, limit: int
) -> list[Event]:
    """Events of a file, by its id, or of a record, by `type/id`; newest first."""
    return await _OF_SUBJECT.rows(db, wanted=subject, limit=limit, **visible_to(caller))


async def events_of_request(
    db: asyncpg.Connection, caller: Principal, request_id: str, limit: int
) -> list[Event]:
    """Events that the request has caused, newest first."""
    return await _OF_REQUEST.rows(db, wanted=request_id, limit=limit, **visible_to(caller))


async def newest_events(db: asyncpg.Connection, caller: Principal, limit: int) -> list[Event]:
    """The newest events; this reads no feed, and so begins none."""
    return await _NEWEST.rows(db, limit=limit, **visible_to(caller))


_PURGE = write(
    sa.text("""
WITH oldest AS MATERIALIZED (
  SELECT * FROM events WHERE id > :after ORDER BY id LIMIT :most
), gone AS (
  DELETE FROM events USING oldest
  WHERE events.id = oldest.id AND oldest.created_at < :before AND events.position IS NOT NULL
    AND NOT EXISTS (
      SELECT FROM webhooks JOIN deliveries ON deliveries.webhook_id = webhooks.id
      WHERE webhooks.tenant = oldest.tenant AND webhooks.ended IS NULL
        AND deliveries.event = oldest.id AND deliveries.state = 'pending'
    )
  RETURNING events.id, events.tenant, events.position
), last AS (
  SELECT tenant, max(position) AS position FROM gone GROUP BY tenant
), noted AS (
  UPDATE listeners SET purged = greatest(purged, last.position) FROM last
  WHERE listeners.tenant = last.tenant
), done AS (
  DELETE FROM deliveries USING gone JOIN webhooks USING (tenant)
  WHERE deliveries.webhook_id = webhooks.id AND deliveries.event = gone.id
)
SELECT max(id) FROM oldest WHERE created_at < :before
""").bindparams(_before, sa.bindparam("after", type_=sa.BigInteger())),
    FIRST,
)
_END_READING = write(
    sa.text("UPDATE listeners SET is_read = false WHERE is_read AND read_at < :before").bindparams(
        _before
    )
)


async def purge(db: asyncpg.Connection, before: datetime, after: int) -> int | None:
    """Delete some events that are older, of those with a higher id than `after`, and their
    deliveries; but none that is still to be delivered to a webhook which is on. The id from which
    to go on, None where all is done.
    """
    found: int | None = await _PURGE.value(db, most=MOST_AT_ONCE, before=before, after=after)
    return found


async def end_reading(db: asyncpg.Connection, before: datetime) -> None:
    """No longer write events for feeds that nobody has read since then."""
    await _END_READING.run(db, before=before - _NOTED_EVERY)
