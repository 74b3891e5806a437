"""The parts of a multipart upload: sign them, list them."""

from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app import errors
from app.core.parts import MAX_PARTS
from app.http.file_fields import ChecksumMd5
from app.http.lean_route import LeanRoute
from app.http.permissions import LINKS_CHARGED, CanUpload, Res, charge
from app.http.problems import responses
from app.http.rendering import long_json_response, members
from app.http.upload_bodies import PartsBody, parts_json
from app.uploads.parts import list_parts, sign_parts

router = APIRouter(prefix="/v1", tags=["uploads"], route_class=LeanRoute)

_PROBLEMS = (
    errors.UploadNotFound,
    errors.UploadNotMultipart,
    errors.UploadNotPending,
    errors.BucketRefused,
    errors.BucketUnavailable,
    errors.SigningUnavailable,
    errors.DatabaseUnavailable,
)


class PartNumbersBody(BaseModel):
    """Parts to sign, numbered from 1."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"part_numbers": [101, 102, 103]}}
    )

    part_numbers: Annotated[
        list[Annotated[int, Field(strict=True, ge=1, le=MAX_PARTS)]],
        Field(min_length=1, max_length=1000),
    ]
    checksums_md5: Annotated[
        list[ChecksumMd5] | None,
        Field(
            max_length=1000,
            description="Base64 of the MD5 of each, in the same order, where the upload has "
            "`integrity`. A part is announced with one MD5, for good",
        ),
    ] = None

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if self.checksums_md5 is not None and len(self.checksums_md5) != len(self.part_numbers):
            raise ValueError("checksums_md5 must have one for each of part_numbers")
        return self


class KnownPartBody(BaseModel):
    """A part that has arrived: its bytes, and its ETag as long as the bucket tells it."""

    part_number: int
    size: int
    etag: str | None
    checksum_md5: str | None = Field(
        default=None,
        description="Base64, of its bytes; null where nothing vouches for them: send it again. "
        "Left out where the upload has no `integrity`",
    )


class KnownPartsBody(BaseModel):
    """How the upload is cut, null where the client chooses, and the parts that have arrived."""

    part_size: int | None
    part_count: int | None
    parts: list[KnownPartBody]


_known_json, _known_part_json = (
    members(KnownPartsBody),
    members(KnownPartBody, but=("checksum_md5",)),
)
_known_part_with_md5_json = members(KnownPartBody)


@router.post(
    "/uploads/{upload_id}/parts",
    operation_id="signParts",
    response_model=PartsBody,
    summary="Get the URLs of parts, just in time",
    responses=responses(
        errors.UnknownPart,
        errors.ChecksumRequired,
        errors.PartDiffers,
        errors.UploadExpired,
        errors.UploadSessionExhausted,
        errors.SizeRequired,
        errors.SizeNotAllowed,
        *_PROBLEMS,
    ),
)
async def sign(
    upload_id: UUID, body: PartNumbersBody, caller: CanUpload, res: Res, request: Request
) -> Response:
    """Up to 1,000 parts, in the order asked for; each URL takes exactly the part's size.

    Asking keeps the upload alive. A part may be sent again, as long as the upload is pending.
    """
    await charge(request, caller, (len(body.part_numbers) - 1) // LINKS_CHARGED)
    signed = await sign_parts(res, caller, upload_id, body.part_numbers, body.checksums_md5)
    return await long_json_response(parts_json(res, signed))


@router.get(
    "/uploads/{upload_id}/parts",
    operation_id="listParts",
    response_model=KnownPartsBody,
    summary="See which parts have arrived",
    responses=responses(errors.UploadRejected, *_PROBLEMS),
)
async def list_upload_parts(upload_id: UUID, caller: CanUpload, res: Res) -> Response:
    """As the bucket lists them, for a client that goes on after a pause; also after completion."""
    known = await list_parts(res, caller, upload_id)
    part_json = _known_part_with_md5_json if known.integrity else _known_part_json
    return await long_json_response(_known_json(known) | {"parts": map(part_json, known.parts)})
