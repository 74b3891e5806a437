"""The SQL of the comparison of rows with buckets, as functions of a connection."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.statements import write
from app.models.files import files

_c = files.c


class Row(NamedTuple):
    """The columns of a file that are compared with its object."""

    id: UUID
    key: str
    state: str
    size: int | None
    version_id: str | None
    etag: str | None
    # When the object of an infected file was deleted.
    ended_at: datetime | None


_ROW = sa.select(*(_c[name] for name in Row._fields)).where(_c.bucket == sa.bindparam("bucket"))
# The index of (bucket, key), whose keys are in byte order as those of buckets' lists are.
_PAGE = write(
    _ROW.where(_c.key > sa.bindparam("after"), _c.key < sa.bindparam("end"))
    .order_by(_c.key)
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    Row._make,
)
_BY_KEY = write(_ROW.where(_c.key == sa.bindparam("key")), Row._make)


_STATES = write(
    sa.select(_c.key, _c.state).where(
        _c.bucket == sa.bindparam("bucket"),
        _c.key == sa.func.any(sa.bindparam("keys", type_=ARRAY(sa.Text()))),
    )
)


async def states_of(db: asyncpg.Connection, bucket: str, keys: Iterable[str]) -> dict[str, str]:
    """The state of each of these keys that has a row."""
    return dict(await _STATES.rows(db, bucket=bucket, keys=list(keys)))


async def rows_in_order(
    db: asyncpg.Connection, bucket: str, after: str, end: str, limit: int
) -> list[Row]:
    """The bucket's rows whose keys lie between the two, both excluded, in order."""
    return await _PAGE.rows(db, bucket=bucket, after=after, end=end, limit=limit)


async def row_of(db: asyncpg.Connection, bucket: str, key: str) -> Row | None:
    """The row of the object, None where there is none."""
    return await _BY_KEY.row(db, bucket=bucket, key=key)
