"""Records: other systems' things that hold files in their fields.

A record is made by the first file that is put into it. It is held (its row locked) first in every
change, then the files in the order of their ids: so no two changes wait for each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from app.core.preconditions import Preconditions
from app.core.principal import Principal, SessionField, missing_scopes
from app.core.record_field import FieldPath, RecordField
from app.db import records as db_records
from app.errors import (
    FileNotFound,
    InsufficientScope,
    PreconditionFailed,
    RecordNotFound,
    TooManyFiles,
    UnknownRecordField,
    WrongDestination,
)
from app.files.links import readable_by_urls
from app.logs.audit import audit
from app.models.files import File
from app.models.records import Record
from app.runtime.resources import Resources

MAX_RECORDS: Final = 200
_ANY: Final = Preconditions()


class Attachment(NamedTuple):
    """A field that a caller's file goes into as it is confirmed; `holder` may change the record."""

    path: FieldPath
    caller: Principal
    holder: Principal


class Change(NamedTuple):
    """What a change made of a field: the record before and after it, and the files it holds."""

    path: FieldPath
    before: Record
    after: Record
    file_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Fields:
    """A record and the files in its fields, in order; fields that hold none are left out."""

    record: Record
    files: Mapping[str, Sequence[File]]


def declared_fields(res: Resources, record_type: str) -> Mapping[str, RecordField]:
    """The fields that records of this type have; UnknownRecordField."""
    found = res.settings.records.get(record_type)
    if found is None:
        raise UnknownRecordField(f"No records of type {record_type!r} are configured here.")
    return found


def declared_field(res: Resources, record_type: str, field: str) -> RecordField:
    """One of them; UnknownRecordField."""
    fields = declared_fields(res, record_type)
    if field not in fields:
        raise UnknownRecordField(
            f"Records of type {record_type} have no field {field!r}; "
            f"they have: {', '.join(sorted(fields))}."
        )
    return fields[field]


def _writable_field(res: Resources, caller: Principal, record_type: str, name: str) -> RecordField:
    """A field that the caller may change; UnknownRecordField, InsufficientScope.

    Whoever made an upload session for the field was asked then.
    """
    field = declared_field(res, record_type, name)
    missing = missing_scopes(field.scopes, caller.scopes)
    if missing and caller.session is None:
        raise InsufficientScope(
            f"Changing the field {name} takes the scope {missing[0]}, and your credential does "
            "not hold it.",
            scope=missing[0],
        )
    return field


async def get_record(res: Resources, caller: Principal, record_type: str, record_id: str) -> Fields:
    """The record with its files; RecordNotFound for everybody else's."""
    found = await get_records(res, caller, record_type, [record_id])
    if record_id not in found:
        raise _not_found()
    return found[record_id]


async def get_records(
    res: Resources,
    caller: Principal,
    record_type: str,
    ids: Sequence[str],
    fields: Sequence[str] | None = None,
) -> dict[str, Fields]:
    """Those of the records that there are and that the caller may see, by id: one query.

    `fields`: these alone. Raises UnknownRecordField.
    """
    for field in fields or ():
        declared_field(res, record_type, field)
    declared_fields(res, record_type)
    async with res.db.connection() as db:
        return await _read(db, caller, record_type, ids, fields)


async def _read(
    db: asyncpg.Connection,
    caller: Principal,
    record_type: str,
    ids: Sequence[str],
    wanted: Sequence[str] | None = None,
) -> dict[str, Fields]:
    held = await db_records.read_records(db, caller, record_type, list(set(ids)), wanted)
    records: dict[str, Record] = {}
    files: dict[str, dict[str, list[File]]] = {}
    for record, field, file in held:
        records[record.id] = record
        fields = files.setdefault(record.id, {})
        if field is not None and file is not None:
            fields.setdefault(field, []).append(file)
    return {record_id: Fields(record, files[record_id]) for record_id, record in records.items()}


async def put_files(
    res: Resources,
    caller: Principal,
    path: FieldPath,
    file_ids: Sequence[UUID],
    conditions: Preconditions = _ANY,
) -> Fields:
    """Make these confirmed files of the caller's what the field holds, in this order.

    What was there stays a file. Answers with the record as this change left it. Raises
    PreconditionFailed, FileNotFound, WrongDestination, TooManyFiles, RecordNotFound.
    """
    field = _writable_field(res, caller, path.type, path.field)
    async with res.db.transaction() as db:
        record, is_new = await _hold(res, db, caller, path.type, path.id)
        before = await db_records.field_files(db, record, path.field)
        _check(conditions, None if is_new else record, filled=bool(before))
        after = await _fill(res, db, caller, path, field, record, before, list(file_ids))
        answer = (await _read(db, caller, path.type, [path.id]))[path.id]
    audit_change(Change(path, record, after, file_ids))
    return answer


