"""The SQL of API keys and upload sessions, as functions of a connection.

They are stored in `app.db.makers`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate

from app.core.principal import Principal, SessionBounds
from app.db.files import inserting
from app.db.idempotency import first_of_key, kept_with, of_keys
from app.db.statements import FIRST, Statement, arrays, or_any, rows_of, visible_to, write
from app.db.usage_changes import noted
from app.models.credentials import ApiKey, UploadSession, api_keys, file_requests, upload_sessions
from app.models.files import File, State, files
from app.models.idempotency import IdempotencyKey
from app.models.tables import MOMENT

_k = api_keys.c
_s = upload_sessions.c

# How old "last used" may be: not every request is worth a write.
USED_EVERY: Final = timedelta(minutes=1)


_KEY_BY_HASH = write(
    sa.select(api_keys).where(_k.token_hash == sa.bindparam("token_hash")), ApiKey._make
)
_KEY_USED = write(
    sa.update(api_keys)
    .where(
        _k.id == sa.bindparam("key_id"),
        sa.or_(_k.last_used_at.is_(None), _k.last_used_at < sa.bindparam("before", type_=MOMENT)),
    )
    .values(last_used_at=sa.bindparam("now", type_=MOMENT))
)


async def use_api_key(db: asyncpg.Connection, token_hash: bytes, now: datetime) -> ApiKey | None:
    """The key of that hash, in whatever state it is; once a minute its use is noted."""
    key = await _KEY_BY_HASH.row(db, token_hash=token_hash)
    if key is None:
        return None
    before = now - USED_EVERY
    if key.last_used_at is None or key.last_used_at < before:
        await _KEY_USED.run(db, key_id=key.id, before=before, now=now)
    return key


_LIST_KEYS = write(
    sa.select(api_keys)
    .where(_k.tenant == sa.bindparam("tenant"), _k.id < sa.bindparam("end", type_=sa.Uuid()))
    .order_by(_k.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    ApiKey._make,
)


async def list_api_keys(db: asyncpg.Connection, tenant: str, end: UUID, limit: int) -> list[ApiKey]:
    """The tenant's keys, newest first, `end` excluded."""
    return await _LIST_KEYS.rows(db, tenant=tenant, end=end, limit=limit)


_OF_ID = sa.and_(_k.id == sa.bindparam("key_id"), _k.tenant == sa.bindparam("tenant"))
_GET_KEY = write(sa.select(api_keys).where(_OF_ID), ApiKey._make)


async def get_api_key(db: asyncpg.Connection, key_id: UUID, tenant: str) -> ApiKey | None:
    """The key, in whatever state it is; None if the tenant has none of that id."""
    return await _GET_KEY.row(db, key_id=key_id, tenant=tenant)


_REVOKE_KEY = write(
    sa.update(api_keys)
    .where(_OF_ID)
    .values(revoked_at=sa.func.coalesce(_k.revoked_at, sa.bindparam("now", type_=MOMENT)))
    .returning(api_keys),
    ApiKey._make,
)


async def revoke_api_key(
    db: asyncpg.Connection, key_id: UUID, tenant: str, now: datetime
) -> ApiKey | None:
    """The key, revoked now or before; None if the tenant has none of that id."""
    return await _REVOKE_KEY.row(db, key_id=key_id, tenant=tenant, now=now)


_SESSION_BY_HASH = write(
    sa.select(upload_sessions).where(_s.token_hash == sa.bindparam("token_hash")),
    UploadSession._make,
)


async def upload_session_by_hash(db: asyncpg.Connection, token_hash: bytes) -> UploadSession | None:
    """The session of that hash, in whatever state it is."""
    return await _SESSION_BY_HASH.row(db, token_hash=token_hash)


_SESSION_BY_ID = write(
    sa.select(upload_sessions).where(_s.id == sa.bindparam("session_id")), UploadSession._make
)


async def get_session(db: asyncpg.Connection, session_id: UUID) -> UploadSession | None:
    """The session of that id, in whatever state it is, whoever made it."""
    return await _SESSION_BY_ID.row(db, session_id=session_id)


# Of those that the caller made, not those that are for them: `owner` is who uses the session.
_MADE = sa.and_(
    _s.id == sa.bindparam("id"), _s.tenant == sa.bindparam("tenant"), or_any(_s.created_by, "owner")
)
_GET_SESSION = write(sa.select(upload_sessions).where(_MADE), UploadSession._make)


async def get_upload_session(
    db: asyncpg.Connection, session_id: UUID, caller: Principal
) -> UploadSession | None:
    """The session, if the caller made it, or acts for its whole tenant."""
    return await _GET_SESSION.row(db, id=session_id, **visible_to(caller))


_LIST_SESSIONS = {
    whose: write(
        sa.select(upload_sessions)
        .where(_s.tenant == sa.bindparam("tenant"), _s.id < sa.bindparam("end", type_=sa.Uuid()))
        # Those that strangers opened are shown with the request.
        .where(_s.file_request_id.is_(None))
        .where(*((_s.created_by == sa.bindparam("owner"),) if whose == "own" else ()))
        .order_by(_s.id.desc())
        .limit(sa.bindparam("limit", type_=sa.Integer())),
        UploadSession._make,
    )
    for whose in ("own", "all")
}


