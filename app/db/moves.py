"""Every move of a file between states, as a function of a connection.

Each is a single conditional statement: whoever gets a row back has made the move. Those that
others care about write an event as well (`app.db.tell`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import sqlalchemy as sa

from app.db.files import LOOSE, in_state, literal
from app.db.statements import Statement, arguments, write
from app.db.tell import REMOVED, telling_of_file
from app.models.events import EventType
from app.models.files import File, State, files, states_before
from app.models.tables import MOMENT

_c = files.c


def _change(where: sa.ColumnElement[bool], **values: Any) -> sa.Update:
    """One conditional change of one owner's file."""
    return (
        sa.update(files)
        .where(_c.id == sa.bindparam("file_id"), _c.owner == sa.bindparam("of_owner"), where)
        .values(**values)
    )


def _update(where: sa.ColumnElement[bool], **values: Any) -> Statement[File]:
    """The change as a statement; no row comes back unless it applied."""
    return write(_change(where, **values).returning(files), File._make)


async def _move_row(
    db: asyncpg.Connection, statement: Statement[File], file: File, **values: Any
) -> File | None:
    return await statement.row(db, file_id=file.id, of_owner=file.owner, **values)


# What each of these moves tells those who listen.
_TELLS: Final[dict[State, EventType | sa.ColumnElement[str]]] = {
    State.CONFIRMED: EventType.FILE_CONFIRMED,
    State.REJECTED: EventType.FILE_REJECTED,
    State.RELEASED: EventType.FILE_RELEASED,
    State.REMOVED: REMOVED,
}


def _move(to: State, *columns: str, only: Sequence[sa.ColumnElement[bool]] = ()) -> Statement[File]:
    """A move between states, from every state from which `app.models.files.MOVES` allows it; with
    its event, and what it changes in its owner's use.
    """
    condition = sa.and_(in_state(*states_before(to)), *only)
    change = _change(condition, state=literal(to), **arguments(files, columns))
    return telling_of_file(change, _TELLS[to], to)


_EXTEND = _update(
    in_state(State.PENDING),
    expires_at=sa.func.greatest(_c.expires_at, sa.bindparam("expires_at", type_=MOMENT)),
    # The earlier one, where both are known.
    look_at=sa.func.least(_c.look_at, sa.bindparam("look_at", type_=MOMENT)),
)


async def extend_upload(
    db: asyncpg.Connection, file: File, expires_at: datetime, look_at: datetime | None = None
) -> File | None:
    """Note that something signed for the pending upload works until then, and that it is looked for
    at `look_at`, where nobody would look for it sooner.
    """
    return await _move_row(db, _EXTEND, file, expires_at=expires_at, look_at=look_at)


_LEARN_UPLOAD = _update(
    sa.and_(in_state(State.PENDING), _c.store_upload_id.is_(None)),
    **arguments(files, ["store_upload_id"]),
)


async def learn_upload(db: asyncpg.Connection, file: File, store_upload_id: str) -> File | None:
    """Note the store's id of a multipart upload, unless one is known already."""
    return await _move_row(db, _LEARN_UPLOAD, file, store_upload_id=store_upload_id)


def _lease_ended(state: State) -> sa.ColumnElement[bool]:
    """Claimed by a worker whose lease ran out."""
    return sa.and_(in_state(state), _c.claimed_until < sa.bindparam("now", type_=MOMENT))


_CLAIM_COMPLETION = _update(
    sa.or_(in_state(State.PENDING), _lease_ended(State.COMPLETING)),
    state=literal(State.COMPLETING),
    **arguments(files, ["claimed_until", "part_size", "part_count"]),
)


async def claim_completion(
    db: asyncpg.Connection,
    file: File,
    part_size: int,
    now: datetime,
    until: datetime,
    part_count: int | None = None,
) -> File | None:
    """Claim the completion of a multipart upload until the lease ends."""
    return await _move_row(
        db,
        _CLAIM_COMPLETION,
        file,
        part_size=part_size,
        part_count=part_count,
        now=now,
        claimed_until=until,
    )


_HOLDS_LEASE = _c.claimed_until == sa.bindparam("lease", type_=MOMENT)
_ABANDON_COMPLETION = _update(
    sa.and_(in_state(*states_before(State.PENDING)), _HOLDS_LEASE),
    state=literal(State.PENDING),
    **arguments(files, ["claimed_until", "part_count"]),
)


async def abandon_completion(db: asyncpg.Connection, file: File) -> File | None:
    """Back to pending: the bucket refused, and has joined nothing."""
    return await _move_row(
        db, _ABANDON_COMPLETION, file, lease=file.claimed_until, claimed_until=None, part_count=None
    )


_FROM_BUCKET: Final = (
    "size",
    "content_type",
    "announced_type",
    "charset",
    "detected_type",
    "etag",
    "version_id",
    "checksum_sha256",
    "checksum_verified",
    "parts_verified",
    "confirmed_at",
    "sealed",
    "self_confirmed",
    "scan",
    "image",
    "archive",
)
# What was released is taken back by `mark_restored` alone.
_CONFIRM = _move(
    State.CONFIRMED,
    *_FROM_BUCKET,
    "claimed_until",
    only=[in_state(State.PENDING, State.COMPLETING)],
)


