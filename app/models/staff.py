"""The tables of staff: who may sign in to the admin panel, their sessions, attempts to sign in."""

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.tables import KEY, MOMENT, metadata, table


class Staff(NamedTuple):
    """A row of `staff`.

    `scopes` None: every one that there is, now and later. `password_hash` is argon2's own text.
    """

    id: Annotated[UUID, KEY]
    name: str
    tenant: str
    scopes: list[str] | None
    password_hash: str
    created_at: datetime
    disabled_at: datetime | None


staff: Final = table("staff", Staff, sa.UniqueConstraint("name"))


class StaffSession(NamedTuple):
    """A row of `staff_sessions`; `token_hash` is the SHA-256 of the token, stored nowhere."""

    id: Annotated[UUID, KEY]
    token_hash: bytes
    staff_id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


staff_sessions: Final = table(
    "staff_sessions",
    StaffSession,
    sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], ondelete="CASCADE"),
    sa.UniqueConstraint("token_hash"),
    sa.Index("ix_staff_sessions_staff_id", "staff_id"),
    sa.Index("ix_staff_sessions_expires_at", "expires_at"),
)
sign_in_attempts: Final = sa.Table(
    "sign_in_attempts",
    metadata,
    # An account or an address, see app.staff.accounts.
    sa.Column("subject", sa.Text(), primary_key=True),
    sa.Column("attempts", sa.Integer(), nullable=False),
    sa.Column("ends_at", MOMENT, nullable=False),
    sa.Index("ix_sign_in_attempts_ends_at", "ends_at"),
)
