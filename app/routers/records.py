"""Put files into the fields of other systems' records, and read them back with links."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app import errors
from app.core.preconditions import Preconditions
from app.core.principal import Principal
from app.core.record_field import MAX_FILES, FieldPath, is_record_id
from app.core.scans import Scan
from app.files.links import Link, NotServed, read_links, scan_of
from app.http.attach_to import FieldName, RecordId, RecordType
from app.http.lean_route import LeanRoute
from app.http.permissions import LINKS_CHARGED, CanReadRecords, CanWriteRecords, Res, charge
from app.http.problems import headers, responses, validation_problem
from app.http.rendering import (
    FILE_EXAMPLE,
    MayEndSooner,
    Moment,
    ends_sooner,
    json_response,
    long_json_response,
    members,
    signed,
)
from app.models.files import File
from app.records.fields import MAX_RECORDS, declared_fields, etag_of
from app.records.reading import Fields, find_by_url, get_record, get_records
from app.records.writing import clear_field, forget_record, put_files
from app.runtime.resources import Resources
from app.turns import Turn

# In an answer with several records. One alone has as many as its fields take.
MAX_LINKS = 1000

router = APIRouter(prefix="/v1/records", tags=["records"], route_class=LeanRoute)


class RecordFile(BaseModel):
    """A file in a field. `url` is for keeping; `presigned_url` is for reading, and expires."""

    file_id: UUID
    url: str
    scan: Scan | None
    presigned_url: str | None = Field(description="Null until the file may be read: see `scan`")
    presigned_url_expires_at: Moment | None
    may_end_sooner: MayEndSooner = False
    filename: str
    content_type: str
    size: int = Field(description="Bytes")


_SIGNED = ("presigned_url", "presigned_url_expires_at", "may_end_sooner")
_members = members(RecordFile, but=("file_id", "scan", *_SIGNED))
_FILE_EXAMPLE = {
    "file_id": FILE_EXAMPLE["id"],
    **{name: FILE_EXAMPLE[name] for name in RecordFile.model_fields if name in FILE_EXAMPLE},
}
_EXAMPLE: dict[str, Any] = {
    "type": "product",
    "id": "42",
    "etag": '"019ac8a0-8f1e-7d54-8a3f-0f6f3b1f9a51"',
    "fields": {"picture": _FILE_EXAMPLE, "gallery": []},
}


class RecordBody(BaseModel):
    """A record: in each of its fields a file or null, or, where the field takes many, a list."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    type: str
    id: str
    etag: str = Field(description="For If-Match; another after every change")
    fields: dict[str, RecordFile | list[RecordFile] | None]


class Records(BaseModel):
    """The records there are, in the order asked for; `missing` has the ids of the others."""

    items: list[RecordBody]
    missing: list[str]


