"""The parts of a multipart upload: sign them, list them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app import errors
from app.core.parts import MAX_PARTS
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


class KnownPartBody(BaseModel):
    """A part that has arrived: its bytes, and its ETag as long as the bucket tells it."""

    part_number: int
    size: int
    etag: str | None


class KnownPartsBody(BaseModel):
    """How the upload is cut, null where the client chooses, and the parts that have arrived."""

    part_size: int | None
    part_count: int | None
    parts: list[KnownPartBody]


_known_json, _known_part_json = members(KnownPartsBody), members(KnownPartBody)


@router.post(
    "/uploads/{upload_id}/parts",
    operation_id="signParts",
    response_model=PartsBody,
    summary="Get the URLs of parts, just in time",
    responses=responses(
        errors.UnknownPart,
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
    signed = await sign_parts(res, caller, upload_id, body.part_numbers)
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
    return await long_json_response(
        _known_json(known) | {"parts": map(_known_part_json, known.parts)}
    )