async def change(
    res: Resources,
    caller: Principal,
    record_type: str,
    record_id: str,
    fields: Mapping[str, Sequence[UUID]],
    conditions: Preconditions,
) -> Record:
    """Make these files what these fields hold, all of it or nothing; the record afterwards.

    `conditions` are the record's: with `If-None-Match: *` there may be none yet. Who may not
    change a field may name it with what it holds. Raises what `put_files` does.
    """
    changes: list[Change] = []
    async with res.db.transaction() as db:
        record, is_new = await _hold(res, db, caller, record_type, record_id)
        _check(conditions, None if is_new else record, filled=not is_new)
        held = {field: await db_records.field_files(db, record, field) for field in fields}
        # Of all fields at once: one after the other would be in no order.
        await db_records.lock_files(db, list({*chain(*held.values(), *fields.values())}))
        for field, file_ids in fields.items():
            if held[field] == list(file_ids):
                continue
            path, before = FieldPath(record_type, record_id, field), record
            declared = _writable_field(res, caller, record_type, field)
            record = await _fill(
                res, db, caller, path, declared, before, held[field], list(file_ids)
            )
            changes.append(Change(path, before, record, file_ids))
    for done in changes:
        audit_change(done)
    return record


async def uses_of(res: Resources, caller: Principal, file: File, limit: int) -> list[FieldPath]:
    """Where the caller's records hold the file, so many of them."""
    async with res.db.connection() as db:
        return await db_records.uses_of_file(db, file.id, caller, limit)


async def find_by_url(res: Resources, caller: Principal, url: str) -> UUID:
    """The id of the caller's confirmed file with this object URL; FileNotFound."""
    [file] = await readable_by_urls(res, caller, [url])
    if file is None:
        raise FileNotFound("No file of yours has this URL.")
    return file.id


async def clear(
    res: Resources, caller: Principal, path: FieldPath, conditions: Preconditions = _ANY
) -> Record:
    """Take out what the field holds; files and objects stay. Repeating it is no error.

    Raises RecordNotFound, PreconditionFailed.
    """
    field = _writable_field(res, caller, path.type, path.field)
    async with res.db.transaction() as db:
        record, is_new = await _hold(res, db, caller, path.type, path.id)
        if is_new:
            raise _not_found()
        before = await db_records.field_files(db, record, path.field)
        _check(conditions, record, filled=bool(before))
        after = await _fill(res, db, caller, path, field, record, before, [])
    audit_change(Change(path, record, after, []))
    return after


async def forget(
    res: Resources,
    caller: Principal,
    record_type: str,
    record_id: str,
    conditions: Preconditions = _ANY,
) -> None:
    """Take out what all fields hold, and the record with them; files and objects stay.

    Raises RecordNotFound, PreconditionFailed.
    """
    for field in declared_fields(res, record_type):
        _writable_field(res, caller, record_type, field)
    async with res.db.transaction() as db:
        record, is_new = await _hold(res, db, caller, record_type, record_id)
        if is_new:
            raise _not_found()
        _check(conditions, record, filled=True)
        await db_records.forget_record(db, record)
    audit("record.forgotten", record_type=record_type, record_id=record_id)


def check_field(res: Resources, caller: Principal, path: FieldPath, destination: str) -> None:
    """Raise what can be known to forbid files of a destination there before anybody is asked.

    Raises UnknownRecordField, InsufficientScope, WrongDestination.
    """
    field = _writable_field(res, caller, path.type, path.field)
    _check_destination(field, path, destination)


async def session_field(
    res: Resources, caller: Principal, path: FieldPath, destination: str
) -> SessionField:
    """The field for what an upload session of the caller's will confirm.

    Its files go there by the right of whoever made the session, whosever they are. Raises
    UnknownRecordField, InsufficientScope, WrongDestination and RecordNotFound.
    """
    check_field(res, caller, path, destination)
    async with res.db.connection() as db:
        owner = await db_records.owner_of_record(db, caller.tenant, path.type, path.id)
    if owner not in {None, caller.owner} and not caller.sees_tenant:
        raise _not_found()
    return SessionField(*path, owner or caller.owner)


