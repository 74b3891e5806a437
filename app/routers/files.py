"""Keep, list, read and delete files."""

import urllib.parse
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from app import errors
from app.core.content_types import normalize_content_type
from app.core.ids import first_uuid7
from app.core.key_normalizer import MAX_GIVEN_NAME
from app.core.metadata import MAX_ENTRIES
from app.core.narrowing import Narrowing
from app.files.reading import MAX_PAGE, get_file, list_files
from app.http.attach_to import ATTACH_PROBLEMS, AttachTo, field_path
from app.http.file_fields import METADATA_RULES, MetadataName, MetadataValue
from app.http.lean_route import LeanRoute
from app.http.permissions import CanDelete, CanRead, CanUpload, Res
from app.http.problems import headers, responses
from app.http.rendering import FILE_EXAMPLE, FileBody, file_json, file_response, json_response
from app.http.upload_bodies import COMPLETING, confirmed_response
from app.runtime.resources import in_utc
from app.uploads.change import FileChange, change_file
from app.uploads.confirm import confirm_key, confirm_url
from app.uploads.remove import release_file, remove_file

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=LeanRoute)

_READ_PROBLEMS = (errors.SigningUnavailable, errors.DatabaseUnavailable)
# What S3 takes for a key, less the control characters that PostgreSQL and XML refuse.
_Key = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Url = Annotated[str, StringConstraints(max_length=8192)]


class ObjectReference(BaseModel):
    """An uploaded object: by its `url`, or by `destination` and `key`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"url": FILE_EXAMPLE["url"]}}
    )

    url: _Url | None = None
    key: _Key | None = None
    destination: Annotated[str, StringConstraints(max_length=100)] | None = None
    attach_to: AttachTo | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_url = self.url is not None
        by_key = self.key is not None and self.destination is not None
        more = self.key is not None or self.destination is not None
        if by_url == by_key or (by_url and more):
            raise ValueError("give either url, or key and destination")
        return self


# Before the names of metadata that a list is asked for.
_METADATA: Final = "metadata."


def _refused(name: str, words: str) -> ValidationError:
    """The error of this parameter alone, as pydantic makes it of fields that it knows."""
    error = PydanticCustomError("parameter", "{words}", {"words": words})
    return ValidationError.from_exception_data(
        "ListParameters", [{"type": error, "loc": (name,), "input": None}]
    )


class FilePage(BaseModel):
    """Files, newest first; pass `next_cursor` as `cursor` for the next page, null at the end."""

    items: list[FileBody]
    next_cursor: str | None
    incomplete: bool = Field(
        default=False,
        description="With `q` or `metadata`: true where the search has stopped after as many files "
        "as one page may look at. There may be more behind `next_cursor`, even if there is none "
        "here",
    )


def _listable(moment: datetime) -> datetime:
    # Lists are sorted by UUIDv7, which begins in 1970; the calendar's ends survive no time zone.
    if not 1971 <= moment.year <= 9998:
        raise ValueError("must lie in the years 1971 to 9998")
    return in_utc(moment)


_Bound = Annotated[datetime, AfterValidator(_listable)]


class ListParameters(BaseModel):
    """Which files to list, and which page of them.

    Also `metadata.<name>=<value>`, whose names OpenAPI cannot say.
    """

    model_config = ConfigDict(extra="allow")

    destination: Annotated[str | None, Field(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")] = None
    content_type: Annotated[
        str | None,
        Field(
            description="Exact, or a family such as `image/*`",
            max_length=255,
            pattern=r"^[A-Za-z0-9.+-]+/(\*|[\x20-\x7e]+)$",
        ),
    ] = None
    created_after: Annotated[_Bound | None, Field(description="At or after this moment")] = None
    created_before: Annotated[_Bound | None, Field(description="Before this moment")] = None
    attached: Annotated[
        Literal["false"] | None, Field(description="`false`: files that no record holds")
    ] = None
    q: Annotated[
        str,
        Field(
            description="Words or parts of words that a file's name has, whatever the case. Beside "
            "it, or instead, `metadata.<name>=<value>` finds files with this metadata, as "
            "`metadata.album=spring`; several take files that have them all. Numbers and booleans "
            "are written as in JSON",
            max_length=200,
        ),
    ] = ""
    cursor: Annotated[str, StringConstraints(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50

    @property
    def metadata(self) -> dict[str, str]:
        """The values asked for, by name."""
        more: dict[str, str] = self.model_extra or {}
        return {name.removeprefix(_METADATA): value for name, value in more.items()}

    @model_validator(mode="after")
    def _known(self) -> Self:
        for number, name in enumerate(self.model_extra or {}):
            if not name.startswith(_METADATA):
                raise _refused(name, "there is no such parameter")
            if number == MAX_ENTRIES:
                raise _refused(name, f"ask for at most {MAX_ENTRIES} names")
        return self

    def narrowing(self) -> Narrowing:
        """These filters for the database: moments as ids, a content type in normal form."""
        return Narrowing(
            destination=self.destination,
            content_type=self.content_type and normalize_content_type(self.content_type),
            first=first_uuid7(self.created_after) if self.created_after else None,
            end=first_uuid7(self.created_before) if self.created_before else None,
            loose=self.attached == "false",
            q=self.q.strip(),
            metadata=tuple(self.metadata.items()),
        )


@router.post(
    "",
    operation_id="storeFile",
    response_model=FileBody,
    summary="Confirm an upload by the object's URL or key",
    responses={
        **responses(
            errors.UrlNotOurs,
            errors.UnknownDestination,
            errors.UploadNotFound,
            errors.UploadNotArrived,
            errors.UploadRejected,
            errors.UploadNotPending,
            errors.BucketRefused,
            errors.BucketUnavailable,
            *ATTACH_PROBLEMS,
            *_READ_PROBLEMS,
        ),
        **COMPLETING,
    },
)
async def store(body: ObjectReference, caller: CanUpload, res: Res) -> Response:
    """For clients that end by sending the object's URL to be stored. The URL is parsed, looked up
    and never fetched; the bucket is asked, as in confirm. Repeating it gives the same file.
    """
    attach_to = field_path(caller, body.attach_to)
    if body.url is not None:
        file = await confirm_url(res, caller, body.url, attach_to=attach_to)
    else:
        assert body.destination is not None
        assert body.key is not None
        file = await confirm_key(res, caller, body.destination, body.key, attach_to=attach_to)
    return await confirmed_response(res, file)


@router.get(
    "",
    operation_id="listFiles",
    response_model=FilePage,
    summary="List files, newest first",
    responses={
        **responses(errors.InvalidCursor, *_READ_PROBLEMS),
        200: headers({"Link": "The next page, as rel=next; absent on the last"}),
    },
)
async def list_own_files(
    asked: Annotated[ListParameters, Query()],
    caller: CanRead,
    res: Res,
    request: Request,
) -> Response:
    """Pages by cursor; the `Link` header has the next page's address (RFC 8288).

    With `q` or `metadata.<name>` a page may be shorter than `limit`: only without `next_cursor` is
    it the last.
    """
    narrowing = asked.narrowing()
    files, next_cursor = await list_files(
        res, caller, narrowing, cursor=asked.cursor, limit=asked.limit
    )
    headers = {}
    if next_cursor is not None:
        others = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
        parameters = urllib.parse.urlencode([*others, ("cursor", next_cursor)])
        headers["Link"] = f'</v1/files?{parameters}>; rel="next"'
    body: dict[str, Any] = {"items": await file_json(res, files), "next_cursor": next_cursor}
    if narrowing.is_search:
        body["incomplete"] = next_cursor is not None and len(files) < asked.limit
    return json_response(body, headers)


@router.get(
    "/{file_id}",
    operation_id="getFile",
    response_model=FileBody,
    summary="Get a file with a fresh link",
    responses=responses(errors.FileNotFound, *_READ_PROBLEMS),
)
async def get(file_id: UUID, caller: CanRead, res: Res) -> Response:
    """The confirmed file. `presigned_url` reads the very bytes that were confirmed."""
    return await file_response(res, await get_file(res, caller, file_id))


class ChangeBody(BaseModel):
    """Changes of a file; the rest of it stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"filename": "Harbour.png", "metadata": {"page": 4}}},
    )

    filename: Annotated[
        str | None,
        Field(
            description="The name to show and to save under, of an ending that the destination "
            "takes. The key stays, and links that were made before keep the old name",
            max_length=MAX_GIVEN_NAME,
        ),
    ] = None
    metadata: Annotated[
        Annotated[
            # Those that it has may all be replaced at once.
            dict[MetadataName, MetadataValue | None], Field(max_length=2 * MAX_ENTRIES)
        ]
        | None,
        Field(
            description="Names to set, with null to take out; others stay (RFC 7396). Null takes "
            f"out all. Then there may be {METADATA_RULES}"
        ),
    ] = None


