"""Rejected uploads whose objects are to go are found by the sweep

Revision: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_files_rejected",
        "files",
        ["claimed_until"],
        unique=False,
        postgresql_where=sa.text("state = 'rejected' AND claimed_until IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_rejected", table_name="files")
