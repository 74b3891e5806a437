"""The SQL of records, as functions of a connection."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.core.principal import Principal
from app.core.record_field import FieldPath
from app.db.files import in_state
from app.db.statements import FIRST, Statement, arguments, array, visible, visible_to, write
from app.db.tell import telling_of_record
from app.models.files import File, State, files
from app.models.records import Record, record_files, records
from app.models.tables import MOMENT

_r, _rf = records.c, record_files.c
_IDS = ARRAY(sa.Uuid())
_VISIBLE = visible(records)
# A record, by the arguments that `_key` gives; its files, by the same; and the two together.
_THIS = sa.and_(
    _r.tenant == sa.bindparam("tenant"),
    _r.type == sa.bindparam("type"),
    _r.id == sa.bindparam("record_id"),
)
_IN_THIS = sa.and_(
    _rf.tenant == sa.bindparam("tenant"),
    _rf.type == sa.bindparam("type"),
    _rf.record_id == sa.bindparam("record_id"),
)
_IN_RECORD = sa.and_(_rf.tenant == _r.tenant, _rf.type == _r.type, _rf.record_id == _r.id)


def _key(record: Record) -> dict[str, str]:
    return {"tenant": record.tenant, "type": record.type, "record_id": record.id}


class FieldFile(NamedTuple):
    """A file in a field of a record; a record that holds none comes once, with neither."""

    record: Record
    field: str | None
    file: File | None


# Taken even where nothing is to be changed in it, so that the row is locked until the commit.
_LOCK_RECORD = write(
    insert(records)
    .values(arguments(records, Record._fields))
    .on_conflict_do_update(
        index_elements=["tenant", "type", "id"], set_={"updated_at": _r.updated_at}
    )
    .returning(records),
    Record._make,
)


async def lock_record(db: asyncpg.Connection, record: Record) -> Record:
    """The record of this tenant, type and id as it is, or as given if it is new.

    It is locked until the transaction ends: changes of one record come one after the other.
    """
    [locked] = await _LOCK_RECORD.rows(db, **record._asdict())
    return locked


_FIELD = len(Record._fields)


def _field_file(row: Any) -> FieldFile:
    """A row of `_READ`: the record's columns, the field, the file's columns."""
    record, field = Record._make(row[:_FIELD]), row[_FIELD]
    return FieldFile(record, field, None if field is None else File._make(row[_FIELD + 1 :]))


_fields = sa.bindparam("fields", type_=ARRAY(sa.Text()))
_READ = write(
    sa.select(records, _rf.field, files)
    .outerjoin(
        record_files,
        sa.and_(_IN_RECORD, sa.or_(_fields.is_(None), _rf.field == sa.func.any(_fields))),
    )
    .outerjoin(files, files.c.id == _rf.file_id)
    .where(
        _VISIBLE,
        _r.type == sa.bindparam("type"),
        _r.id == sa.func.any(sa.bindparam("ids", type_=ARRAY(sa.Text()))),
    )
    .order_by(_rf.position),
    _field_file,
)


async def read_records(
    db: asyncpg.Connection,
    caller: Principal,
    record_type: str,
    ids: Sequence[str],
    fields: Sequence[str] | None = None,
) -> list[FieldFile]:
    """The files in those of the records that the caller may see, each field in its order.

    With `fields`, in these alone.
    """
    return await _READ.rows(
        db, type=record_type, ids=list(ids), fields=fields, **visible_to(caller)
    )


def _ids_in_order(*, backwards: bool) -> Statement[str]:
    return write(
        sa.select(_r.id)
        .where(
            _r.tenant == sa.bindparam("tenant"),
            _r.type == sa.bindparam("type"),
            _r.id >= sa.bindparam("low", type_=sa.Text()),
            _r.id < sa.bindparam("high", type_=sa.Text()),
        )
        .order_by(_r.id.desc() if backwards else _r.id)
        .limit(sa.bindparam("limit", type_=sa.Integer())),
        FIRST,
    )


_IDS_IN_ORDER = {backwards: _ids_in_order(backwards=backwards) for backwards in (False, True)}


async def record_ids(
    db: asyncpg.Connection,
    tenant: str,
    record_type: str,
    low: str,
    high: str,
    limit: int,
    *,
    backwards: bool,
) -> list[str]:
    """Ids of a whole tenant's records, from `low` on and before `high`, in order.

    With `backwards` the last ones of them, the last one first.
    """
    return await _IDS_IN_ORDER[backwards].rows(
        db, tenant=tenant, type=record_type, low=low, high=high, limit=limit
    )


_FIELD_FILES: Statement[UUID] = write(
    sa.select(_rf.file_id)
    .where(_IN_THIS, _rf.field == sa.bindparam("field"))
    .order_by(_rf.position),
    FIRST,
)


async def field_files(db: asyncpg.Connection, record: Record, field: str) -> list[UUID]:
    """Ids of the files in a field, in order."""
    return await _FIELD_FILES.rows(db, field=field, **_key(record))


# In the order of the ids, so that two changes that share files never wait for each other.
_LOCK_FILES = write(
    sa.select(files)
    .where(
        files.c.id == sa.func.any(sa.bindparam("ids", type_=_IDS)),
        in_state(State.CONFIRMED),
    )
    .order_by(files.c.id)
    .with_for_update(key_share=True),
    File._make,
)


async def lock_files(db: asyncpg.Connection, ids: Sequence[UUID]) -> list[File]:
    """Those of the files that are confirmed, which they remain until the transaction ends."""
    return await _LOCK_FILES.rows(db, ids=list(ids))


_COUNT = write(
    sa.update(files)
    .where(files.c.id == sa.func.any(sa.bindparam("ids", type_=_IDS)))
    .values(
        attachments=files.c.attachments + sa.bindparam("change", type_=sa.Integer()),
        # Who comes later to attach it must not undo what is done here.
        self_confirmed=sa.false(),
    )
)
_EMPTY_FIELD = write(sa.delete(record_files).where(_IN_THIS, _rf.field == sa.bindparam("field")))
_FILL_FIELD = write(
    insert(record_files).from_select(
        ["tenant", "type", "record_id", "field", "position", "file_id"],
        sa.select(
            sa.bindparam("tenant", type_=sa.Text()),
            sa.bindparam("type", type_=sa.Text()),
            sa.bindparam("record_id", type_=sa.Text()),
            sa.bindparam("field", type_=sa.Text()),
            array("positions", sa.SmallInteger()),
            array("ids", sa.Uuid()),
        ),
    )
)
_NEW_VERSION = (
    sa.update(records)
    .where(_THIS)
    .values(
        version=sa.bindparam("to_version", type_=sa.Uuid()),
        updated_at=sa.bindparam("now", type_=MOMENT),
    )
)
_SET_VERSION = write(_NEW_VERSION.returning(records), Record._make)
# The last statement of a change: its event has the files as they are by then.
_SET_LAST_VERSION = telling_of_record(_NEW_VERSION)


async def replace_files(
    db: asyncpg.Connection,
    record: Record,
    field: str,
    before: Sequence[UUID],
    after: Sequence[UUID],
    version: UUID,
    now: datetime,
    *,
    more_follows: bool = False,
) -> Record:
    """Put the files `after` where `before` stood; the locked record with its new version.

    The files that come and go are locked. With `more_follows` another field is changed in the same
    transaction, and tells of both.
    """
    for ids, change in ((set(after) - set(before), 1), (set(before) - set(after), -1)):
        if ids:
            await _COUNT.run(db, ids=list(ids), change=change)
    if before:
        await _EMPTY_FIELD.run(db, field=field, **_key(record))
    if after:
        positions = list(range(len(after)))
        await _FILL_FIELD.run(db, field=field, positions=positions, ids=list(after), **_key(record))
    statement = _SET_VERSION if more_follows else _SET_LAST_VERSION
    changed = await statement.row(db, to_version=version, now=now, **_key(record))
    assert changed is not None
    return changed


_OWNER = write(sa.select(_r.owner).where(_THIS))


async def owner_of_record(
    db: asyncpg.Connection, tenant: str, record_type: str, record_id: str
) -> str | None:
    """Whose the record is; None where there is none."""
    owner: str | None = await _OWNER.value(db, tenant=tenant, type=record_type, record_id=record_id)
    return owner


_USES = write(
    sa.select(_r.type, _r.id, _rf.field)
    .join(record_files, _IN_RECORD)
    .where(_rf.file_id == sa.bindparam("file_id"), _VISIBLE)
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    FieldPath._make,
)


async def uses_of_file(
    db: asyncpg.Connection, file_id: UUID, caller: Principal, limit: int
) -> list[FieldPath]:
    """The fields of the caller's records that hold the file, `limit` of them at most."""
    return await _USES.rows(db, file_id=file_id, limit=limit, **visible_to(caller))


_USE_COUNTS = (
    sa.select(_rf.file_id, sa.func.count().label("times"))
    .where(_IN_THIS)
    .group_by(_rf.file_id)
    .order_by(_rf.file_id)
)
_USED_IDS: Statement[UUID] = write(_USE_COUNTS, FIRST)
_used = _USE_COUNTS.subquery("used")
_UNCOUNT = write(
    sa.update(files)
    .where(files.c.id == _used.c.file_id)
    .values(attachments=files.c.attachments - _used.c.times)
)
_now = sa.bindparam("now", type_=MOMENT).label("updated_at")
_FORGET = telling_of_record(
    sa.delete(records).where(_THIS),
    [_now if column is _r.updated_at else column for column in _r],
    emptied=True,
)


async def forget_record(db: asyncpg.Connection, record: Record, now: datetime) -> None:
    """Delete a locked record; its files stay, and it uses them no longer."""
    key = _key(record)
    await lock_files(db, await _USED_IDS.rows(db, **key))
    await _UNCOUNT.run(db, **key)
    await _FORGET.row(db, now=now, **key)
