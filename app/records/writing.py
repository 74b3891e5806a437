"""Change what the fields of a record hold, all of it or nothing."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple
from uuid import UUID

from app.core.preconditions import Preconditions
from app.core.principal import Principal
from app.core.record_field import FieldPath, RecordField
from app.db import records as db_records
from app.db.connections import Connection
from app.errors import FileNotFound, PreconditionFailed, TooManyFiles
from app.logs.audit import audit
from app.models.records import Record
from app.records.fields import (
    check_destination,
    check_field,
    declared_fields,
    etag_of,
    may_use,
    record_not_found,
    writable_field,
)
from app.records.reading import Fields, read_fields
from app.runtime.resources import Resources

_ANY: Final = Preconditions()


class Attachment(NamedTuple):
    """A field that a caller's file goes into as it is confirmed.

    `record_owner` is whose right to the record is checked: the upload session says who, else it is
    the caller.
    """

    path: FieldPath
    field: RecordField
    caller: Principal
    record_owner: Principal


class Change(NamedTuple):
    """A change of a field: the record before and after it, and the files in it afterwards."""

    path: FieldPath
    before: Record
    after: Record
    file_ids: Sequence[UUID]


async def put_files(
    res: Resources,
    caller: Principal,
    path: FieldPath,
    file_ids: Sequence[UUID],
    conditions: Preconditions = _ANY,
) -> Fields:
    """Make these confirmed files of the caller's what the field holds, in this order.

    Files that were there stay files. Returns the record as this change left it. Raises
    PreconditionFailed, FileNotFound, WrongDestination, TooManyFiles, RecordNotFound.
    """
    field = writable_field(res, caller, path.type, path.field)
    async with res.db.transaction() as db:
        record, is_new = await _lock_record(res, db, caller, path.type, path.id)
        before = await db_records.field_files(db, record, path.field)
        _check(conditions, None if is_new else record, filled=bool(before))
        change = await _fill(res, db, caller, path, field, record, before, list(file_ids))
        answer = (await read_fields(db, caller, path.type, [path.id]))[path.id]
    audit_change(change)
    return answer


async def change_record(
    res: Resources,
    caller: Principal,
    record_type: str,
    record_id: str,
    fields: Mapping[str, Sequence[UUID]],
    conditions: Preconditions,
) -> Record:
    """Make these files what these fields hold, all of it or nothing; the record afterwards.

    `conditions` are the record's: with `If-None-Match: *` there may be none yet. A caller who may
    not change a field may name it with the files that it holds. Raises what `put_files` does.
    """
    changes: list[Change] = []
    async with res.db.transaction() as db:
        record, is_new = await _lock_record(res, db, caller, record_type, record_id)
        _check(conditions, None if is_new else record, filled=not is_new)
        held = {field: await db_records.field_files(db, record, field) for field in fields}
        # Of all fields at once: one after the other would be in no order.
        await db_records.lock_files(db, list({*chain(*held.values(), *fields.values())}))
        changed = [name for name, file_ids in fields.items() if held[name] != list(file_ids)]
        for name in changed:
            path, after = FieldPath(record_type, record_id, name), list(fields[name])
            field = writable_field(res, caller, record_type, name)
            more = name != changed[-1]
            change = await _fill(
                res, db, caller, path, field, record, held[name], after, more_follows=more
            )
            record = change.after
            changes.append(change)
    for change in changes:
        audit_change(change)
    return record


async def clear_field(
    res: Resources, caller: Principal, path: FieldPath, conditions: Preconditions = _ANY
) -> Record:
    """Empty the field; files and objects stay. Repeating it is no error.

    Raises RecordNotFound, PreconditionFailed.
    """
    field = writable_field(res, caller, path.type, path.field)
    async with res.db.transaction() as db:
        record, is_new = await _lock_record(res, db, caller, path.type, path.id)
        if is_new:
            raise record_not_found()
        before = await db_records.field_files(db, record, path.field)
        _check(conditions, record, filled=bool(before))
        change = await _fill(res, db, caller, path, field, record, before, [])
    audit_change(change)
    return change.after


async def forget_record(
    res: Resources,
    caller: Principal,
    record_type: str,
    record_id: str,
    conditions: Preconditions = _ANY,
) -> None:
    """Empty all fields and forget the record; files and objects stay.

    Raises RecordNotFound, PreconditionFailed.
    """
    for field in declared_fields(res, record_type):
        writable_field(res, caller, record_type, field)
    async with res.db.transaction() as db:
        record, is_new = await _lock_record(res, db, caller, record_type, record_id)
        if is_new:
            raise record_not_found()
        _check(conditions, record, filled=True)
        await db_records.forget_record(db, record, res.clock())
    audit("record.forgotten", record_type=record_type, record_id=record_id)


def resolve_attachment(
    res: Resources, caller: Principal, path: FieldPath | None, destination: str
) -> Attachment | None:
    """Where a file that the caller confirms goes: as their upload session says, else to `path`.

    Raises UnknownRecordField, InsufficientScope, WrongDestination.
    """
    record_owner, of_session = caller, caller.session and caller.session.attach_to
    if of_session:
        path = FieldPath(of_session.type, of_session.id, of_session.field)
        record_owner = Principal(of_session.owner, caller.tenant)
    if path is None:
        return None
    return Attachment(path, check_field(res, caller, path, destination), caller, record_owner)


async def lock_record(res: Resources, db: Connection, attachment: Attachment) -> Record:
    """The record that a file is about to go into, locked, made if there is none.

    Raises RecordNotFound.
    """
    record, _ = await _lock_record(
        res, db, attachment.record_owner, attachment.path.type, attachment.path.id
    )
    return record


async def attach(
    res: Resources, db: Connection, attachment: Attachment, record: Record, file_id: UUID
) -> Change:
    """Put a file into the field of the locked record; where it takes many, as the last one.

    Pass the change to `audit_change` once it is committed. Raises TooManyFiles, WrongDestination.
    """
    before = await db_records.field_files(db, record, attachment.path.field)
    files = [*before, file_id] if attachment.field.many else [file_id]
    return await _fill(
        res, db, attachment.caller, attachment.path, attachment.field, record, before, files
    )


def audit_change(change: Change) -> None:
    """Write the change to the audit trail, if it was one."""
    if change.after.version != change.before.version:
        where = dict(zip(("record_type", "record_id", "field"), change.path, strict=True))
        audit(
            "record.changed",
            **where,
            record_owner=change.after.owner,
            count=len(change.file_ids),
            file_ids=change.file_ids,
        )


async def _lock_record(
    res: Resources, db: Connection, caller: Principal, record_type: str, record_id: str
) -> tuple[Record, bool]:
    """The record, locked, and whether it is new. Raises RecordNotFound if it is another's."""
    now = res.clock()
    new = Record(
        tenant=caller.tenant,
        type=record_type,
        id=record_id,
        owner=caller.owner,
        version=res.new_id(now),
        created_at=now,
        updated_at=now,
    )
    record = await db_records.lock_record(db, new)
    if not may_use(record, caller):
        raise record_not_found()
    return record, record.version == new.version


