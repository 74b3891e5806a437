"""Answers of the service; docs/api.md and /openapi.json of a service describe their members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Metadata: TypeAlias = Mapping[str, str | bool | int | float]


class File(TypedDict):
    """A confirmed file. `url` is for keeping; `presigned_url` reads it until it expires.

    The links are None where the file waits for a virus scanner, or one found something.
    """

    id: str
    state: str
    destination: str
    key: str
    url: str
    filename: str
    path: str | None
    metadata: dict[str, str | bool | int | float]
    content_type: str
    announced_type: str
    detected_type: str | None
    image: dict[str, Any] | None
    archive: dict[str, Any] | None
    size: int
    checksum_sha256: str | None
    checksum_verified: bool
    parts_verified: bool
    etag: str | None
    version_id: str | None
    sealed: Literal["version", "multipart", "conditional", "no"]
    scan: str | None
    created_at: str
    confirmed_at: str
    presigned_url: str | None
    presigned_url_expires_at: str | None
    content_url: str | None


class Link(TypedDict):
    """A link that reads a file until it expires; or the `problem` why there is none."""

    id: NotRequired[str]
    url: NotRequired[str]
    presigned_url: NotRequired[str]
    presigned_url_expires_at: NotRequired[str]
    problem: NotRequired[dict[str, Any]]


class Field(TypedDict):
    """The field of a record that a file goes into: `{"type": "product", "id": "42", ...}`."""

    type: str
    id: str
    field: str


class Record(TypedDict):
    """A record: in each of its fields a file, None, or a list of files."""

    type: str
    id: str
    etag: str
    fields: dict[str, Any]


class Records(TypedDict):
    """Records in the order asked for; `missing` has the ids of those that there are not."""

    items: list[Record]
    missing: list[str]


class Session(TypedDict):
    """An upload session. Only the answer that makes it has its `token`."""

    id: str
    token: NotRequired[str]
    owner: str
    tenant: str
    destination: str
    max_files: int
    max_bytes: int
    used_files: int
    used_bytes: int
    created_at: str
    expires_at: str
    revoked_at: str | None
    attach_to: Field | None


class Event(TypedDict):
    """Something that has happened to a file, a record or a webhook."""

    id: NotRequired[str]
    type: str
    created_at: NotRequired[str]
    timestamp: NotRequired[str]
    data: dict[str, Any]


class Events(TypedDict):
    """Events in order. Keep `cursor` with what they made you do, and go on after it."""

    items: list[Event]
    cursor: str