@router.patch(
    "/{file_id}",
    operation_id="changeFile",
    response_model=FileBody,
    summary="Change a file's name or metadata",
    responses=responses(
        errors.FileNotFound,
        errors.InvalidFilename,
        errors.ExtensionNotAllowed,
        *_READ_PROBLEMS,
    ),
)
async def change(file_id: UUID, body: ChangeBody, caller: CanUpload, res: Res) -> Response:
    """Neither the bytes nor the key change."""
    takes_all_out = body.metadata is None and "metadata" in body.model_fields_set
    asked = FileChange(body.filename, body.metadata, replaces=takes_all_out)
    return await file_response(res, await change_file(res, caller, file_id, asked))


@router.delete(
    "/{file_id}",
    operation_id="deleteFile",
    summary="Forget a file, or delete it with its object",
    status_code=204,
    responses=responses(
        errors.FileNotFound,
        errors.FileInUse,
        errors.RemovalUnderWay,
        errors.BucketRefused,
        errors.BucketUnavailable,
        errors.DatabaseUnavailable,
    ),
)
async def delete(
    file_id: UUID,
    caller: CanDelete,
    res: Res,
    object: Annotated[  # noqa: A002
        Literal["keep", "delete"],
        Query(description="`delete`: the object goes too, with every version of its key"),
    ] = "keep",
) -> Response:
    """By default the file goes from the API and the object stays in the bucket.

    Not while the field of a record holds the file.
    """
    if object == "delete":
        await remove_file(res, caller, file_id)
    else:
        await release_file(res, caller, file_id)
    return Response(status_code=204)
