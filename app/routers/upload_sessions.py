"""Upload sessions: what a back end makes for a browser, so that it can upload and nothing else."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app import errors
from app.access import upload_sessions
from app.core.principal import Name
from app.http.attach_to import AttachTo, field_path
from app.http.idempotency import IDEMPOTENCY_PROBLEMS, IdempotencyKey, once
from app.http.lean_route import LeanRoute
from app.http.permissions import CanMint, Res
from app.http.problems import headers, responses
from app.http.rendering import Moment, Paging, json_response, members
from app.models.credentials import UploadSession
from app.records.fields import session_field
from app.uploads.unsized import end_session

router = APIRouter(prefix="/v1/upload-sessions", tags=["credentials"], route_class=LeanRoute)

_SESSION_EXAMPLE: dict[str, Any] = {
    "id": "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51",
    "owner": "ann",
    "tenant": "",
    "destination": "images",
    "max_files": 5,
    "max_bytes": 50_000_000,
    "used_files": 0,
    "used_bytes": 0,
    "created_by": "shop",
    "made_with": "key:019ac89f-12de-7c44-b7b5-6f0a2ed6c1f0",
    "created_at": "2026-11-22T19:07:09.123456Z",
    "expires_at": "2026-11-22T20:07:09.123456Z",
    "revoked_at": None,
    "attach_to": None,
    "unsized": False,
}


class SessionWanted(BaseModel):
    """An upload session to be made for a browser."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "destination": "images",
                "owner": "ann",
                "max_files": 5,
                "max_bytes": 50_000_000,
                "expires_in": 3600,
            }
        },
    )

    destination: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    owner: Annotated[
        Name | None,
        Field(description="Whose the uploads are, in the caller's tenant; default: the caller's"),
    ] = None
    max_files: Annotated[
        int,
        Field(strict=True, ge=1, le=10_000, description="How many may be announced; 1 by default"),
    ] = 1
    max_bytes: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            lt=1 << 63,
            description="Over all files; default: what that many files of the destination can have",
        ),
    ] = None
    expires_in: Annotated[
        int,
        Field(
            strict=True,
            ge=60,
            le=604_800,
            description="Seconds, for announcing and confirming. In any case it ends with the "
            "credential that makes it, where that has an end: see `expires_at` of the answer",
        ),
    ] = 3600
    attach_to: Annotated[
        AttachTo | None, Field(description="Where everything that is confirmed with it shall go")
    ] = None
    unsized: Annotated[
        bool,
        Field(
            strict=True,
            description="Whether parts, and PUTs, of files whose size nobody announced are signed, "
            "as Uppy sends them: nothing limits the length of each",
        ),
    ] = False


class SessionBody(BaseModel):
    """An upload session. `used_files` and `used_bytes` count what was announced."""

    model_config = ConfigDict(json_schema_extra={"example": _SESSION_EXAMPLE})

    id: UUID
    owner: str
    tenant: str
    destination: str
    max_files: int
    max_bytes: int
    used_files: int
    used_bytes: int
    created_by: str
    made_with: str = Field(
        description="The credential that made it: `key:` or `staff:` and its id, or `jwt`; empty "
        "where that is not known"
    )
    created_at: Moment
    expires_at: Moment
    revoked_at: Moment | None
    attach_to: AttachTo | None
    unsized: bool


class NewSession(SessionBody):
    """A new upload session: give `token` to the browser; it is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"example": _SESSION_EXAMPLE | {"token": "claimcheck_upload_9n3Xo..."}},
    )

    token: str


class SessionPage(BaseModel):
    """Sessions, newest first; pass `next_cursor` as `cursor` for the next page, null at the end."""

    items: list[SessionBody]
    next_cursor: str | None


_members = members(SessionBody)


def _json(session: UploadSession) -> dict[str, Any]:
    field = session.attach_to
    attach_to = field and dict(zip(AttachTo.model_fields, field, strict=False))
    return _members(session) | {"attach_to": attach_to}


@router.post(
    "",
    operation_id="mintUploadSession",
    response_model=NewSession,
    summary="Make an upload session for a browser",
    status_code=201,
    responses={
        **responses(
            errors.UnknownDestination,
            errors.DestinationForbidden,
            errors.UnknownRecordField,
            errors.RecordNotFound,
            errors.WrongDestination,
            *IDEMPOTENCY_PROBLEMS,
            errors.DatabaseUnavailable,
        ),
        201: headers({"Location": "Where to follow and to revoke the session"}),
    },
)
async def mint(
    body: SessionWanted, caller: CanMint, res: Res, idempotency_key: IdempotencyKey = None
) -> Response:
    """With `token` as its bearer the browser announces, sends, confirms and sees these uploads,
    so many files and bytes to this destination, and nothing else. With `attach_to` whatever it
    confirms goes into that field of a record by your right; that takes `records:write` as well.
    A repeat with the same Idempotency-Key makes no other session, and tells its `id`.
    """
    path = field_path(caller, body.attach_to)
    field = path and await session_field(res, caller, path, body.destination)
    session, token = await upload_sessions.mint(
        res,
        caller,
        destination=body.destination,
        owner=body.owner or caller.owner,
        max_files=body.max_files,
        max_bytes=body.max_bytes,
        expires_in=body.expires_in,
        attach_to=field,
        unsized=body.unsized,
        once=once(caller, idempotency_key, body),
    )
    location = {"Location": f"/v1/upload-sessions/{session.id}"}
    return json_response(_json(session) | {"token": token}, location, 201)


@router.get(
    "",
    operation_id="listUploadSessions",
    response_model=SessionPage,
    summary="List the upload sessions that you made, newest first",
    responses=responses(errors.InvalidCursor, errors.DatabaseUnavailable),
)
async def list_sessions(paging: Annotated[Paging, Query()], caller: CanMint, res: Res) -> Response:
    """Those that have ended, too; never the tokens. With `files:all` all of the tenant's."""
    found, cursor = await upload_sessions.list_sessions(
        res, caller, cursor=paging.cursor, limit=paging.limit
    )
    return json_response({"items": list(map(_json, found)), "next_cursor": cursor})


@router.get(
    "/{session_id}",
    operation_id="getUploadSession",
    response_model=SessionBody,
    summary="See how much of an upload session is used",
    responses=responses(errors.UploadSessionNotFound, errors.DatabaseUnavailable),
)
async def get(session_id: UUID, caller: CanMint, res: Res) -> Response:
    """For who made it; never the token."""
    return json_response(_json(await upload_sessions.get(res, caller, session_id)))


@router.delete(
    "/{session_id}",
    operation_id="revokeUploadSession",
    summary="End an upload session",
    status_code=204,
    responses=responses(errors.UploadSessionNotFound, errors.DatabaseUnavailable),
)
async def revoke(session_id: UUID, caller: CanMint, res: Res) -> Response:
    """Nothing more is announced with it at once, and nothing else done within 5 seconds. What was
    signed lives until it expires, but nobody confirms it; parts of files whose size was not
    announced are dropped at once. Repeating it is no error.
    """
    await end_session(res, caller, session_id)
    return Response(status_code=204)
