"""Announce, follow, renew, confirm and cancel uploads."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SkipValidation,
    StringConstraints,
    ValidationError,
)

from app import removals, uploads
from app.core.destination import CONTENT_TYPE
from app.errors import (
    BucketRefused,
    BucketUnavailable,
    ContentTypeNotAllowed,
    DatabaseUnavailable,
    ExtensionNotAllowed,
    InvalidFilename,
    KeyExhausted,
    Problem,
    RemovalUnderWay,
    SigningUnavailable,
    SizeNotAllowed,
    UnknownDestination,
    UploadNotArrived,
    UploadNotFound,
    UploadNotPending,
    UploadRejected,
)
from app.models import File
from app.routers.lean_route import LeanRoute
from app.routers.permissions import CanUpload, Res
from app.routers.problems import (
    ProblemBody,
    header,
    problem_body,
    request_id_of,
    responses,
    validation_problem,
)
from app.routers.rendering import FILE_EXAMPLE, FileBody, file_response, json_response
from app.signer import PresignedPost

router = APIRouter(prefix="/v1", tags=["uploads"], route_class=LeanRoute)

MAX_BATCH = 100

_ANNOUNCE_PROBLEMS = (
    UnknownDestination,
    InvalidFilename,
    ContentTypeNotAllowed,
    ExtensionNotAllowed,
    SizeNotAllowed,
    KeyExhausted,
    SigningUnavailable,
    DatabaseUnavailable,
)
_BUCKET_PROBLEMS = (BucketRefused, BucketUnavailable, DatabaseUnavailable)
_EXAMPLE: dict[str, Any] = {
    "destination": "images",
    "filename": "Holiday.png",
    "content_type": "image/png",
    "size": 48213,
}


class AnnouncementBody(BaseModel):
    """A file that is about to be uploaded."""

    model_config = ConfigDict(
        title="Announcement", extra="forbid", json_schema_extra={"example": _EXAMPLE}
    )

    destination: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    filename: Annotated[
        str, StringConstraints(max_length=4096), Field(description="As the user has it, any script")
    ]
    content_type: Annotated[
        str | None,
        Field(
            description="Default: from the extension",
            max_length=255,
            pattern=f"^{CONTENT_TYPE.pattern}$",
        ),
    ] = None
    size: Annotated[int, Field(strict=True, ge=0, description="Bytes, exactly")]
    checksum_sha256: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
            description="Base64 of the SHA-256 of the bytes",
        ),
    ] = None


_UPLOAD_EXAMPLE: dict[str, Any] = {
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

    method: Literal["POST"] = "POST"
    url: str
    fields: dict[str, str]
    expires_at: datetime


class PutInstructions(BaseModel):
    """Send the bytes as the body, with exactly these headers."""

    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str]
    expires_at: datetime


class UploadBody(BaseModel):
    """An upload and where it is. `reason` says why it was rejected."""

    model_config = ConfigDict(title="Upload", json_schema_extra={"example": _UPLOAD_EXAMPLE})

    id: UUID
    state: str
    reason: str | None = None
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
        title="AnnouncedUpload",
        json_schema_extra={"example": {**_UPLOAD_EXAMPLE, "upload": _POST_EXAMPLE}},
    )

    upload: PostInstructions | PutInstructions


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

    uploads: list[AnnouncedBody | RefusedBody]


def _parsed(body: AnnouncementBody) -> uploads.Announcement:
    return uploads.Announcement(
        destination=body.destination,
        filename=body.filename,
        content_type=body.content_type,
        size=body.size,
        checksum_sha256=body.checksum_sha256,
    )


def _parsed_or_refused(raw: object) -> uploads.Announcement | Problem:
    """One announcement of a batch, or what is wrong with it."""
    try:
        return _parsed(AnnouncementBody.model_validate(raw))
    except ValidationError as error:
        return validation_problem(error.errors())


def _upload_json(file: File) -> dict[str, Any]:
    """What `UploadBody` describes."""
    return {
        "id": file.id,
        "state": file.state,
        "reason": file.reason,
        "destination": file.destination,
        "key": file.key,
        "url": file.url,
        "filename": file.filename,
        "content_type": file.content_type,
        "size": file.size,
        "expires_at": file.expires_at,
    }


def _announced(announced: uploads.Announced) -> dict[str, Any]:
    """What `AnnouncedBody` describes."""
    signed = announced.instructions
    upload: dict[str, Any]
    if isinstance(signed, PresignedPost):
        upload = {"method": "POST", "url": signed.url, "fields": signed.fields}
    else:
        upload = {"method": "PUT", "url": signed.url, "headers": signed.headers}
    upload["expires_at"] = signed.expires_at
    return {**_upload_json(announced.file), "upload": upload}


@router.post(
    "/uploads",
    operation_id="announceUpload",
    response_model=AnnouncedBody,
    summary="Announce a file and get the instructions to upload it",
    status_code=201,
    responses={
        **responses(*_ANNOUNCE_PROBLEMS),
        201: header("Location", "Where to follow the upload"),
    },
)
async def announce(body: AnnouncementBody, caller: CanUpload, res: Res) -> Response:
    """Checks the destination's rules, stores the upload, and signs a POST form or a PUT.

    Send the bytes to the bucket as `upload` says, then confirm.
    """
    [answer] = await uploads.announce(res, caller, [_parsed(body)])
    if isinstance(answer, Problem):
        raise answer
    location = {"Location": f"/v1/uploads/{answer.file.id}"}
    return json_response(_announced(answer), location, 201)


@router.post(
    "/uploads/batch",
    operation_id="announceUploads",
    response_model=BatchAnswer,
    summary="Announce up to 100 files at once",
    responses=responses(*_ANNOUNCE_PROBLEMS),
)
async def announce_batch(
    body: BatchBody, caller: CanUpload, res: Res, request: Request
) -> Response:
    """Answers in order, each with its own upload or its own problem."""
    parsed = [_parsed_or_refused(one) for one in body.uploads]
    announced = iter(
        await uploads.announce(
            res, caller, [one for one in parsed if isinstance(one, uploads.Announcement)]
        )
    )
    answers = [one if isinstance(one, Problem) else next(announced) for one in parsed]
    request_id = request_id_of(request.scope)
    return json_response(
        {
            "uploads": [
                {"problem": problem_body(answer, request_id)}
                if isinstance(answer, Problem)
                else _announced(answer)
                for answer in answers
            ]
        }
    )


@router.get(
    "/uploads/{upload_id}",
    operation_id="getUpload",
    summary="See where an upload is",
    responses=responses(UploadNotFound, DatabaseUnavailable),
)
async def get(upload_id: UUID, caller: CanUpload, res: Res) -> UploadBody:
    """State and reason; never signed instructions, which `renew` gives."""
    file = await uploads.get_upload(res, caller, upload_id)
    return UploadBody.model_construct(**_upload_json(file))


@router.post(
    "/uploads/{upload_id}/renew",
    operation_id="renewUpload",
    response_model=AnnouncedBody,
    summary="Get fresh instructions for a pending upload",
    responses=responses(UploadNotFound, UploadNotPending, SigningUnavailable, DatabaseUnavailable),
)
async def renew(upload_id: UUID, caller: CanUpload, res: Res) -> Response:
    """The same key, signed anew, for an upload whose instructions expired or will soon."""
    return json_response(_announced(await uploads.renew(res, caller, upload_id)))


@router.post(
    "/uploads/{upload_id}/confirm",
    operation_id="confirmUpload",
    response_model=FileBody,
    summary="Say that the bytes are there",
    responses=responses(
        UploadNotFound,
        UploadNotArrived,
        UploadRejected,
        UploadNotPending,
        SigningUnavailable,
        *_BUCKET_PROBLEMS,
    ),
)
async def confirm(upload_id: UUID, caller: CanUpload, res: Res) -> Response:
    """Asks the bucket what it holds, compares it with the announcement, and gives the file.

    Repeating it gives the same file.
    """
    return await file_response(res, await uploads.confirm(res, caller, upload_id))


@router.delete(
    "/uploads/{upload_id}",
    operation_id="cancelUpload",
    summary="Forget an upload",
    status_code=204,
    responses=responses(UploadNotFound, UploadNotPending, RemovalUnderWay, *_BUCKET_PROBLEMS),
)
async def cancel(upload_id: UUID, caller: CanUpload, res: Res) -> None:
    """For pending and rejected uploads; what arrived of the bytes is deleted."""
    await removals.cancel_upload(res, caller, upload_id)
