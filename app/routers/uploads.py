"""Announce, follow, renew, confirm and cancel uploads."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SkipValidation,
    StringConstraints,
    ValidationError,
)

from app import errors
from app.core.content_types import MAX_GIVEN_TYPE, announced_content_type
from app.core.destination import MAX_DESTINATION
from app.core.key_normalizer import MAX_GIVEN_NAME
from app.http.attach_to import ATTACH_PROBLEMS, AttachTo, field_path
from app.http.file_fields import ChecksumMd5, GivenMetadata, GivenPath
from app.http.idempotency import IDEMPOTENCY_PROBLEMS, IdempotencyKey, once
from app.http.lean_route import LeanRoute
from app.http.permissions import CanUpload, Res, charge
from app.http.problems import (
    ProblemBody,
    headers,
    problem_body,
    request_id_of,
    responses,
    validation_problem,
)
from app.http.rendering import FileBody, json_response, long_json_response
from app.http.upload_bodies import (
    COMPLETING,
    AnnouncedBody,
    ExistingBody,
    UploadBody,
    announced_json,
    confirmed_response,
    upload_json,
)
from app.turns import Turn
from app.uploads.announce import announce_files, renew_upload
from app.uploads.confirm import confirm_upload
from app.uploads.lookup import get_upload
from app.uploads.remove import cancel_upload
from app.uploads.rules import Announcement

router = APIRouter(prefix="/v1", tags=["uploads"], route_class=LeanRoute)

MAX_BATCH = 100

_BUCKET_PROBLEMS = (errors.BucketRefused, errors.BucketUnavailable, errors.DatabaseUnavailable)
_ANNOUNCE_PROBLEMS = (
    errors.UnknownDestination,
    errors.DestinationForbidden,
    errors.UploadSessionExhausted,
    errors.QuotaExceeded,
    errors.InvalidFilename,
    errors.ContentTypeNotAllowed,
    errors.ExtensionNotAllowed,
    errors.SizeNotAllowed,
    errors.ChecksumRequired,
    errors.KeyExhausted,
    errors.SigningUnavailable,
    *IDEMPOTENCY_PROBLEMS,
    *_BUCKET_PROBLEMS,
)
_EXAMPLE: dict[str, Any] = {
    "destination": "images",
    "filename": "Holiday.png",
    "content_type": "image/png",
    "size": 48213,
}


class AnnouncementBody(BaseModel):
    """A file that is about to be uploaded."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    destination: Annotated[str, StringConstraints(min_length=1, max_length=MAX_DESTINATION)]
    filename: Annotated[
        str,
        StringConstraints(max_length=MAX_GIVEN_NAME),
        Field(description="As the user has it, any script"),
    ]
    content_type: Annotated[
        str | None,
        Field(
            description="As the browser has it. From the extension, if there is none or it cannot "
            "be a type",
            max_length=MAX_GIVEN_TYPE,
        ),
        AfterValidator(announced_content_type),
    ] = None
    # No JSON number beyond is sure to arrive as it was meant (RFC 8259 section 6).
    size: Annotated[int, Field(strict=True, ge=0, lt=2**53, description="Bytes, exactly")]
    checksum_sha256: Annotated[
        str | None,
        Field(
            max_length=44,
            pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
            description="Base64 of the SHA-256 of the bytes. The bucket may compare it, but never "
            "for files in parts: see the file's `checksum_verified`",
        ),
    ] = None
    checksum_md5: Annotated[
        ChecksumMd5 | None,
        Field(
            description="Base64 of the MD5 of the bytes. Needed where the destination has "
            "`integrity` and the file goes in one request; else it is ignored"
        ),
    ] = None
    path: GivenPath | None = None
    metadata: GivenMetadata | None = None


