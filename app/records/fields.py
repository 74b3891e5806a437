"""The fields that records have, who may change them, and what may go there."""

from collections.abc import Mapping
from typing import Final

from app.core.principal import Principal, SessionField, missing_scopes
from app.core.record_field import FieldPath, RecordField
from app.db import records as db_records
from app.errors import InsufficientScope, RecordNotFound, UnknownRecordField, WrongDestination
from app.models.files import File
from app.models.records import Record
from app.runtime.resources import Resources

MAX_RECORDS: Final = 200


def declared_fields(res: Resources, record_type: str) -> Mapping[str, RecordField]:
    """The fields that records of this type have. Raises UnknownRecordField."""
    found = res.settings.records.get(record_type)
    if found is None:
        raise UnknownRecordField(f"No records of type {record_type!r} are configured here.")
    return found


def declared_field(res: Resources, record_type: str, field: str) -> RecordField:
    """One field that records of this type have. Raises UnknownRecordField."""
    fields = declared_fields(res, record_type)
    if field not in fields:
        raise UnknownRecordField(
            f"Records of type {record_type} have no field {field!r}; "
            f"they have: {', '.join(sorted(fields))}."
        )
    return fields[field]


def writable_field(res: Resources, caller: Principal, record_type: str, name: str) -> RecordField:
    """A field that the caller may change. Raises UnknownRecordField, InsufficientScope.

    In an upload session no scope is asked for: whoever made it for the field had to hold it.
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


def check_field(
    res: Resources, caller: Principal, path: FieldPath, destination: str
) -> RecordField:
    """The field, if the caller may put files of the destination there, as far as that is known
    without the record. Raises UnknownRecordField, InsufficientScope, WrongDestination.
    """
    field = writable_field(res, caller, path.type, path.field)
    check_destination(field, path, destination)
    return field


async def session_field(
    res: Resources, caller: Principal, path: FieldPath, destination: str
) -> SessionField:
    """The field for what an upload session of the caller's will confirm.

    Files of any owner go there by the right of the session's maker. Raises
    UnknownRecordField, InsufficientScope, WrongDestination and RecordNotFound.
    """
    check_field(res, caller, path, destination)
    async with res.db.connection() as db:
        owner = await db_records.owner_of_record(db, caller.tenant, path.type, path.id)
    if owner not in {None, caller.owner} and not caller.sees_tenant:
        raise record_not_found()
    return SessionField(*path, owner or caller.owner)


def etag_of(record: Record) -> str:
    """The record's ETag: every change of any field changes it; new links do not."""
    return f'"{record.version}"'


def check_destination(field: RecordField, path: FieldPath, destination: str) -> None:
    if destination != field.destination:
        raise WrongDestination(
            f"Field {path.field} takes files of destination {field.destination}, "
            f"not of {destination}.",
            destination=field.destination,
        )


def may_use(thing: Record | File, caller: Principal) -> bool:
    """Whether the caller may use it."""
    return thing.tenant == caller.tenant and (caller.sees_tenant or thing.owner == caller.owner)


def record_not_found() -> RecordNotFound:
    return RecordNotFound("No record of yours has this type and id.")
