"""Records with the files in their fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.principal import Principal
from app.core.record_field import FieldPath
from app.db import records as db_records
from app.db.connections import Connection
from app.errors import FileNotFound
from app.files.reading import readable_by_urls
from app.models.files import File
from app.models.records import Record
from app.records.fields import declared_field, declared_fields, record_not_found
from app.runtime.resources import Resources
from app.turns import Turn


@dataclass(frozen=True, slots=True)
class Fields:
    """A record and the files in its fields, in order; fields that hold none are left out."""

    record: Record
    files: dict[str, list[File]]


async def get_record(res: Resources, caller: Principal, record_type: str, record_id: str) -> Fields:
    """The record with its files. Raises RecordNotFound, also for everybody else's."""
    found = await get_records(res, caller, record_type, [record_id])
    if record_id not in found:
        raise record_not_found()
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
        return await read_fields(db, caller, record_type, ids, fields)


async def read_fields(
    db: Connection,
    caller: Principal,
    record_type: str,
    ids: Sequence[str],
    wanted: Sequence[str] | None = None,
) -> dict[str, Fields]:
    """Read records that the caller may see, by id, on this connection; `wanted`: these fields."""
    found: dict[str, Fields] = {}
    turn = Turn()
    for record, field, file in await db_records.read_records(
        db, caller, record_type, list(set(ids)), wanted
    ):
        fields = found.setdefault(record.id, Fields(record, {}))
        if field is not None and file is not None:
            fields.files.setdefault(field, []).append(file)
        await turn.over()
    return found


async def uses_of(res: Resources, caller: Principal, file: File, limit: int) -> list[FieldPath]:
    """Where the caller's records hold the file, so many of them."""
    async with res.db.connection() as db:
        return await db_records.uses_of_file(db, file.id, caller, limit)


async def find_by_url(res: Resources, caller: Principal, url: str) -> UUID:
    """The id of the caller's confirmed file with this object URL. Raises FileNotFound."""
    [file] = await readable_by_urls(res, caller, [url])
    if file is None:
        raise FileNotFound("No file of yours has this URL.")
    return file.id
