"""The SQL of the sweep, as functions of a connection.

Rows are claimed a few at a time, past those that another sweeper is claiming at the same moment.
Each statement walks a partial index of nothing but what there is to sweep, and leaves out the
places that are skipped.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.db.files import in_state
from app.db.statements import Statement, array, write
from app.models.credentials import unsized_uploads, upload_sessions
from app.models.files import File, State, SweepTotal, files, sweep_totals
from app.models.tables import MOMENT

_c = files.c
_lapsed_before = sa.bindparam("lapsed_before", type_=MOMENT)
_limit = sa.bindparam("limit", type_=sa.Integer())


class Place(NamedTuple):
    """Where a file's object is: a failure with one file there may happen with all."""

    bucket: str
    destination: str


NOT_IN_SKIPPED_PLACES: Final = sa.tuple_(_c.bucket, _c.destination).not_in(
    sa.select(array("skipped_buckets", sa.Text()), array("skipped_destinations", sa.Text()))
)


def excluding(skipped: Collection[Place]) -> dict[str, list[str]]:
    """The arguments of `NOT_IN_SKIPPED_PLACES`."""
    return {
        "skipped_buckets": [place.bucket for place in skipped],
        "skipped_destinations": [place.destination for place in skipped],
    }


def _claim(state: State, *where: sa.ColumnElement[bool], first: sa.Column[Any]) -> Statement[File]:
    """Put a lease on some files in a state, in an order, without waiting for anybody's locks."""
    # A CTE is evaluated once; a subquery might be again, and then lock more than it returns.
    picked = (
        sa.select(_c.id)
        .where(in_state(state), *where, NOT_IN_SKIPPED_PLACES)
        .order_by(first)
        .limit(_limit)
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    return write(
        sa.update(files)
        .where(_c.id == picked.c.id)
        .values(claimed_until=sa.bindparam("until", type_=MOMENT))
        .returning(files),
        File._make,
    )


_CLAIM_ABANDONED = _claim(
    State.PENDING,
    _c.expires_at < sa.bindparam("expired_before", type_=MOMENT),
    sa.or_(
        _c.method != sa.literal_column("'multipart'"),
        _c.expires_at < sa.bindparam("paused_before", type_=MOMENT),
    ),
    sa.or_(_c.claimed_until.is_(None), _c.claimed_until < _lapsed_before),
    first=_c.expires_at,
)


async def claim_abandoned(
    db: asyncpg.Connection,
    expired_before: datetime,
    paused_before: datetime,
    lapsed_before: datetime,
    until: datetime,
    limit: int,
    skipped: Collection[Place] = (),
) -> list[File]:
    """Claim pending uploads whose instructions ended before a moment; they stay pending.

    Uploads in parts have until `paused_before`: they may be paused, and go on with new URLs.

    Not those on which another sweeper's lease ended later than `lapsed_before`.
    """
    return await _CLAIM_ABANDONED.rows(
        db,
        expired_before=expired_before,
        paused_before=paused_before,
        lapsed_before=lapsed_before,
        until=until,
        limit=limit,
        **excluding(skipped),
    )


_u = unsized_uploads.c
_s = upload_sessions.c
_ended_sessions = sa.bindparam("session_ids", type_=ARRAY(sa.Uuid()))
_CLAIM_ENDED = _claim(
    State.PENDING,
    _c.id.in_(
        sa.select(_u.file_id)
        .join(upload_sessions, _u.session_id == _s.id)
        .where(
            sa.or_(_ended_sessions.is_(None), _u.session_id == sa.any_(_ended_sessions)),
            sa.or_(_s.revoked_at.is_not(None), _s.expires_at <= sa.bindparam("now", type_=MOMENT)),
        )
    ),
    sa.or_(_c.claimed_until.is_(None), _c.claimed_until < _lapsed_before),
    first=_c.id,
)


async def claim_ended(
    db: asyncpg.Connection,
    now: datetime,
    lapsed_before: datetime,
    until: datetime,
    limit: int,
    skipped: Collection[Place] = (),
    session_ids: Sequence[UUID] | None = None,
) -> list[File]:
    """Claim pending uploads of unknown size whose session has ended; they stay pending.

    None: of any session. Not those on which another's lease ended later than `lapsed_before`.
    """
    return await _CLAIM_ENDED.rows(
        db,
        now=now,
        lapsed_before=lapsed_before,
        until=until,
        limit=limit,
        session_ids=session_ids,
        **excluding(skipped),
    )


_closed = (
    sa.select(_u.file_id)
    .join(files, _u.file_id == _c.id)
    .where(sa.not_(in_state(State.PENDING, State.COMPLETING)))
    # Whoever signs parts holds other such rows, and waits for no lock of ours.
    .with_for_update(of=unsized_uploads, skip_locked=True)
)
_FORGET_CLOSED = write(sa.delete(unsized_uploads).where(_u.file_id.in_(_closed)))


async def forget_closed(db: asyncpg.Connection) -> None:
    """Forget what sessions will not pay for any more: uploads that are files by now, or gone."""
    await _FORGET_CLOSED.run(db)


_CLAIM_LAPSED: Final = {
    state: _claim(state, _c.claimed_until < _lapsed_before, first=_c.claimed_until)
    for state in (State.REMOVING, State.REJECTED, State.REMOVED)
}


async def claim_lapsed(
    db: asyncpg.Connection,
    state: State,
    lapsed_before: datetime,
    until: datetime,
    limit: int,
    skipped: Collection[Place] = (),
) -> list[File]:
    """Claim what is due since before a moment, by state: removals that were cut short, rejected
    uploads whose objects should have gone, tombstones that should have been looked at.
    """
    return await _CLAIM_LAPSED[state].rows(
        db, lapsed_before=lapsed_before, until=until, limit=limit, **excluding(skipped)
    )


_STALLED = write(
    sa.select(files)
    .where(
        in_state(State.COMPLETING),
        _c.claimed_until >= sa.bindparam("after", type_=MOMENT),
        _c.claimed_until < _lapsed_before,
        NOT_IN_SKIPPED_PLACES,
    )
    .order_by(_c.claimed_until)
    .limit(_limit),
    File._make,
)


async def stalled_completions(
    db: asyncpg.Connection,
    after: datetime,
    lapsed_before: datetime,
    limit: int,
    skipped: Collection[Place] = (),
) -> list[File]:
    """Completions whose leases ended between two moments, the oldest first.

    Not claimed: completing them is a claim of its own (app.uploads.join).
    """
    return await _STALLED.rows(
        db, after=after, lapsed_before=lapsed_before, limit=limit, **excluding(skipped)
    )


_is_in_parts = _c.method == sa.literal_column("'multipart'")
_ENDED_BETWEEN = write(
    sa.select(files)
    .where(
        _c.id > sa.bindparam("after", type_=sa.Uuid()),
        _c.id < sa.bindparam("end", type_=sa.Uuid()),
        sa.or_(
            sa.and_(
                in_state(State.CONFIRMED),
                sa.or_(_c.version_id.is_not(None), _is_in_parts, _c.ended_at.is_not(None)),
            ),
            # Whose object is kept.
            sa.and_(in_state(State.REJECTED, State.RELEASED), _is_in_parts),
        ),
    )
    .order_by(_c.id)
    .limit(_limit),
    File._make,
)


async def ended_between(db: asyncpg.Connection, after: UUID, end: UUID, limit: int) -> list[File]:
    """Files with a version, sent in parts, or infected and deleted, and what came in parts and
    was rejected or released, whose ids lie between the two, in order.
    """
    return await _ENDED_BETWEEN.rows(db, after=after, end=end, limit=limit)


_of_this_look = sa.and_(
    _c.id == sa.bindparam("file_id", type_=sa.Uuid()),
    in_state(State.REMOVED),
    _c.claimed_until == sa.bindparam("lease", type_=MOMENT),
)
_LOOK_AGAIN = write(
    sa.update(files)
    .where(_of_this_look)
    .values(claimed_until=sa.bindparam("look_at", type_=MOMENT))
    .returning(_c.id)
)
_PURGE = write(sa.delete(files).where(_of_this_look).returning(_c.id))


async def look_again(db: asyncpg.Connection, file: File, look_at: datetime) -> bool:
    """Have the tombstone, whose lease `file` holds, looked at again from then on.

    False if another has it by now.
    """
    lease = file.claimed_until
    return await _LOOK_AGAIN.value(db, file_id=file.id, lease=lease, look_at=look_at) is not None


async def purge(db: asyncpg.Connection, file: File) -> bool:
    """Forget the tombstone, whose lease `file` holds; False if another has it by now."""
    return await _PURGE.value(db, file_id=file.id, lease=file.claimed_until) is not None


_added = insert(sweep_totals).from_select(
    ["outcome", "total", "changed_at"],
    sa.select(
        array("outcomes", sa.Text()),
        array("counts", sa.BigInteger()),
        sa.bindparam("now", type_=MOMENT),
    ),
)
_ADD_TOTALS = write(
    _added.on_conflict_do_update(
        index_elements=["outcome"],
        set_={
            "total": sweep_totals.c.total + _added.excluded.total,
            "changed_at": _added.excluded.changed_at,
        },
    )
)
_TOTALS = write(sa.select(sweep_totals), SweepTotal._make)


async def add_totals(db: asyncpg.Connection, counts: Mapping[str, int], now: datetime) -> None:
    """Add what a sweep has done. In one order, so that no two wait for each other."""
    outcomes = sorted(counts)
    added = [counts[outcome] for outcome in outcomes]
    await _ADD_TOTALS.run(db, outcomes=outcomes, counts=added, now=now)


async def totals(db: asyncpg.Connection) -> list[SweepTotal]:
    """The totals of all sweeps."""
    return await _TOTALS.rows(db)
