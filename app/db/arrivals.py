"""The SQL of uploads that confirm themselves, as functions of a connection."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from app.core.deadlines import FIRST_LOOK
from app.db.files import in_state, literal
from app.db.statements import array, write
from app.db.sweep import NOT_IN_SKIPPED_PLACES, Place, excluding
from app.db.usage_changes import noted
from app.models.files import File, State, files
from app.models.tables import MOMENT

_c = files.c
_now = sa.bindparam("now", type_=MOMENT)

# After as long again as it is since something was signed for it, at least a few seconds, more or
# less: few looks, and not of many at once. No row says when that was; it was no earlier than the
# longest lifetime of what is signed before the end of that. While that moment is to come, it says
# nothing: the lifetime was longer then.
_signed_at = _c.expires_at - sa.bindparam("lifetime", type_=sa.Interval())
_since = sa.func.greatest(_c.created_at, sa.case((_signed_at <= _now, _signed_at)))
_age = sa.func.greatest(_now - _since, sa.bindparam("least_pause", type_=sa.Interval()))
# Drawn in the CTE, so once for each row: a CASE and its condition would draw one each.
_spread = sa.literal_column("0.75 + 0.5 * random()", sa.Float())
_due = (
    sa.select(_c.id, _spread.label("spread"))
    .where(
        in_state(State.PENDING),
        _c.look_at < sa.bindparam("due_before", type_=MOMENT),
        # Else a sweep has it, which ends it.
        _c.claimed_until.is_(None),
        NOT_IN_SKIPPED_PLACES,
    )
    .order_by(_c.look_at)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_next = _now + _age * _due.c.spread
_CLAIM_LOOKS = write(
    sa.update(files)
    .where(_c.id == _due.c.id)
    .values(look_at=sa.case((_next < _c.expires_at, _next)))
    .returning(files),
    File._make,
)


async def claim_looks(
    db: asyncpg.Connection,
    due_before: datetime,
    now: datetime,
    lifetime: timedelta,
    limit: int,
    skipped: Collection[Place] = (),
) -> list[File]:
    """Take pending uploads that were to be looked for before a moment; each already has the moment
    of its next look, or none where its instructions end sooner. They stay pending. Nothing that is
    signed works for longer than `lifetime`.
    """
    return await _CLAIM_LOOKS.rows(
        db,
        due_before=due_before,
        now=now,
        least_pause=FIRST_LOOK,
        lifetime=lifetime,
        limit=limit,
        **excluding(skipped),
    )


_told = sa.select(
    array("buckets", sa.Text()).label("bucket"), array("keys", sa.Text()).label("key")
).subquery("told")
_NOTE_ARRIVALS = write(
    sa.update(files)
    .where(_c.bucket == _told.c.bucket, _c.key == _told.c.key, in_state(State.PENDING))
    .values(look_at=_now)
    .returning(files),
    File._make,
)


async def note_arrivals(
    db: asyncpg.Connection, names: Iterable[tuple[str, str]], now: datetime
) -> list[File]:
    """Note that objects with these buckets and keys are said to be there; those that are pending.

    The sweep looks for each at once, whatever becomes of whoever calls this.
    """
    # In one order, so that no two wait for each other.
    pairs = sorted(set(names))
    return await _NOTE_ARRIVALS.rows(
        db, buckets=[bucket for bucket, _ in pairs], keys=[key for _, key in pairs], now=now
    )


_deleted = (
    sa.delete(files)
    .where(_c.id == sa.bindparam("file_id", type_=sa.Uuid()))
    .returning(files)
    .cte("deleted")
)
_counted = (
    sa.select(_deleted)
    .where(_deleted.c.state.not_in([literal(State.RELEASED), literal(State.REMOVED)]))
    .cte("counted")
)
_DELETE_PROBE = write(sa.select(_deleted.c.id).add_cte(noted(_counted, State.REMOVED)))


async def delete_probe(db: asyncpg.Connection, file_id: UUID) -> None:
    """Delete the row of an upload that the doctor has announced, whatever became of it."""
    await _DELETE_PROBE.run(db, file_id=file_id)
