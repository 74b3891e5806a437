"""Look for uploads that nobody confirms before their instructions have ended

Revision: 0011
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Uploads that are pending already, or are announced by an older version, are found at their end."""
    op.add_column("files", sa.Column("look_at", sa.DateTime(timezone=True)))
    op.add_column(
        "files",
        sa.Column("self_confirmed", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index(
        "ix_files_looked_at",
        "files",
        ["look_at"],
        postgresql_where=sa.text("state = 'pending' AND look_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_looked_at", "files")
    op.drop_column("files", "self_confirmed")
    op.drop_column("files", "look_at")
