"""Multipart uploads, and what seals a file

Revision: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BEFORE = ("pending", "confirmed", "rejected", "released", "removing", "removed")
_AFTER = ("pending", "completing", *_BEFORE[1:])


def _replace_states(states: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_files_state_known"), "files", type_="check")
    known = ", ".join(repr(state) for state in states)
    op.create_check_constraint(op.f("ck_files_state_known"), "files", f"state IN ({known})")


def _replace_claimed(where: str) -> None:
    op.drop_index("ix_files_claimed", table_name="files")
    op.create_index(
        "ix_files_claimed",
        "files",
        ["claimed_until"],
        unique=False,
        postgresql_where=sa.text(where),
    )


def upgrade() -> None:
    op.add_column("files", sa.Column("store_upload_id", sa.Text(), nullable=True))
    op.add_column("files", sa.Column("part_size", sa.BigInteger(), nullable=True))
    op.add_column(
        "files",
        sa.Column("sealed", sa.Text(), server_default=sa.text("'no'"), nullable=False),
    )
    op.execute("UPDATE files SET sealed = 'version' WHERE version_id IS NOT NULL")
    _replace_states(_AFTER)
    _replace_claimed("state IN ('completing', 'removing')")
    op.create_index(
        "ix_files_checksum",
        "files",
        ["tenant", "owner", "destination", "checksum_sha256"],
        unique=False,
        postgresql_where=sa.text("state = 'confirmed' AND checksum_verified"),
    )


def downgrade() -> None:
    # Its parts stay in the bucket until a lifecycle rule takes them away.
    op.execute("UPDATE files SET state = 'pending' WHERE state = 'completing'")
    op.drop_index("ix_files_checksum", table_name="files")
    _replace_claimed("state = 'removing'")
    _replace_states(_BEFORE)
    op.drop_column("files", "sealed")
    op.drop_column("files", "part_size")
    op.drop_column("files", "store_upload_id")
