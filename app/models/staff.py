"""The tables of staff: who may sign in to the admin panel, their sessions, everybody's attempts."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.models.files import MOMENT, metadata

staff: Final = sa.Table(
    "staff",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("tenant", sa.Text(), nullable=False),
    sa.Column("scopes", ARRAY(sa.Text())),
    sa.Column("password_hash", sa.Text(), nullable=False),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("disabled_at", MOMENT),
    sa.UniqueConstraint("name"),
)
staff_sessions: Final = sa.Table(
    "staff_sessions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("token_hash", sa.LargeBinary(), nullable=False),
    sa.Column("staff_id", sa.Uuid(), sa.ForeignKey("staff.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("seen_at", MOMENT, nullable=False),
    sa.Column("expires_at", MOMENT, nullable=False),
    sa.Column("revoked_at", MOMENT),
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


class Staff(NamedTuple):
    """A row of `staff`, column by column in the table's order.

    `scopes` None: every one that there is, now and later. `password_hash` is argon2's own text.
    """

    id: UUID
    name: str
    tenant: str
    scopes: list[str] | None
    password_hash: str
    created_at: datetime
    disabled_at: datetime | None
