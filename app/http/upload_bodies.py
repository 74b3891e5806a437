"""An upload as JSON, with its instructions, for the routes of uploads and files."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from app.http.problems import headers
from app.http.rendering import (
    FILE_EXAMPLE,
    FileBody,
    MayEndSooner,
    ends_sooner,
    file_json,
    file_response,
    json_response,
    members,
    written_moment,
)
from app.models.files import File, State
from app.runtime.resources import Resources
from app.store.signer import Presigned, PresignedPost
from app.uploads.announce import Announced, Instructions
from app.uploads.parts import SignedParts

UPLOAD_EXAMPLE: dict[str, Any] = {
    "id": FILE_EXAMPLE["id"],
    "state": "pending",
    "reason": None,
    **{name: FILE_EXAMPLE[name] for name in ("destination", "key", "url", "filename")},
    "content_type": "image/png",
    "size": 48213,
    "expires_at": "2026-11-22T20:07:09Z",
}
_POST_EXAMPLE: dict[str, Any] = {
    "method": "POST",
    "url": "https://my-bucket.s3.eu-central-1.amazonaws.com/",
    "fields": {
        "key": FILE_EXAMPLE["key"],
        "bucket": "my-bucket",
        "content-type": "image/png",
        "x-amz-meta-claimcheck-id": FILE_EXAMPLE["id"],
        "success_action_status": "201",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20261122/eu-central-1/s3/aws4_request",
        "x-amz-date": "20261122T190709Z",
        "policy": "eyJleHBpcmF0aW9uIjoi...",
        "x-amz-signature": "9b55c8b69debc22f58a05b28a01a6e9df3abfeb7f8132eaa4aca06dddc0c4ac5",
    },
    "expires_at": "2026-11-22T20:07:09Z",
}


class PostInstructions(BaseModel):
    """Send `fields` in this order, then the file as `file`, as multipart/form-data."""

    method: Literal["POST"]
    url: str
    fields: dict[str, str]
    expires_at: datetime
    may_end_sooner: MayEndSooner = False


class PutInstructions(BaseModel):
    """Send the bytes as the body, with exactly these headers."""

    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: datetime
    may_end_sooner: MayEndSooner = False


class PartBody(BaseModel):
    """PUT exactly `size` bytes of the file to `url`, with `headers`, or else none of your own."""

    part_number: int
    url: str
    size: int | None = Field(description="Bytes; null where the client chooses part sizes")
    headers: dict[str, str] = Field(
        default={}, description="`content-md5`, where the upload has `integrity`; else left out"
    )


class PartsBody(BaseModel):
    """Parts to send. Their URLs end at `expires_at`."""

    parts: list[PartBody]
    expires_at: datetime
    may_end_sooner: MayEndSooner = False


class MultipartInstructions(BaseModel):
    """Cut the file every `part_size` bytes, and PUT each part to its URL, in any order.

    Here are the first up to 100 parts; `POST /v1/uploads/{id}/parts` gives the others, and all of
    them where there is `integrity`: it asks for their MD5s.
    """

    method: Literal["multipart"]
    integrity: Literal["md5"] | None = Field(
        default=None, description="Left out where no MD5s are asked for"
    )
    part_size: int
    part_count: int
    parts: list[PartBody]
    expires_at: datetime
    may_end_sooner: MayEndSooner = False


class UploadBody(BaseModel):
    """An upload and where it is. `reason` says why it was rejected."""

    model_config = ConfigDict(json_schema_extra={"example": UPLOAD_EXAMPLE})

    id: UUID
    state: str
    reason: str | None
    destination: str
    key: str
    url: str
    filename: str
    content_type: str
    size: int | None
    expires_at: datetime


class AnnouncedBody(UploadBody):
    """An upload with the instructions to send its bytes to the bucket."""

    model_config = ConfigDict(
        json_schema_extra={"example": {**UPLOAD_EXAMPLE, "upload": _POST_EXAMPLE}},
    )

    upload: PostInstructions | PutInstructions | MultipartInstructions


class ExistingBody(FileBody):
    """A file that has the announced bytes already: there is nothing to send."""

    model_config = ConfigDict(json_schema_extra={"example": {**FILE_EXAMPLE, "upload": None}})

    # Of type null alone it would be lost: openapi-fetch drops such members.
    upload: PostInstructions | PutInstructions | MultipartInstructions | None = Field(
        description="Always null"
    )


def upload_json(file: File) -> dict[str, Any]:
    """The JSON of `UploadBody`. Written out, for batches have many, as those of `file_json` are."""
    return {
        "id": str(file.id),
        "state": file.state,
        "reason": file.reason,
        "destination": file.destination,
        "key": file.key,
        "url": file.url,
        "filename": file.filename,
        "content_type": file.content_type,
        "size": file.size,
        "expires_at": written_moment(file.expires_at),
    }


_part_json = members(PartBody, but=("headers",))
_part_with_headers_json = members(PartBody)


def parts_json(res: Resources, signed: SignedParts) -> dict[str, Any]:
    """The JSON of `PartsBody`, for `long_json_response`: an iterator makes its parts."""
    with_headers = any(part.headers for part in signed.parts[:1])
    parts = map(_part_with_headers_json if with_headers else _part_json, signed.parts)
    return {"parts": parts, "expires_at": signed.expires_at, **ends_sooner(res)}


async def announced_json(res: Resources, announced: Announced) -> dict[str, Any]:
    """The JSON of `AnnouncedBody`, or of `ExistingBody` where nothing is to be sent."""
    if announced.instructions is None:
        [file] = await file_json(res, [announced.file])
        return {**file, "upload": None}
    return {**upload_json(announced.file), "upload": _instructions(res, announced.instructions)}


def _instructions(res: Resources, given: Instructions) -> dict[str, Any]:
    if isinstance(given, PresignedPost):
        body = {"method": "POST", "url": given.url, "fields": given.fields}
    elif isinstance(given, Presigned):
        body = {"method": "PUT", "url": given.url, "headers": given.headers}
    else:
        size, count = given.layout.part_size, given.layout.count
        said = parts_json(res, given.signed)
        said["parts"] = list(said["parts"])
        integrity = {} if given.integrity is None else {"integrity": given.integrity}
        cut = {"part_size": size, "part_count": count}
        return {"method": "multipart", **integrity, **cut, **said}
    return {**body, "expires_at": written_moment(given.expires_at), **ends_sooner(res)}


# OpenAPI's description of an answer to confirm for which the bucket has still to join the parts.
COMPLETING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": UploadBody,
        "description": "The bucket is still joining the parts: confirm again after `Retry-After`",
        **headers({"Retry-After": "Seconds"}),
    }
}


async def confirmed_response(res: Resources, file: File) -> Response:
    """The file; or, while the bucket is still joining its parts, the upload and when to ask."""
    if file.state != State.CONFIRMED:
        return json_response(upload_json(file), {"Retry-After": "2"}, 202)
    return await file_response(res, file)
