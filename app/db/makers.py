"""The SQL of what a credential has made, keys, upload sessions and requests for files, as functions
of a connection.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.core.principal import KEY_CREDENTIAL, STAFF_CREDENTIAL
from app.db.statements import FIRST, Statement, arguments, write
from app.models.credentials import (
    ApiKey,
    FileRequest,
    UploadSession,
    api_keys,
    file_requests,
    upload_sessions,
)
from app.models.staff import staff
from app.models.tables import MOMENT

_k, _s, _r, _t = api_keys.c, upload_sessions.c, file_requests.c, staff.c
_maker_id = sa.bindparam("maker_id", type_=sa.Uuid())

# A revocation that is under way is waited for, and one that comes later waits for the insert: so
# none misses what is made at the same moment. Other credentials have no row that could end.
_STILL_GOOD: Final = {
    KEY_CREDENTIAL: sa.select(_k.id).where(_k.id == _maker_id, _k.revoked_at.is_(None)),
    STAFF_CREDENTIAL: sa.select(_t.id).where(_t.id == _maker_id, _t.disabled_at.is_(None)),
}


def _insert(table: sa.Table, names: Sequence[str]) -> dict[str, Statement[Any]]:
    """By the kind of the maker's credential, and for those of any other kind under ''."""
    values = arguments(table, names)
    statements = {"": write(insert(table).values(values).returning(table.c.id))}
    for kind, maker in _STILL_GOOD.items():
        good = maker.with_for_update(read=True).cte("maker")
        row = sa.select(*values.values()).where(sa.exists(sa.select(good.c.id)))
        statements[kind] = write(insert(table).from_select(names, row).returning(table.c.id))
    return statements


_INSERT: Final = {
    ApiKey: _insert(api_keys, ApiKey._fields),
    UploadSession: _insert(upload_sessions, UploadSession._fields),
    FileRequest: _insert(file_requests, FileRequest._fields),
}


async def insert_made(db: asyncpg.Connection, row: ApiKey | UploadSession | FileRequest) -> bool:
    """Store a key, session or request; False where its maker was revoked or disabled meanwhile."""
    statements = _INSERT[type(row)]
    kind, _, maker_id = row.made_with.partition(":")
    values = row._asdict()
    if kind in _STILL_GOOD:
        values["maker_id"] = UUID(maker_id)
    statement = statements.get(kind, statements[""])
    return await statement.value(db, **values) is not None


def _made() -> sa.CTE:
    """The ids of the keys that a credential has made, and those that were made with them."""
    first = sa.select(_k.id).where(_k.made_with == sa.bindparam("maker", type_=sa.Text()))
    made = first.cte("made", recursive=True)
    name = sa.literal_column(f"'{KEY_CREDENTIAL}:'", sa.Text()).concat(
        sa.cast(made.c.id, sa.Text())
    )
    return made.union(sa.select(_k.id).join(made, _k.made_with == name))


_WORK: Final = sa.and_(
    _k.id.in_(sa.select(_made().c.id)),
    _k.revoked_at.is_(None),
    sa.or_(_k.expires_at.is_(None), _k.expires_at > sa.bindparam("now", type_=MOMENT)),
)
_KEYS_MADE = write(
    sa.select(api_keys)
    .where(_WORK)
    .order_by(_k.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    ApiKey._make,
)
# In the order in which they were made: two revocations never wait for each other's rows.
_REVOKE_KEYS = write(
    sa.update(api_keys)
    .where(_k.id.in_(sa.select(_k.id).where(_WORK).order_by(_k.id).with_for_update()))
    .values(revoked_at=sa.bindparam("now", type_=MOMENT))
    .returning(api_keys),
    ApiKey._make,
)
_CLOSE_REQUESTS = write(
    sa.update(file_requests)
    .where(
        _r.made_with == sa.any_(sa.bindparam("makers", type_=ARRAY(sa.Text()))),
        _r.revoked_at.is_(None),
        _r.expires_at > sa.bindparam("now", type_=MOMENT),
    )
    .values(revoked_at=sa.bindparam("now", type_=MOMENT))
    .returning(_r.id),
    FIRST,
)
_END_SESSIONS = write(
    sa.update(upload_sessions)
    .where(
        _s.made_with == sa.any_(sa.bindparam("makers", type_=ARRAY(sa.Text()))),
        _s.revoked_at.is_(None),
        _s.expires_at > sa.bindparam("now", type_=MOMENT),
    )
    .values(revoked_at=sa.bindparam("now", type_=MOMENT))
    .returning(_s.id),
    FIRST,
)


async def keys_made(
    db: asyncpg.Connection, maker: str, now: datetime, limit: int
) -> Sequence[ApiKey]:
    """Keys that work and were made with the credential, or with one of those; newest first."""
    return await _KEYS_MADE.rows(db, maker=maker, now=now, limit=limit)


async def revoke_keys_made(db: asyncpg.Connection, maker: str, now: datetime) -> list[ApiKey]:
    """Revoke all of them, for a maker that has ended in this transaction; those that worked."""
    revoked: list[ApiKey] = []
    # Until none is left: one of them may have made another before its own turn came.
    while found := await _REVOKE_KEYS.rows(db, maker=maker, now=now):
        revoked += found
    return revoked


async def end_sessions_made(
    db: asyncpg.Connection, makers: Sequence[str], now: datetime
) -> list[UUID]:
    """End the upload sessions that were minted with one of the credentials; those that ended."""
    return await _END_SESSIONS.rows(db, makers=makers, now=now)


async def close_requests_made(
    db: asyncpg.Connection, makers: Sequence[str], now: datetime
) -> list[UUID]:
    """Close the requests for files that were made with one of the credentials; those that ended."""
    return await _CLOSE_REQUESTS.rows(db, makers=makers, now=now)
