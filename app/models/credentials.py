"""The tables of credentials: API keys and upload sessions."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.models.files import MOMENT, metadata

api_keys: Final = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("token_hash", sa.LargeBinary(), nullable=False),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("owner", sa.Text(), nullable=False),
    sa.Column("tenant", sa.Text(), nullable=False),
    sa.Column("scopes", ARRAY(sa.Text()), nullable=False),
    sa.Column("created_by", sa.Text(), nullable=False),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("expires_at", MOMENT),
    sa.Column("last_used_at", MOMENT),
    sa.Column("revoked_at", MOMENT),
    sa.UniqueConstraint("token_hash"),
)
sa.Index("ix_api_keys_tenant_id", api_keys.c.tenant, api_keys.c.id)


class ApiKey(NamedTuple):
    """A row of `api_keys`, column by column in the table's order.

    `token_hash` is the SHA-256 of the token, which is stored nowhere; `created_by` the owner of
    the credential it was made with. `last_used_at` is up to a minute old.
    """

    id: UUID
    token_hash: bytes
    name: str
    owner: str
    tenant: str
    scopes: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


upload_sessions: Final = sa.Table(
    "upload_sessions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("token_hash", sa.LargeBinary(), nullable=False),
    sa.Column("owner", sa.Text(), nullable=False),
    sa.Column("tenant", sa.Text(), nullable=False),
    sa.Column("destination", sa.Text(), nullable=False),
    sa.Column("max_files", sa.Integer(), nullable=False),
    sa.Column("max_bytes", sa.BigInteger(), nullable=False),
    sa.Column("used_files", sa.Integer(), nullable=False, server_default="0"),
    sa.Column("used_bytes", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("created_by", sa.Text(), nullable=False),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("expires_at", MOMENT, nullable=False),
    sa.Column("revoked_at", MOMENT),
    # As app.core.principal.SessionField has it.
    sa.Column("attach_to", sa.ARRAY(sa.Text())),
    sa.UniqueConstraint("token_hash"),
    # Whatever statement spends: not more than there is.
    sa.CheckConstraint("used_files BETWEEN 0 AND max_files", name="files_within"),
    sa.CheckConstraint("used_bytes BETWEEN 0 AND max_bytes", name="bytes_within"),
)
sa.Index("ix_upload_sessions_expires_at", upload_sessions.c.expires_at)


class UploadSession(NamedTuple):
    """A row of `upload_sessions`, column by column in the table's order.

    `used_files` and `used_bytes` count what was announced, whatever became of it. `attach_to` is
    the fields of a `SessionField`.
    """

    id: UUID
    token_hash: bytes
    owner: str
    tenant: str
    destination: str
    max_files: int
    max_bytes: int
    used_files: int
    used_bytes: int
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    attach_to: list[str] | None
