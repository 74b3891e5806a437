"""The SQL of what is delivered to webhooks, as functions of a connection.

Deliveries of one webhook and one subject (a file, a record) go one after another, in the order of
their events: only the first that is pending is tried. Whoever claims a later one finds the first by
an index, and puts the later one off for as long as that may take; whoever has delivered the first,
or has given it up, makes the next one due.

Rows that are known already are found by the primary key alone: `state` is not asked for there, or
the planner may take an index of what is pending and walk all of one webhook's.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.statements import FIRST, Statement, write
from app.models.events import Event, EventType, events
from app.models.tables import MOMENT
from app.models.webhooks import Delivery, Webhook, deliveries

_BIG: Final = sa.BigInteger()


def _text(sql: str, make: Any = tuple, **kinds: sa.types.TypeEngine[Any]) -> Statement[Any]:
    arguments = [sa.bindparam(name, type_=kind) for name, kind in kinds.items()]
    return write(sa.text(sql).bindparams(*arguments), make)


_FAN_OUT = _text(
    f"""
INSERT INTO deliveries (webhook_id, event, lane, due_at)
SELECT webhooks.id, events.id, encode(substring(
  sha256(convert_to(webhooks.id || '/' || events.subject, 'UTF8')) for 16), 'hex')::uuid, :now
FROM events JOIN webhooks ON webhooks.tenant = events.tenant
WHERE events.id = ANY (:ids) AND webhooks.ended IS NULL AND CASE events.type
  WHEN '{EventType.WEBHOOK_TEST}' THEN events.subject = 'webhook/' || webhooks.id
  ELSE (webhooks.types = '{{}}' OR events.type = ANY (webhooks.types))
   AND (webhooks.destinations = '{{}}' OR events.destination = ANY (webhooks.destinations)) END
""",  # noqa: S608
    now=MOMENT,
    ids=ARRAY(_BIG),
)


async def fan_out(db: asyncpg.Connection, ids: Sequence[int], now: datetime) -> None:
    """Have these events delivered to each webhook that is to hear of them."""
    await _FAN_OUT.run(db, ids=ids, now=now)


class Claimed(NamedTuple):
    """A delivery that may be tried until `lease`, and what is to be known for that."""

    webhook: Webhook
    event: Event
    failures: int
    lease: datetime


class Claim(NamedTuple):
    """The outcome of a claim: deliveries to try, and later ones of the same subjects as others."""

    claimed: list[Claimed]
    later: list[tuple[UUID, int, datetime]]


_WIDTH: Final = len(Webhook._fields)
_COLUMNS: Final = ", ".join(
    [*(f"w.{name}" for name in Webhook._fields), *(f"e.{name}" for name in Event._fields)]
)
_CLAIM = _text(
    f"""
WITH known AS (
  SELECT * FROM unnest(:ids, :limits) AS known (id, most)
), ready AS MATERIALIZED (
  SELECT webhooks.id, coalesce(known.most, :most) AS most
  FROM webhooks LEFT JOIN known USING (id)
  WHERE webhooks.ended IS NULL AND coalesce(known.most, :most) > 0 ORDER BY random()
), found AS MATERIALIZED (
  SELECT due.* FROM ready CROSS JOIN LATERAL (
    SELECT webhook_id, event, lane FROM deliveries
    WHERE webhook_id = ready.id AND state = 'pending' AND due_at <= :now
    ORDER BY due_at LIMIT ready.most FOR UPDATE SKIP LOCKED
  ) AS due LIMIT :total
), claimed AS (
  UPDATE deliveries AS d SET due_at = greatest(:lease, first.due_at)
  FROM found LEFT JOIN LATERAL (
    SELECT due_at FROM deliveries AS f
    WHERE f.lane = found.lane AND f.event < found.event AND f.state = 'pending'
    ORDER BY f.event LIMIT 1
  ) AS first ON true
  WHERE d.webhook_id = found.webhook_id AND d.event = found.event
  RETURNING d.webhook_id, d.event, d.failures, d.due_at, first.due_at IS NULL AS is_first
)
SELECT {_COLUMNS}, claimed.failures, claimed.due_at, claimed.is_first
FROM claimed JOIN webhooks AS w ON w.id = claimed.webhook_id
  JOIN events AS e ON e.id = claimed.event
ORDER BY e.id
""",  # noqa: S608
    now=MOMENT,
    lease=MOMENT,
    ids=ARRAY(sa.Uuid()),
    limits=ARRAY(sa.Integer()),
    most=sa.Integer(),
    total=sa.Integer(),
)


async def claim(
    db: asyncpg.Connection,
    now: datetime,
    lease: datetime,
    limits: dict[UUID, int],
    *,
    most: int,
    total: int,
) -> Claim:
    """Claim deliveries that are due until the lease ends: no more than these for each webhook (for
    others `most`), and about `total` in all.

    Commit it, then `free` the later ones.
    """
    rows = await _CLAIM.rows(
        db,
        now=now,
        lease=lease,
        ids=list(limits),
        limits=list(limits.values()),
        most=most,
        total=total,
    )
    found = Claim([], [])
    for row in rows:
        webhook, event = Webhook._make(row[:_WIDTH]), Event._make(row[_WIDTH:-3])
        if row[-1]:
            found.claimed.append(Claimed(webhook, event, row[-3], lease))
        else:
            found.later.append((webhook.id, event.id, row[-2]))
    return found


_FREE = _text(
    """
