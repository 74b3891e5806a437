"""The bodies of requests about requests for files, and of the answers."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.access.file_requests import MAX_FILES, Opened
from app.core.destination import MAX_DESTINATION, Destination
from app.core.principal import Name
from app.db.file_requests import Sent
from app.http.attach_to import AttachTo
from app.http.rendering import Moment, members
from app.models.credentials import FileRequest, UploadSession

_DAY: Final = 86_400
_WANTED_EXAMPLE: Final[dict[str, Any]] = {
    "note": "Please send the pictures of the harbour.",
    "destination": "images",
    "max_files": 20,
    "max_size": 50_000_000,
    "expires_in": 7 * _DAY,
}
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51",
    "note": "Please send the pictures of the harbour.",
    "destination": "images",
    "attach_to": None,
    "owner": "ann",
    "tenant": "",
    "max_files": 20,
    "max_size": 50_000_000,
    "max_bytes": 1_000_000_000,
    "used_files": 2,
    "used_bytes": 6_422_528,
    "senders": 1,
    "created_by": "ann",
    "created_at": "2026-11-22T19:07:09.123456Z",
    "expires_at": "2026-11-29T19:07:09.123456Z",
    "revoked_at": None,
}
_SENDER_EXAMPLE: Final[dict[str, Any]] = {"name": "Bob", "email": "bob@example.com"}
_SENT_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019ac8a1-0b52-7c1a-b1e0-6a4be1f2c303",
    "filename": "Harbour.png",
    "content_type": "image/png",
    "size": 3_211_264,
    "state": "confirmed",
    "reason": None,
    "created_at": "2026-11-23T08:12:44.031115Z",
    "confirmed_at": "2026-11-23T08:12:51.420911Z",
}


def _text(value: str) -> str:
    # Lines and tabs aside, what is not printable is of no use; NUL no text of PostgreSQL can have.
    if not value.strip() or not all(one.isprintable() or one in "\n\r\t" for one in value):
        raise ValueError("must be text, with at least one visible character")
    return value.strip()


def _address(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError("must be an e-mail address")
    return value


class RequestWanted(BaseModel):
    """A request for files to be made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _WANTED_EXAMPLE})

    note: Annotated[
        str,
        StringConstraints(max_length=2000),
        AfterValidator(_text),
        Field(description="Whoever opens the link reads it: say what you ask for, and who you are"),
    ]
    destination: Annotated[str, StringConstraints(min_length=1, max_length=MAX_DESTINATION)]
    owner: Annotated[
        Name | None,
        Field(description="Whose the files will be; default: yours. Another's takes `files:all`"),
    ] = None
    max_files: Annotated[
        int,
        Field(strict=True, ge=1, le=MAX_FILES, description="Of all senders together"),
    ] = 20
    max_size: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            lt=1 << 63,
            description="Bytes of one file; default, and at most: what the destination takes",
        ),
    ] = None
    max_bytes: Annotated[
        int | None,
        Field(
            strict=True,
            ge=0,
            lt=1 << 63,
            description="Over all files; default: what that many files can have",
        ),
    ] = None
    expires_in: Annotated[
        int,
        Field(
            strict=True,
            ge=60,
            le=90 * _DAY,
            description="Seconds. In any case it ends with the credential that makes it, where "
            "that has an end: see `expires_at` of the answer",
        ),
    ] = 14 * _DAY
    attach_to: Annotated[
        AttachTo | None, Field(description="Where everything that is sent shall go")
    ] = None


class RequestBody(BaseModel):
    """A request for files. `used_files` and `used_bytes` count what was announced, `senders` the
    browsers in which somebody began to send.
    """

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: UUID
    note: str
    destination: str
    attach_to: AttachTo | None
    owner: str
    tenant: str
    max_files: int
    max_size: int
    max_bytes: int
    used_files: int
    used_bytes: int
    senders: int
    created_by: str
    created_at: Moment
    expires_at: Moment
    revoked_at: Moment | None = Field(description="When it was closed")


