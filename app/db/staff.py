"""The SQL of staff, their sessions and their attempts to sign in, as functions of a connection."""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.db.statements import arguments, write
from app.models.staff import Staff, StaffSession, sign_in_attempts, staff, staff_sessions
from app.models.tables import MOMENT

_t, _s, _a = staff.c, staff_sessions.c, sign_in_attempts.c
_name = sa.bindparam("of_name", type_=sa.Text())
_now = sa.bindparam("now", type_=MOMENT)


_INSERT = write(
    insert(staff)
    .values(arguments(staff, Staff._fields))
    .on_conflict_do_nothing(index_elements=["name"])
    .returning(_t.id)
)


async def insert_staff(db: asyncpg.Connection, row: Staff) -> bool:
    """Store a member of staff; False where the name is taken."""
    return await _INSERT.value(db, **row._asdict()) is not None


_LIST = write(sa.select(staff).order_by(_t.tenant, _t.name), Staff._make)


async def list_staff(db: asyncpg.Connection) -> list[Staff]:
    """All staff, of all tenants, by name."""
    return await _LIST.rows(db)


_BY_NAME = write(sa.select(staff).where(_t.name == _name), Staff._make)


async def staff_by_name(db: asyncpg.Connection, name: str) -> Staff | None:
    """The member of staff of that name, None where there is none."""
    return await _BY_NAME.row(db, of_name=name)


_SET_PASSWORD = write(
    sa.update(staff)
    .where(_t.name == _name)
    .values(password_hash=sa.bindparam("new_hash", type_=sa.Text()))
    .returning(_t.id)
)
_SET_DISABLED = write(
    sa.update(staff)
    .where(_t.name == _name)
    .values(disabled_at=sa.bindparam("moment", type_=MOMENT))
    .returning(_t.id)
)


async def set_password(db: asyncpg.Connection, name: str, password_hash: str) -> UUID | None:
    """Set the password; the id of the member of staff, None where there is none of that name."""
    found: UUID | None = await _SET_PASSWORD.value(db, of_name=name, new_hash=password_hash)
    return found


async def set_disabled(db: asyncpg.Connection, name: str, moment: datetime | None) -> UUID | None:
    """Disable a member of staff, or with no moment let them sign in again.

    Returns their id, None where there is none of that name.
    """
    found: UUID | None = await _SET_DISABLED.value(db, of_name=name, moment=moment)
    return found


_INSERT_SESSION = write(
    insert(staff_sessions).values(arguments(staff_sessions, StaffSession._fields))
)
_FORGET_ENDED = write(sa.delete(staff_sessions).where(_s.expires_at < _now))


async def insert_session(db: asyncpg.Connection, session: StaffSession) -> None:
    """Begin a session, and forget those that have ended."""
    await _FORGET_ENDED.run(db, now=session.created_at)
    await _INSERT_SESSION.run(db, **session._asdict())


_VALID: Final = sa.and_(
    _s.revoked_at.is_(None),
    _s.expires_at > _now,
    _s.seen_at > sa.bindparam("idle_since", type_=MOMENT),
    _t.disabled_at.is_(None),
)
_BY_TOKEN = write(
    sa.select(staff, _s.seen_at)
    .join(staff_sessions, _s.staff_id == _t.id)
    .where(_s.token_hash == sa.bindparam("token_hash"), _VALID)
)
_NOTE_SEEN = write(
    sa.update(staff_sessions)
    .where(_s.token_hash == sa.bindparam("of_token"))
    .values(seen_at=sa.func.greatest(_s.seen_at, _now))
)


async def staff_by_session(
    db: asyncpg.Connection, token_hash: bytes, now: datetime, idle_since: datetime
) -> tuple[Staff, datetime] | None:
    """The member of staff whose valid session it is, and when its use was last noted."""
    row = await _BY_TOKEN.row(db, token_hash=token_hash, now=now, idle_since=idle_since)
    return None if row is None else (Staff._make(row[:-1]), row[-1])


async def note_seen(db: asyncpg.Connection, token_hash: bytes, now: datetime) -> None:
    await _NOTE_SEEN.run(db, of_token=token_hash, now=now)


_REVOKE = write(
    sa.update(staff_sessions)
    .where(_s.token_hash == sa.bindparam("of_token"), _s.revoked_at.is_(None))
    .values(revoked_at=_now)
)
_REVOKE_ALL = write(
    sa.update(staff_sessions)
    .where(_s.staff_id == sa.bindparam("of_staff"), _s.revoked_at.is_(None), _s.expires_at > _now)
    .values(revoked_at=_now)
    .returning(_s.id)
)


async def revoke_session(db: asyncpg.Connection, token_hash: bytes, now: datetime) -> None:
    await _REVOKE.run(db, of_token=token_hash, now=now)


async def revoke_sessions(db: asyncpg.Connection, staff_id: UUID, now: datetime) -> int:
    """End all sessions of one member of staff; how many there were."""
    return len(await _REVOKE_ALL.rows(db, of_staff=staff_id, now=now))


_subject = sa.bindparam("of_subject", type_=sa.Text())
_ends = sa.bindparam("ends", type_=MOMENT)
_one: sa.ColumnElement[int] = sa.literal_column("1", sa.Integer())
_over = _a.ends_at <= _now
_ATTEMPT = write(
    insert(sign_in_attempts)
    .values(subject=_subject, attempts=_one, ends_at=_ends)
    .on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "attempts": sa.case((_over, _one), else_=_a.attempts + _one),
            "ends_at": sa.case((_over, _ends), else_=_a.ends_at),
        },
    )
    .returning(_a.attempts, _a.ends_at)
)
_FORGET_ATTEMPTS = write(sa.delete(sign_in_attempts).where(_over))


async def forget_attempts(db: asyncpg.Connection, now: datetime) -> None:
    """Delete the counts whose time is over."""
    await _FORGET_ATTEMPTS.run(db, now=now)


async def count_attempt(
    db: asyncpg.Connection, subject: str, now: datetime, ends: datetime
) -> tuple[int, datetime]:
    """Count one more; returns how many there are now, and when the count begins anew."""
    [(attempts, ends_at)] = await _ATTEMPT.rows(db, of_subject=subject, now=now, ends=ends)
    return attempts, ends_at


_by_address = sa.bindparam("by_address", type_=sa.Text())
_CLEAR_ATTEMPTS = write(
    sa.delete(sign_in_attempts).where(
        sa.or_(_a.subject == _subject, sa.func.starts_with(_a.subject, _by_address))
    )
)
_UNCOUNT_ATTEMPT = write(
    sa.update(sign_in_attempts)
    .where(_a.subject == _subject, _a.attempts >= _one)
    .values(attempts=_a.attempts - _one)
)


async def clear_attempts(db: asyncpg.Connection, subject: str) -> None:
    """Forget all attempts, also those of an account that were counted by address."""
    await _CLEAR_ATTEMPTS.run(db, of_subject=subject, by_address=f"{subject}\n")


async def uncount_attempt(db: asyncpg.Connection, subject: str) -> None:
    """Count one less."""
    await _UNCOUNT_ATTEMPT.run(db, of_subject=subject)