def _check(conditions: Preconditions, record: Record | None, *, filled: bool) -> None:
    if not conditions.hold(record and etag_of(record), filled=filled):
        raise PreconditionFailed(
            "The record is not as your If-Match or If-None-Match says: get it again, and decide "
            "anew."
        )


async def _fill(
    res: Resources,
    db: Connection,
    caller: Principal,
    path: FieldPath,
    field: RecordField,
    record: Record,
    before: Sequence[UUID],
    after: Sequence[UUID],
    *,
    more_follows: bool = False,
) -> Change:
    """Put files into a field of a locked record, if they may go there."""
    if after == before:
        return Change(path, record, record, after)
    if len(after) > field.capacity:
        raise TooManyFiles(
            f"Field {path.field} takes {field.capacity} file(s) at most.", max_files=field.capacity
        )
    locked = {file.id: file for file in await db_records.lock_files(db, list({*before, *after}))}
    held = set(before)
    coming = [file_id for file_id in after if file_id not in held]
    missing = [
        str(file_id)
        for file_id in coming
        if file_id not in locked or not may_use(locked[file_id], caller)
    ]
    if missing:
        raise FileNotFound(f"No confirmed file of yours has the id {missing[0]}.", file_ids=missing)
    for file_id in coming:
        check_destination(field, path, locked[file_id].destination)
    now = res.clock()
    version = res.new_id(now)
    changed = await db_records.replace_files(
        db, record, path.field, before, after, version, now, more_follows=more_follows
    )
    return Change(path, record, changed, after)