class FilesBody(BaseModel):
    """The files that a field shall hold: one by id or URL; where it takes many, a list of ids."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"file_id": FILE_EXAMPLE["id"]}}
    )

    file_id: UUID | None = None
    url: Annotated[str, StringConstraints(max_length=8192)] | None = None
    file_ids: Annotated[list[UUID], Field(max_length=MAX_FILES)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if [self.file_id, self.url, self.file_ids].count(None) != 2:
            raise ValueError("give one of file_id, url and file_ids")
        if self.file_ids is not None and len(set(self.file_ids)) < len(self.file_ids):
            raise ValueError("file_ids holds a file twice")
        return self


def _unfit(message: str, *where: str) -> errors.ValidationFailed:
    """The problem for a value that is checked here, in the form of those that the models check."""
    return validation_problem([{"type": "value_error", "loc": where, "msg": message}])


async def _conditions(
    if_match: Annotated[
        str | None,
        Header(description="The record's ETag; `*`: the field holds something", max_length=4096),
    ] = None,
    if_none_match: Annotated[
        str | None, Header(description="`*`: the field is empty", max_length=4096)
    ] = None,
) -> Preconditions:
    try:
        return Preconditions.parse(if_match, if_none_match)
    except ValueError as error:
        raise _unfit(f"If-Match or If-None-Match is {error}", "header") from None


Conditions = Annotated[Preconditions, Depends(_conditions)]

_ETAG = headers({"ETag": "The record's version, for If-Match"})
_CHANGE_PROBLEMS = (
    errors.UnknownRecordField,
    errors.PreconditionFailed,
    errors.RecordNotFound,
    errors.DatabaseUnavailable,
)


def _links_in(found: Fields, wanted: Sequence[str] | None) -> int:
    return sum(len(files) for name, files in found.files.items() if not wanted or name in wanted)


async def _charge_links(request: Request, caller: Principal, count: int) -> None:
    """Count the request as one for each 100 links. Raises TooManyRequests."""
    await charge(request, caller, max(0, count - 1) // LINKS_CHARGED)


async def _record_json(
    res: Resources,
    record_type: str,
    found: Sequence[Fields],
    wanted: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """The JSON of each record (`RecordBody`), all links signed in one pass.

    `wanted`: these fields alone.
    """
    declared = declared_fields(res, record_type)
    names = declared if wanted is None else wanted
    # A field that is no longer declared keeps its files, which are shown when it is declared again.
    shown = [file for one in found for name in names for file in one.files.get(name, ())]
    made = await read_links(res, shown)
    links, sooner = dict(zip(map(id, shown), made, strict=True)), ends_sooner(res)
    items, turn = [], Turn()
    for one in found:
        fields = {}
        for name in names:
            files = one.files.get(name, ())
            fields[name] = _field_json(res, files, links, sooner, many=declared[name].many)
            await turn.over()
        record = one.record
        items.append(
            {"type": record.type, "id": record.id, "etag": etag_of(record), "fields": fields}
        )
    return items


def _field_json(
    res: Resources,
    files: Sequence[File],
    links: Mapping[int, Link | NotServed],
    sooner: dict[str, bool],
    *,
    many: bool,
) -> Any:
    shown = [
        {
            "file_id": file.id,
            "scan": scan_of(res, file),
            **signed(links[id(file)]),
            **sooner,
            **_members(file),
        }
        for file in files
    ]
    if many:
        return shown
    return shown[0] if shown else None


@router.put(
    "/{record_type}/{record_id}/{field}",
    operation_id="putRecordFiles",
    response_model=RecordBody,
    summary="Put files into a field",
    responses={
        **responses(
            errors.FileNotFound,
            errors.WrongDestination,
            errors.TooManyFiles,
            errors.SigningUnavailable,
            *_CHANGE_PROBLEMS,
        ),
        200: _ETAG,
    },
)
async def put(
    record_type: RecordType,
    record_id: RecordId,
    field: FieldName,
    body: FilesBody,
    conditions: Conditions,
    caller: CanWriteRecords,
    res: Res,
) -> Response:
    """Replaces what the field holds with confirmed files of yours; the old ones stay files.

    The record is made if there is none. Repeating it changes nothing.
    """
    if body.file_ids is not None:
        wanted = body.file_ids
    elif body.file_id is not None:
        wanted = [body.file_id]
    else:
        wanted = [await find_by_url(res, caller, body.url or "")]
    path = FieldPath(record_type, record_id, field)
    return await _record_response(res, await put_files(res, caller, path, wanted, conditions))


async def _record_response(res: Resources, found: Fields) -> Response:
    [body] = await _record_json(res, found.record.type, [found])
    return json_response(body, {"ETag": body["etag"]})


@router.get(
    "/{record_type}/{record_id}",
    operation_id="getRecord",
    response_model=RecordBody,
    summary="Get a record's files with fresh links",
    responses={
        **responses(
            errors.UnknownRecordField,
            errors.RecordNotFound,
            errors.SigningUnavailable,
            errors.DatabaseUnavailable,
        ),
        200: _ETAG,
    },
)
async def get(
    record_type: RecordType,
    record_id: RecordId,
    caller: CanReadRecords,
    res: Res,
    request: Request,
) -> Response:
    """All its fields. The ETag stands for what they hold; links are renewed without changing it."""
    found = await get_record(res, caller, record_type, record_id)
    await _charge_links(request, caller, _links_in(found, None))
    return await _record_response(res, found)


@router.get(
    "/{record_type}",
    operation_id="getRecords",
    response_model=Records,
    summary="Get up to 200 records at once",
    responses=responses(
        errors.UnknownRecordField, errors.SigningUnavailable, errors.DatabaseUnavailable
    ),
)
async def get_many(
    record_type: RecordType,
    ids: Annotated[
        # 200 UUIDs and their commas; servers and proxies refuse URLs that are much longer.
        str, Query(max_length=8_192, description="Up to 200 ids, separated by commas")
    ],
    caller: CanReadRecords,
    res: Res,
    request: Request,
    fields: Annotated[
        str | None,
        Query(max_length=1_024, description="These fields alone, separated by commas"),
    ] = None,
) -> Response:
    """For a page that shows many: one query, all links signed in one pass, at most 1,000."""
    asked = list(dict.fromkeys(ids.split(",")))
    if len(asked) > MAX_RECORDS:
        raise _unfit(f"names more than {MAX_RECORDS} records", "query", "ids")
    if not all(map(is_record_id, asked)):
        raise _unfit("holds what cannot be a record's id", "query", "ids")
    wanted = None if fields is None else list(dict.fromkeys(fields.split(",")))
    found = await get_records(res, caller, record_type, asked, wanted)
    count = sum(_links_in(one, wanted) for one in found.values())
    if len(found) > 1 and count > MAX_LINKS:
        raise _unfit(
            f"these records hold {count} files, and an answer has links to at most {MAX_LINKS}: "
            "ask for fewer of them at once, or for fewer fields",
            *("query", "ids"),
        )
    await _charge_links(request, caller, count)
    there = [found[record_id] for record_id in asked if record_id in found]
    items = await _record_json(res, record_type, there, wanted)
    missing = [one for one in asked if one not in found]
    return await long_json_response({"items": items, "missing": missing})


@router.delete(
    "/{record_type}/{record_id}/{field}",
    operation_id="clearRecordField",
    summary="Take out what a field holds",
    status_code=204,
    responses={**responses(*_CHANGE_PROBLEMS), 204: _ETAG},
)
async def clear(
    record_type: RecordType,
    record_id: RecordId,
    field: FieldName,
    conditions: Conditions,
    caller: CanWriteRecords,
    res: Res,
) -> Response:
    """The files stay files, and their objects stay in the bucket. Repeating it is no error."""
    path = FieldPath(record_type, record_id, field)
    record = await clear_field(res, caller, path, conditions)
    return Response(status_code=204, headers={"ETag": etag_of(record)})


@router.delete(
    "/{record_type}/{record_id}",
    operation_id="forgetRecord",
    summary="Forget a record",
    status_code=204,
    responses=responses(*_CHANGE_PROBLEMS),
)
async def forget(
    record_type: RecordType,
    record_id: RecordId,
    conditions: Conditions,
    caller: CanWriteRecords,
    res: Res,
) -> Response:
    """Takes out what all its fields hold. The files stay files, and their objects stay."""
    await forget_record(res, caller, record_type, record_id, conditions)
    return Response(status_code=204)