WITH later AS (
  SELECT d.webhook_id, d.event FROM unnest(:ids, :events, :put_off) AS l (webhook_id, event, due_at)
  JOIN deliveries AS d USING (webhook_id, event, due_at)
  WHERE NOT EXISTS (
    SELECT FROM deliveries AS f
    WHERE f.lane = d.lane AND f.event < d.event AND f.state = 'pending'
  ) FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries AS d SET due_at = :now FROM later
WHERE d.webhook_id = later.webhook_id AND d.event = later.event
""",
    now=MOMENT,
    ids=ARRAY(sa.Uuid()),
    events=ARRAY(_BIG),
    put_off=ARRAY(MOMENT),
)


async def free(
    db: asyncpg.Connection, later: Collection[tuple[UUID, int, datetime]], now: datetime
) -> None:
    """Make those due that are the first by now: what was before them may have been delivered while
    they were put off, by somebody who did not see that. Not those that somebody has claimed since.
    """
    if later:
        ids, numbers, put_off = (list(column) for column in zip(*later, strict=True))
        await _FREE.run(db, ids=ids, events=numbers, put_off=put_off, now=now)


class Settled(NamedTuple):
    """The outcome of a try, under the lease that it was claimed with."""

    webhook_id: UUID
    event: int
    lease: datetime
    state: str
    due_at: datetime
    tried_at: datetime
    status: int | None
    error: str | None
    took_ms: int


_SETTLED_KINDS: Final[dict[str, sa.types.TypeEngine[Any]]] = {
    "webhook_id": sa.Uuid(),
    "event": _BIG,
    "lease": MOMENT,
    "state": sa.Text(),
    "due_at": MOMENT,
    "tried_at": MOMENT,
    "status": sa.Integer(),
    "error": sa.Text(),
    "took_ms": sa.Integer(),
}
_SETTLE = _text(
    f"""
WITH told AS (
  SELECT * FROM unnest({", ".join(f":{name}" for name in Settled._fields)})
    AS told ({", ".join(Settled._fields)})
), settled AS (
  UPDATE deliveries AS d SET state = told.state, due_at = told.due_at,
    failures = d.failures + (told.error IS NOT NULL)::int,
    tried_at = told.tried_at, status = told.status, error = told.error, took_ms = told.took_ms
  FROM told WHERE d.webhook_id = told.webhook_id AND d.event = told.event
    AND d.due_at = told.lease
  RETURNING d.webhook_id, d.event, d.lane, d.state
), later AS MATERIALIZED (
  SELECT settled.webhook_id, l.event FROM settled CROSS JOIN LATERAL (
    SELECT event FROM deliveries AS l
    WHERE l.lane = settled.lane AND l.event > settled.event AND l.state = 'pending'
    ORDER BY l.event LIMIT 1
  ) AS l
  WHERE settled.state <> 'pending'
), next AS (
  UPDATE deliveries AS d SET due_at = :now FROM later
  WHERE d.webhook_id = later.webhook_id AND d.event = later.event
)
SELECT count(*) FROM settled
""",  # noqa: S608
    FIRST,
    now=MOMENT,
    **{name: ARRAY(kind) for name, kind in _SETTLED_KINDS.items()},
)


async def settle(db: asyncpg.Connection, tries: Sequence[Settled], now: datetime) -> int:
    """Write what became of the tries, except of those whose lease has lapsed; of how many.

    Repeating it does nothing.
    """
    columns = dict(zip(Settled._fields, map(list, zip(*tries, strict=True)), strict=True))
    count: int = await _SETTLE.value(db, now=now, **columns)
    return count


_PAGE = write(
    sa.select(deliveries, events)
    .join_from(deliveries, events, events.c.id == deliveries.c.event)
    .where(
        deliveries.c.webhook_id == sa.bindparam("webhook_id"),
        sa.or_(
            sa.bindparam("state", type_=sa.Text()).is_(None),
            deliveries.c.state == sa.bindparam("state", type_=sa.Text()),
        ),
        deliveries.c.event < sa.bindparam("before", type_=_BIG),
    )
    .order_by(deliveries.c.event.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    lambda row: (
        Delivery._make(row[: len(Delivery._fields)]),
        Event._make(row[len(Delivery._fields) :]),
    ),
)


async def list_deliveries(
    db: asyncpg.Connection, webhook_id: UUID, state: str | None, before: int, limit: int
) -> list[tuple[Delivery, Event]]:
    """Deliveries of the webhook with their events, those of the newest events first."""
    return await _PAGE.rows(db, webhook_id=webhook_id, state=state, before=before, limit=limit)


_RESEND_ONE, _RESEND_DEAD = (
    _text(
        f"""
WITH again AS (
  UPDATE deliveries AS d SET state = 'pending', failures = 0, due_at = :now FROM events AS e
  WHERE d.webhook_id = :webhook_id AND e.id = d.event AND {which} RETURNING d.event
) SELECT count(*) FROM again
""",  # noqa: S608
        FIRST,
        now=MOMENT,
        webhook_id=sa.Uuid(),
        **kinds,
    )
    for which, kinds in (
        ("e.event_id = :event_id", {"event_id": sa.Uuid()}),
        ("d.state = 'dead' AND e.created_at >= :since", {"since": MOMENT}),
    )
)


async def resend_one(
    db: asyncpg.Connection, webhook_id: UUID, event_id: UUID, now: datetime
) -> int:
    """Have the event delivered to the webhook once more, whatever became of it; 1, or 0 where it
    was not for this webhook or is not kept any more.
    """
    count: int = await _RESEND_ONE.value(db, webhook_id=webhook_id, event_id=event_id, now=now)
    return count


async def resend_dead(
    db: asyncpg.Connection, webhook_id: UUID, since: datetime, now: datetime
) -> int:
    """Have all that was given up of what happened since then delivered once more; how many."""
    count: int = await _RESEND_DEAD.value(db, webhook_id=webhook_id, since=since, now=now)
    return count
