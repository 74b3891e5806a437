"""The tables of credentials: API keys, upload sessions, what these are to pay for later, and
requests for files, by which people open upload sessions.
"""

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.tables import KEY, table

_UNSPENT: Final = {"server_default": "0"}
_UNKNOWN: Final = {"server_default": ""}


class ApiKey(NamedTuple):
    """A row of `api_keys`.

    `token_hash` is the SHA-256 of the token, which is stored nowhere; `created_by` the owner of
    the credential it was made with, `made_with` that credential (`app.core.principal`).
    `last_used_at` is up to a minute old.
    """

    id: Annotated[UUID, KEY]
    token_hash: bytes
    name: str
    owner: str
    tenant: str
    scopes: list[str]
    created_by: str
    made_with: Annotated[str, _UNKNOWN]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


api_keys: Final = table(
    "api_keys",
    ApiKey,
    sa.UniqueConstraint("token_hash"),
    sa.Index("ix_api_keys_tenant_id", "tenant", "id"),
    sa.Index("ix_api_keys_made_with", "made_with"),
)


class UploadSession(NamedTuple):
    """A row of `upload_sessions`.

    `used_files` and `used_bytes` count what was announced, whatever became of it. `attach_to` is
    the fields of an `app.core.principal.SessionField`. Only with `unsized` it takes what nothing
    that is signed limits the length of: parts and PUTs of a file whose size nobody announced.

    One that was opened by a request for files (`file_request_id`) has its limits; what it announces
    is counted there. `sender_name` and `sender_email` are what its holder says of themselves.
    """

    id: Annotated[UUID, KEY]
    token_hash: bytes
    owner: str
    tenant: str
    destination: str
    max_files: int
    max_bytes: Annotated[int, {"type_": sa.BigInteger()}]
    used_files: Annotated[int, _UNSPENT]
    used_bytes: Annotated[int, {"type_": sa.BigInteger()} | _UNSPENT]
    created_by: str
    made_with: Annotated[str, _UNKNOWN]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    attach_to: list[str] | None
    unsized: Annotated[bool, {"server_default": sa.false()}]
    # Bytes of one file; None: as many as the destination takes.
    max_size: Annotated[int | None, {"type_": sa.BigInteger()}]
    file_request_id: UUID | None
    sender_name: str | None
    sender_email: str | None


upload_sessions: Final = table(
    "upload_sessions",
    UploadSession,
    sa.UniqueConstraint("token_hash"),
    # Whatever statement spends: not more than there is.
    sa.CheckConstraint("used_files BETWEEN 0 AND max_files", name="files_within"),
    sa.CheckConstraint("used_bytes BETWEEN 0 AND max_bytes", name="bytes_within"),
    sa.Index("ix_upload_sessions_expires_at", "expires_at"),
    sa.Index("ix_upload_sessions_made_with", "made_with"),
    sa.Index("ix_upload_sessions_tenant_id", "tenant", "id"),
    sa.Index("ix_upload_sessions_tenant_created_by_id", "tenant", "created_by", "id"),
)


class FileRequest(NamedTuple):
    """A row of `file_requests`: a link through which people without an account send files.

    The files belong to `owner`, and all limits are over everybody who sends; `max_size` is the most
    bytes of one file. `senders` counts the upload sessions that were opened with it.
    """

    id: Annotated[UUID, KEY]
    token_hash: bytes
    owner: str
    tenant: str
    destination: str
    attach_to: list[str] | None
    note: str
    max_files: int
    max_size: Annotated[int, {"type_": sa.BigInteger()}]
    max_bytes: Annotated[int, {"type_": sa.BigInteger()}]
    used_files: Annotated[int, _UNSPENT]
    used_bytes: Annotated[int, {"type_": sa.BigInteger()} | _UNSPENT]
    senders: Annotated[int, _UNSPENT]
    created_by: str
    made_with: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


file_requests: Final = table(
    "file_requests",
    FileRequest,
    sa.UniqueConstraint("token_hash"),
    sa.CheckConstraint("used_files BETWEEN 0 AND max_files", name="files_within"),
    sa.CheckConstraint("used_bytes BETWEEN 0 AND max_bytes", name="bytes_within"),
    sa.Index("ix_file_requests_made_with", "made_with"),
    sa.Index("ix_file_requests_tenant_id", "tenant", "id"),
    sa.Index("ix_file_requests_tenant_created_by_id", "tenant", "created_by", "id"),
)


class UnsizedUpload(NamedTuple):
    """A row of `unsized_uploads`: parts of unknown size that an upload session will pay for.

    `signed` is the highest part number for which a URL was given out; the rest was counted in the
    bucket when parts were signed last.
    """

    file_id: Annotated[UUID, KEY]
    session_id: UUID
    signed: Annotated[int, _UNSPENT]
    arrived: Annotated[int, _UNSPENT]
    arrived_bytes: Annotated[int, {"type_": sa.BigInteger()} | _UNSPENT]


unsized_uploads: Final = table(
    "unsized_uploads",
    UnsizedUpload,
    sa.ForeignKeyConstraint(["file_id"], ["files.id"], ondelete="CASCADE"),
    sa.Index("ix_unsized_uploads_session_id", "session_id"),
)