class NewRequest(RequestBody):
    """A new request for files: send people `link`, on this service; it is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"example": _EXAMPLE | {"link": "/r#claimcheck_request_9n3Xo..."}}
    )

    link: str = Field(
        description="A path on this service. What follows the `#` is the token, which browsers "
        "tell nobody, and so it is in no log"
    )


class RequestPage(BaseModel):
    """Requests, newest first; pass `next_cursor` as `cursor` for the next page, null at the end."""

    items: list[RequestBody]
    next_cursor: str | None


class SenderBody(BaseModel):
    """Who sends files, if they like to say so. Nobody verifies it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _SENDER_EXAMPLE})

    name: Annotated[Name | None, Field(max_length=100)] = None
    email: Annotated[
        str | None,
        StringConstraints(max_length=254, pattern=r"^[^@]+@[^@]+$"),
        AfterValidator(lambda value: value and _address(value)),
    ] = None


class SenderOfFile(BaseModel):
    """Who sent a file: `id` tells one browser from another."""

    id: UUID
    name: str | None
    email: str | None


class SentBody(BaseModel):
    """A file that was sent, or is on its way. `reason` says why one was rejected."""

    model_config = ConfigDict(json_schema_extra={"example": _SENT_EXAMPLE})

    id: UUID
    filename: str
    content_type: str
    size: int
    state: str
    reason: str | None
    created_at: Moment
    confirmed_at: Moment | None


class SentToMaker(SentBody):
    """A file that was sent by a request, and by whom."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": _SENT_EXAMPLE
            | {"sender": {"id": "019ac8a0-f2a0-7f55-9b0a-33f1b9a3d9b2"} | _SENDER_EXAMPLE}
        }
    )

    sender: SenderOfFile


class SentPage(BaseModel):
    """Files that were sent, newest first; pass `next_cursor` as `cursor` for the next page."""

    items: list[SentToMaker]
    next_cursor: str | None


class Taken(BaseModel):
    """The files that a request takes; empty lists mean any. Sizes are bytes."""

    name: str
    content_types: list[str]
    extensions: list[str]
    min_size: int
    max_size: int


class OpenedRequest(BaseModel):
    """A request for files as whoever has its link sees it: what is asked for, how much of it is
    left for everybody together, and what they have sent themselves.
    """

    id: UUID
    note: str
    destination: Taken
    files_left: int
    bytes_left: int
    expires_at: Moment
    sender: SenderBody
    sent: list[SentBody]


class OpenedSession(BaseModel):
    """An upload session for whoever has a request's link: upload with `token` as the bearer."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "019ac8a0-f2a0-7f55-9b0a-33f1b9a3d9b2",
                "token": "claimcheck_upload_9n3Xo...",
                "destination": "images",
                "expires_at": "2026-11-29T19:07:09.123456Z",
            }
        }
    )

    id: UUID
    token: str
    destination: str
    expires_at: datetime


_members = members(RequestBody, but=("attach_to",))
_sent_members = members(SentBody)


def request_json(request: FileRequest) -> dict[str, Any]:
    """A RequestBody."""
    field = request.attach_to
    attach_to = field and dict(zip(AttachTo.model_fields, field, strict=False))
    return _members(request) | {"attach_to": attach_to}


def sent_json(sent: Sent) -> dict[str, Any]:
    """A SentToMaker."""
    sender = {"id": sent.file.session_id, "name": sent.sender_name, "email": sent.sender_email}
    return _sent_members(sent.file) | {"sender": sender}


def opened_json(opened: Opened, destination: Destination) -> dict[str, Any]:
    """An OpenedRequest."""
    request = opened.request
    return {
        "id": request.id,
        "note": request.note,
        "destination": {
            "name": destination.name,
            "content_types": list(destination.content_types),
            "extensions": list(destination.extensions),
            "min_size": destination.min_size,
            "max_size": min(destination.max_size, request.max_size),
        },
        "files_left": request.max_files - request.used_files,
        "bytes_left": request.max_bytes - request.used_bytes,
        "expires_at": request.expires_at,
        "sender": opened.sender._asdict(),
        "sent": [_sent_members(sent.file) for sent in opened.sent],
    }


def session_json(session: UploadSession, token: str) -> dict[str, Any]:
    """An OpenedSession."""
    return {
        "id": session.id,
        "token": token,
        "destination": session.destination,
        "expires_at": session.expires_at,
    }