class BatchBody(BaseModel):
    """Files that are about to be uploaded together."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"uploads": [_EXAMPLE]}}
    )

    # Each is validated by itself, so that one that is badly formed does not refuse the others.
    uploads: Annotated[
        list[SkipValidation[AnnouncementBody]], Field(min_length=1, max_length=MAX_BATCH)
    ]


class RefusedBody(BaseModel):
    """One announcement of a batch that was refused."""

    problem: ProblemBody


class BatchAnswer(BaseModel):
    """The answers, in the order of the announcements: announced uploads and problems."""

    uploads: list[AnnouncedBody | ExistingBody | RefusedBody]


def _parsed_or_refused(raw: object) -> Announcement | errors.Problem:
    """One announcement of a batch, or what is wrong with it."""
    try:
        return Announcement(**vars(AnnouncementBody.model_validate(raw)))
    except ValidationError as error:
        return validation_problem(error.errors())


@router.post(
    "/uploads",
    operation_id="announceUpload",
    response_model=AnnouncedBody,
    summary="Announce a file and get the instructions to upload it",
    status_code=201,
    responses={
        **responses(*_ANNOUNCE_PROBLEMS),
        200: {"model": ExistingBody, "description": "The bytes are there already, as this file"},
        201: headers({"Location": "Where to follow the upload"}),
    },
)
async def announce(
    body: AnnouncementBody, caller: CanUpload, res: Res, idempotency_key: IdempotencyKey = None
) -> Response:
    """Checks the destination's rules, stores the upload, and signs a POST form, a PUT, or parts.

    Send the bytes to the bucket as `upload` says, then confirm. A repeat with the same
    Idempotency-Key gives the same upload with fresh instructions, or the file that it has become.
    """
    announcement = Announcement(**vars(body))
    key = once(caller, idempotency_key, body)
    [answer] = await announce_files(res, caller, [announcement], key)
    if isinstance(answer, errors.Problem):
        raise answer
    content = await announced_json(res, answer)
    if answer.instructions is None:
        return json_response(content)
    return json_response(content, {"Location": f"/v1/uploads/{answer.file.id}"}, 201)


@router.post(
    "/uploads/batch",
    operation_id="announceUploads",
    response_model=BatchAnswer,
    summary="Announce up to 100 files at once",
    responses=responses(*_ANNOUNCE_PROBLEMS),
)
async def announce_batch(
    body: BatchBody,
    caller: CanUpload,
    res: Res,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answers in order, each with its own upload or its own problem. A repeat with the same
    Idempotency-Key gives the same uploads with fresh instructions, and tries the others again.
    """
    await charge(request, caller, len(body.uploads) - 1)
    parsed, turn = [], Turn()
    for one in body.uploads:
        parsed.append(_parsed_or_refused(one))
        await turn.over()
    key = once(caller, idempotency_key, body)
    answers = await announce_files(res, caller, parsed, key)
    request_id = request_id_of(request.scope)
    return await long_json_response(
        {
            "uploads": [
                {"problem": problem_body(answer, request_id)}
                if isinstance(answer, errors.Problem)
                else await announced_json(res, answer)
                for answer in answers
            ]
        }
    )


@router.get(
    "/uploads/{upload_id}",
    operation_id="getUpload",
    response_model=UploadBody,
    summary="See where an upload is",
    responses=responses(errors.UploadNotFound, errors.DatabaseUnavailable),
)
async def get(upload_id: UUID, caller: CanUpload, res: Res) -> Response:
    """State and reason; never signed instructions, which `renew` gives."""
    file = await get_upload(res, caller, upload_id)
    return json_response(upload_json(file))


@router.post(
    "/uploads/{upload_id}/renew",
    operation_id="renewUpload",
    response_model=AnnouncedBody,
    summary="Get fresh instructions for a pending upload",
    responses=responses(
        errors.UploadNotFound,
        errors.UploadNotPending,
        errors.UploadExpired,
        errors.PartsNotOffered,
        errors.UploadSessionExhausted,
        errors.SigningUnavailable,
        *_BUCKET_PROBLEMS,
    ),
)
async def renew(upload_id: UUID, caller: CanUpload, res: Res) -> Response:
    """Signs the same key anew, for an upload whose instructions expired or will soon."""
    return json_response(await announced_json(res, await renew_upload(res, caller, upload_id)))


class ConfirmBody(BaseModel):
    """A record that the file goes into as the upload becomes a file."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"attach_to": None}},
    )

    attach_to: AttachTo | None = None


@router.post(
    "/uploads/{upload_id}/confirm",
    operation_id="confirmUpload",
    response_model=FileBody,
    summary="Say that the bytes are there",
    responses={
        **responses(
            errors.UploadNotFound,
            errors.UploadNotArrived,
            errors.UploadRejected,
            errors.UploadNotPending,
            errors.SigningUnavailable,
            *_BUCKET_PROBLEMS,
            *ATTACH_PROBLEMS,
        ),
        **COMPLETING,
    },
)
async def confirm(
    upload_id: UUID, caller: CanUpload, res: Res, body: ConfirmBody | None = None
) -> Response:
    """Asks the bucket what it holds, compares it with the announcement, and gives the file.

    Repeating it gives the same file. The parts of a multipart upload are joined first; what is
    missing is named, and what takes long answers 202. No body is needed; with `attach_to` the file
    goes into a field of a record as it is confirmed, or neither happens.
    """
    attach_to = field_path(caller, None if body is None else body.attach_to)
    file = await confirm_upload(res, caller, upload_id, attach_to=attach_to)
    return await confirmed_response(res, file)


@router.delete(
    "/uploads/{upload_id}",
    operation_id="cancelUpload",
    summary="Forget an upload",
    status_code=204,
    responses=responses(
        errors.UploadNotFound, errors.UploadNotPending, errors.RemovalUnderWay, *_BUCKET_PROBLEMS
    ),
)
async def cancel(upload_id: UUID, caller: CanUpload, res: Res) -> Response:
    """For pending and rejected uploads; what arrived of the bytes is deleted, parts included."""
    await cancel_upload(res, caller, upload_id)
    return Response(status_code=204)