def attachment(
    res: Resources, caller: Principal, path: FieldPath | None, destination: str
) -> Attachment | None:
    """Where a file that the caller confirms goes: what their upload session says, else `path`.

    Raises UnknownRecordField, InsufficientScope, WrongDestination.
    """
    holder, of_session = caller, caller.session and caller.session.attach_to
    if of_session:
        path = FieldPath(of_session.type, of_session.id, of_session.field)
        holder = Principal(of_session.owner, caller.tenant)
    if path is None:
        return None
    check_field(res, caller, path, destination)
    return Attachment(path, caller, holder)


async def hold(res: Resources, db: asyncpg.Connection, to: Attachment) -> Record:
    """The record that a file is about to go into, locked, made if there is none.

    Raises RecordNotFound.
    """
    record, _ = await _hold(res, db, to.holder, to.path.type, to.path.id)
    return record


async def attach(
    res: Resources, db: asyncpg.Connection, to: Attachment, record: Record, file_id: UUID
) -> Change:
    """Put a file into the field of the record that is held; where it takes many, as the last one.

    Say so with `audit_change` once it is committed. Raises TooManyFiles, WrongDestination.
    """
    field = declared_field(res, to.path.type, to.path.field)
    before = await db_records.field_files(db, record, to.path.field)
    files = [*before, file_id] if field.many else [file_id]
    after = await _fill(res, db, to.caller, to.path, field, record, before, files)
    return Change(to.path, record, after, files)


def audit_change(change: Change) -> None:
    """Say what the field holds now, if it is not what it held before."""
    if change.after.version != change.before.version:
        where = dict(zip(("record_type", "record_id", "field"), change.path, strict=True))
        audit(
            "record.changed",
            **where,
            record_owner=change.after.owner,
            count=len(change.file_ids),
            file_ids=change.file_ids,
        )


async def _hold(
    res: Resources, db: asyncpg.Connection, caller: Principal, record_type: str, record_id: str
) -> tuple[Record, bool]:
    """The record, locked, and whether it is new; RecordNotFound if it is somebody else's."""
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
    record = await db_records.hold_record(db, new)
    if not _is_for(record, caller):
        raise _not_found()
    return record, record.version == new.version


def etag_of(record: Record) -> str:
    """Another after every change of any field; links are renewed without changing it."""
    return f'"{record.version}"'


def _check(conditions: Preconditions, record: Record | None, *, filled: bool) -> None:
    if not conditions.hold(record and etag_of(record), filled=filled):
        raise PreconditionFailed(
            "The record is not as your If-Match or If-None-Match says: get it again, and decide "
            "anew."
        )


async def _fill(
    res: Resources,
    db: asyncpg.Connection,
    caller: Principal,
    path: FieldPath,
    field: RecordField,
    record: Record,
    before: Sequence[UUID],
    after: Sequence[UUID],
) -> Record:
    """Put files into a field of a record that is held, if they may go there."""
    if after == before:
        return record
    if len(after) > field.capacity:
        raise TooManyFiles(
            f"Field {path.field} takes {field.capacity} file(s) at most.",
            max_files=field.capacity,
        )
    locked = {file.id: file for file in await db_records.lock_files(db, list({*before, *after}))}
    coming = set(after) - set(before)
    missing = [
        str(file_id)
        for file_id in after
        if file_id in coming and not (file_id in locked and _is_for(locked[file_id], caller))
    ]
    if missing:
        raise FileNotFound(f"No confirmed file of yours has the id {missing[0]}.", file_ids=missing)
    for file_id in after:
        if file_id in coming:
            _check_destination(field, path, locked[file_id].destination)
    now = res.clock()
    version = res.new_id(now)
    return await db_records.replace_files(db, record, path.field, before, after, version, now)


def _check_destination(field: RecordField, path: FieldPath, destination: str) -> None:
    if destination != field.destination:
        raise WrongDestination(
            f"Field {path.field} takes files of destination {field.destination}, "
            f"not of {destination}.",
            destination=field.destination,
        )


def _is_for(thing: Record | File, caller: Principal) -> bool:
    """Whether the caller may use it."""
    return thing.tenant == caller.tenant and (caller.sees_tenant or thing.owner == caller.owner)


def _not_found() -> RecordNotFound:
    return RecordNotFound("No record of yours has this type and id.")