async def list_upload_sessions(
    db: asyncpg.Connection, caller: Principal, end: UUID, limit: int
) -> list[UploadSession]:
    """Those that the caller made, or, if they act for it, all of the tenant's: newest first, `end`
    excluded.
    """
    statement = _LIST_SESSIONS["own" if caller.seen_owner is not None else "all"]
    return await statement.rows(db, end=end, limit=limit, **visible_to(caller))


_REVOKE_SESSION = write(
    sa.update(upload_sessions)
    .where(_MADE)
    .values(revoked_at=sa.func.coalesce(_s.revoked_at, sa.bindparam("now", type_=MOMENT)))
    .returning(upload_sessions),
    UploadSession._make,
)


async def revoke_upload_session(
    db: asyncpg.Connection, session_id: UUID, caller: Principal, now: datetime
) -> UploadSession | None:
    """The session, revoked now or before; None if it is not the caller's to revoke."""
    return await _REVOKE_SESSION.row(db, id=session_id, now=now, **visible_to(caller))


def _spent(payer: sa.Table) -> ReturningUpdate[Any]:
    """Take files and bytes from a session, or from the request for files that opened it."""
    _p = payer.c
    wanted_files = sa.bindparam("wanted_files", type_=sa.Integer())
    wanted_bytes = sa.bindparam("wanted_bytes", type_=sa.BigInteger())
    return (
        sa.update(payer)
        .where(
            _p.id == sa.bindparam("spender"),
            _p.revoked_at.is_(None),
            _p.expires_at > sa.bindparam("now", type_=MOMENT),
            _p.used_files + wanted_files <= _p.max_files,
            _p.used_bytes + wanted_bytes <= _p.max_bytes,
        )
        .values(used_files=_p.used_files + wanted_files, used_bytes=_p.used_bytes + wanted_bytes)
        .returning(_p.id)
    )


def _spend_and_store(payer: sa.Table, *, with_keys: bool) -> Statement[UUID | None]:
    """Take files and bytes from the payer and store the files, or do neither."""
    spent = _spent(payer).cte("spent")
    rows = rows_of(files.c).subquery("rows")
    stored = inserting(
        sa.select(*(rows.c[column] for column in File._fields)).where(
            sa.exists(sa.select(spent.c.id))
        )
    )
    found = sa.select(stored.c.id).select_from(spent.join(stored, sa.true(), isouter=True))
    more = [kept_with(stored)] if with_keys else []
    return write(found.add_cte(noted(stored, State.PENDING), *more), FIRST)


_PAYERS: Final = (upload_sessions, file_requests)
_SPEND: Final = {payer: write(_spent(payer)) for payer in _PAYERS}
_STORE: Final = {
    (payer, with_keys): _spend_and_store(payer, with_keys=with_keys)
    for payer in _PAYERS
    for with_keys in (False, True)
}


def _payer(session: SessionBounds) -> sa.Table:
    return upload_sessions if session.file_request_id is None else file_requests


async def spend(
    db: asyncpg.Connection, session: SessionBounds, rows: Sequence[File], now: datetime
) -> bool:
    """Take these files, and the bytes of those whose size is known, from the session, or from the
    request for files that opened it; False where it has ended or has too little left.
    """
    return await _SPEND[_payer(session)].value(db, **_of_session(session, rows, now)) is not None


def _of_session(session: SessionBounds, rows: Sequence[File], now: datetime) -> dict[str, Any]:
    return {
        "spender": session.file_request_id or session.id,
        "now": now,
        "wanted_files": len(rows),
        "wanted_bytes": sum(row.size or 0 for row in rows),
    }


async def insert_files_of_session(
    db: asyncpg.Connection,
    session: SessionBounds,
    rows: Sequence[File],
    now: datetime,
    kept: Sequence[IdempotencyKey] = (),
) -> set[UUID] | None:
    """Store the files at the session's expense, or at that of the request for files that opened it:
    all of them are paid for, or none is stored.

    Returns the ids of those that were stored, the others' keys being taken; None where the session
    has ended or has too little left. Idempotency keys are stored, and RequestUnderWay raised, as by
    `insert_files`.
    A file of unknown size pays when it is confirmed.
    """
    values = arrays(File._fields, rows) | _of_session(session, rows, now) | of_keys(kept)
    with first_of_key():
        found = await _STORE[_payer(session), bool(kept)].rows(db, **values)
    if not found:
        return None
    return {file_id for file_id in found if file_id is not None}


_BYTES_LEFT = write(
    sa.select(_s.max_bytes - _s.used_bytes).where(_s.id == sa.bindparam("session_id"))
)
_SPEND_BYTES = write(
    sa.update(upload_sessions)
    .where(
        _s.id == sa.bindparam("session_id"),
        _s.used_bytes + sa.bindparam("size", type_=sa.BigInteger()) <= _s.max_bytes,
    )
    .values(used_bytes=_s.used_bytes + sa.bindparam("size", type_=sa.BigInteger()))
    .returning(_s.id)
)


async def bytes_left(db: asyncpg.Connection, session_id: UUID) -> int:
    """How many bytes the session has not spent; none where there is no such session any more."""
    return await _BYTES_LEFT.value(db, session_id=session_id) or 0


async def spend_bytes(db: asyncpg.Connection, session_id: UUID, size: int) -> bool:
    """Take the bytes of a file whose size is known only now; False where too few are left."""
    return await _SPEND_BYTES.value(db, session_id=session_id, size=size) is not None