async def mark_confirmed(
    db: asyncpg.Connection, file: File, scan_at: datetime | None = None
) -> File | None:
    """Move to confirmed, with what the bucket answered, as `file` has it; a worker scans it from
    `scan_at` on, where that is said.
    """
    found = {column: getattr(file, column) for column in _FROM_BUCKET}
    return await _move_row(db, _CONFIRM, file, claimed_until=scan_at, **found)


_TAKE = _update(sa.and_(in_state(State.CONFIRMED), _c.self_confirmed), self_confirmed=sa.false())


async def take_confirmed(db: asyncpg.Connection, file: File) -> File | None:
    """Note that a client has confirmed what had confirmed itself; no row if one has before."""
    return await _move_row(db, _TAKE, file)


# Only from the state in which the reason was found: what was missing may be what another call is
# joining by now.
_REJECT = _move(
    State.REJECTED,
    *("reason", "detected_type", "ended_at", "claimed_until"),
    only=[_c.state == sa.bindparam("from_state", type_=sa.Text())],
)


async def mark_rejected(
    db: asyncpg.Connection, file: File, reason: str, now: datetime, clear_by: datetime | None = None
) -> File | None:
    """Move to rejected; if its object has not gone by `clear_by`, the sweep takes it away."""
    return await _move_row(
        db,
        _REJECT,
        file,
        from_state=file.state,
        reason=reason,
        detected_type=file.detected_type,
        ended_at=now,
        claimed_until=clear_by,
    )


_RELEASE = _move(State.RELEASED, "ended_at", only=[LOOSE])


async def mark_released(db: asyncpg.Connection, file: File, now: datetime) -> File | None:
    """Move to released, unless a record holds the file."""
    return await _move_row(db, _RELEASE, file, ended_at=now)


# No column says when a file was taken back.
_RESTORE = telling_of_file(
    sa.update(files)
    .where(
        _c.id == sa.bindparam("file_id"),
        _c.owner == sa.bindparam("of_owner"),
        in_state(State.RELEASED),
    )
    .values(
        state=literal(State.CONFIRMED),
        ended_at=sa.null(),
        # Of one that was to be scanned when it was released the moment is still there.
        claimed_until=sa.func.coalesce(_c.claimed_until, sa.bindparam("scan_at", type_=MOMENT)),
    ),
    EventType.FILE_RESTORED,
    State.CONFIRMED,
    was_pending=False,
    moment="now()",
)


async def mark_restored(
    db: asyncpg.Connection, file: File, scan_at: datetime | None = None
) -> File | None:
    """Move a released file back to confirmed; a worker scans it from `scan_at` on, if that is said.

    It counts as its owner's again, whatever they may have: whoever takes it back decides.
    """
    return await _move_row(db, _RESTORE, file, scan_at=scan_at)


def _claim(*states: State, only: Sequence[sa.ColumnElement[bool]] = ()) -> Statement[File]:
    """Take a removal: from one of these states, or from a worker whose lease ran out.

    Never of a file that a record holds.
    """
    return _update(
        sa.or_(sa.and_(in_state(*states), LOOSE, *only), _lease_ended(State.REMOVING)),
        state=literal(State.REMOVING),
        **arguments(files, ["claimed_until"]),
    )


_CLAIM_FILE = _claim(State.CONFIRMED)
_CLAIM_UPLOAD = _claim(
    State.PENDING, State.REJECTED, only=[_c.expires_at <= sa.bindparam("expired_by", type_=MOMENT)]
)
_ANY_TIME: Final = datetime.max.replace(tzinfo=UTC)


async def claim_file_removal(
    db: asyncpg.Connection, file: File, now: datetime, until: datetime
) -> File | None:
    """Claim the removal of a confirmed file's object until the lease ends."""
    return await _move_row(db, _CLAIM_FILE, file, now=now, claimed_until=until)


async def claim_upload_removal(
    db: asyncpg.Connection,
    file: File,
    now: datetime,
    until: datetime,
    expired_by: datetime = _ANY_TIME,
) -> File | None:
    """Claim the removal of what an upload that never became a file has sent, until the lease ends.

    Not if its instructions work for longer than `expired_by`.
    """
    return await _move_row(
        db, _CLAIM_UPLOAD, file, now=now, claimed_until=until, expired_by=expired_by
    )


_MOVE_LEASE = _update(
    sa.and_(in_state(State.COMPLETING, State.REMOVING), _HOLDS_LEASE),
    **arguments(files, ["claimed_until"]),
)


async def move_lease(db: asyncpg.Connection, file: File, until: datetime) -> File | None:
    """Extend the lease that `file` holds, or end it at once; no row if another has it."""
    return await _move_row(db, _MOVE_LEASE, file, lease=file.claimed_until, claimed_until=until)


_FINISH_REMOVAL = _move(State.REMOVED, "ended_at", "claimed_until")


async def finish_removal(
    db: asyncpg.Connection, file: File, now: datetime, look_at: datetime
) -> File | None:
    """Leave a tombstone, which the sweep looks at again from `look_at` on."""
    return await _move_row(db, _FINISH_REMOVAL, file, ended_at=now, claimed_until=look_at)
