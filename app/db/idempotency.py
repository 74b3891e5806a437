"""The SQL of idempotency keys, as functions of a connection.

A key is stored with what its request makes, in one statement or one transaction: both are there, or
neither. Of two requests with one key the second waits for the first, and then makes nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.db.statements import arguments, arrays, rows_of, write
from app.errors import RequestUnderWay
from app.models.idempotency import IdempotencyKey, idempotency_keys
from app.models.tables import MOMENT

_c = idempotency_keys.c
_BEFORE: Final = sa.bindparam("before", type_=MOMENT)
_PURGED_AT_ONCE: Final = 1000
# Other columns of the same statement have names of their own.
_PREFIX: Final = "of_key_"


@contextmanager
def first_of_key() -> Iterator[None]:
    """Raise RequestUnderWay where another request has stored the key in the meantime."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != "pk_idempotency_keys":
            raise
        raise RequestUnderWay(
            "Another request with this Idempotency-Key came at the same time: repeat this one for "
            "its answer.",
            retry_after=1,
        ) from error


_FIND = write(
    sa.select(idempotency_keys).where(_c.key_hash == sa.bindparam("key_hash")).order_by(_c.number),
    IdempotencyKey._make,
)
_FORGET = write(
    sa.delete(idempotency_keys).where(
        _c.key_hash == sa.bindparam("key_hash"), _c.created_at <= _BEFORE
    )
)


async def find(db: asyncpg.Connection, key_hash: bytes, before: datetime) -> list[IdempotencyKey]:
    """All that was made by a request with this key, after `before`; older rows are deleted."""
    found = await _FIND.rows(db, key_hash=key_hash)
    kept = [row for row in found if row.created_at > before]
    if len(kept) < len(found):
        await _FORGET.run(db, key_hash=key_hash, before=before)
    return kept


_KEEP = write(insert(idempotency_keys).values(arguments(idempotency_keys, IdempotencyKey._fields)))


async def keep(db: asyncpg.Connection, row: IdempotencyKey) -> None:
    """Store a key, in the transaction that stores what was made. Raises RequestUnderWay."""
    with first_of_key():
        await _KEEP.run(db, **row._asdict())


def kept_with(stored: sa.CTE) -> sa.CTE:
    """The part of a statement that stores the keys of those rows which it stores itself, by id.

    In one order, so that no two wait for each other. `of_keys` has the arguments.
    """
    names = IdempotencyKey._fields
    rows = rows_of(_c, _PREFIX).subquery("keys")
    return (
        insert(idempotency_keys)
        .from_select(
            names,
            sa.select(*(rows.c[name] for name in names))
            .join(stored, stored.c.id == rows.c.made_id)
            .order_by(rows.c.key_hash, rows.c.number),
        )
        .cte("kept")
    )


def of_keys(rows: Sequence[IdempotencyKey]) -> dict[str, Any]:
    """The arguments of `kept_with`."""
    columns = arrays(IdempotencyKey._fields, rows)
    return {f"{_PREFIX}{name}": values for name, values in columns.items()}


_OLD = (
    sa.select(_c.key_hash, _c.number)
    .where(_c.created_at <= _BEFORE)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
    .with_for_update(skip_locked=True)
)
_PURGE = write(
    sa.delete(idempotency_keys)
    .where(sa.tuple_(_c.key_hash, _c.number).in_(_OLD))
    .returning(_c.number)
)


async def purge(db: asyncpg.Connection, before: datetime) -> bool:
    """Delete some rows that are as old as `before` or older; whether there may be more."""
    purged = await _PURGE.rows(db, before=before, limit=_PURGED_AT_ONCE)
    return len(purged) == _PURGED_AT_ONCE
