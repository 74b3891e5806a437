"""The SQL of scans, as functions of a connection: which files are due, and their verdicts.

A confirmed file that is due has a moment in `claimed_until`: whoever takes it up moves that on, as
a lease, and gives its verdict only while it still holds that.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.scans import Scan
from app.db.files import in_state
from app.db.statements import Statement, arguments, array, write
from app.db.tell import telling_of_file
from app.models.events import EventType
from app.models.files import File, State, files
from app.models.tables import MOMENT

_c = files.c
_now = sa.bindparam("now", type_=MOMENT)
_CONFIRMED = in_state(State.CONFIRMED)


def _judged(*verdicts: Scan) -> sa.ColumnElement[bool]:
    """Whether the file has one of these verdicts, or none."""
    written = [sa.literal_column(f"'{verdict.value}'", sa.Text()) for verdict in verdicts]
    return sa.or_(_c.scan.is_(None), _c.scan.in_(written))


_due = (
    sa.select(_c.id)
    .where(_CONFIRMED, _c.claimed_until.is_not(None), _c.claimed_until <= _now)
    .order_by(_c.claimed_until)
    .limit(sa.literal_column("1"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_CLAIM = write(
    sa.update(files)
    .where(_c.id == _due.c.id)
    .values(claimed_until=sa.bindparam("until", type_=MOMENT))
    .returning(files),
    File._make,
)


async def claim(db: asyncpg.Connection, now: datetime, until: datetime) -> File | None:
    """Claim, until the lease ends, the file that is due for longest; None where none is due."""
    return await _CLAIM.row(db, now=now, until=until)


_HELD = sa.and_(
    _c.id == sa.bindparam("file_id"),
    _CONFIRMED,
    _c.claimed_until.is_not_distinct_from(sa.bindparam("lease", type_=MOMENT)),
)
_POSTPONE = write(
    sa.update(files).where(_HELD).values(claimed_until=sa.bindparam("until", type_=MOMENT))
)


async def postpone(db: asyncpg.Connection, file: File, until: datetime | None) -> None:
    """Give back the claim that `file` holds: it is due again then, or not at all."""
    await _POSTPONE.run(db, file_id=file.id, lease=file.claimed_until, until=until)


_JUDGE: Statement[File] = telling_of_file(
    sa.update(files)
    .where(
        _HELD,
        _c.scan.is_not_distinct_from(sa.bindparam("scan_before", type_=sa.Text())),
        _c.scanned_at.is_not_distinct_from(sa.bindparam("scanned_before", type_=MOMENT)),
    )
    .values(**arguments(files, ["scan", "scan_reason", "scanned_at", "links_end_at"]))
    .values(claimed_until=sa.bindparam("until", type_=MOMENT)),
    sa.bindparam("event", type_=sa.Text()),
    moment="moved.scanned_at",
)


async def judge(
    db: asyncpg.Connection, file: File, judged: File, event: EventType | None
) -> File | None:
    """Store the verdict that `judged` has, with its claim, and tell of it by `event`.

    No row comes back if the file was claimed or judged by another since `file` was read.
    """
    return await _JUDGE.row(
        db,
        file_id=file.id,
        lease=file.claimed_until,
        scan_before=file.scan,
        scanned_before=file.scanned_at,
        scan=judged.scan,
        scan_reason=judged.scan_reason,
        scanned_at=judged.scanned_at,
        links_end_at=judged.links_end_at,
        until=judged.claimed_until,
        event=event,
    )


_OBJECT_GONE = write(
    sa.update(files)
    .where(_HELD)
    .values(claimed_until=sa.null(), links_end_at=sa.null(), ended_at=_now)
    .returning(files),
    File._make,
)


async def mark_object_gone(db: asyncpg.Connection, file: File, now: datetime) -> File | None:
    """Note that the object of an infected file was deleted, by whom holds its claim."""
    return await _OBJECT_GONE.row(db, file_id=file.id, lease=file.claimed_until, now=now)


_told = sa.select(
    array("buckets", sa.Text()).label("bucket"), array("keys", sa.Text()).label("key")
).subquery("told")
_NOTE = write(
    sa.update(files)
    .where(
        _c.bucket == _told.c.bucket,
        _c.key == _told.c.key,
        _CONFIRMED,
        _c.destination == sa.func.any(sa.bindparam("destinations", type_=ARRAY(sa.Text()))),
        # Of an infected one the object may be gone.
        _judged(Scan.PENDING, Scan.CLEAN, Scan.FAILED),
    )
    .values(claimed_until=_now)
)


async def note_told(
    db: asyncpg.Connection,
    names: Iterable[tuple[str, str]],
    destinations: Sequence[str],
    now: datetime,
) -> None:
    """Note that objects with these buckets and keys, of these destinations, are said to have been
    scanned: they are due now, whatever was said of them before.
    """
    # In one order, so that no two wait for each other.
    pairs = sorted(set(names))
    await _NOTE.run(
        db,
        buckets=[bucket for bucket, _ in pairs],
        keys=[key for _, key in pairs],
        destinations=list(destinations),
        now=now,
    )


_BEHIND = write(
    sa.select(files)
    .where(
        _CONFIRMED,
        _c.id > sa.bindparam("after", type_=sa.Uuid()),
        _c.destination == sa.func.any(sa.bindparam("destinations", type_=ARRAY(sa.Text()))),
        sa.or_(sa.bindparam("every", type_=sa.Boolean()), _judged(Scan.PENDING, Scan.FAILED)),
        # An infected one whose object is gone is judged for good.
        _c.ended_at.is_(None),
    )
    .order_by(_c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    File._make,
)


async def files_behind(
    db: asyncpg.Connection, after: UUID, destinations: Sequence[str], *, every: bool, limit: int
) -> list[File]:
    """Confirmed files of the destinations with ids behind this one, in order; only those that no
    scanner has judged yet, or failed to scan, unless `every` is asked for.
    """
    return await _BEHIND.rows(
        db, after=after, destinations=list(destinations), every=every, limit=limit
    )
