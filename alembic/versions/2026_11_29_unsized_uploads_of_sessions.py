"""Count what upload sessions take in parts of unknown size, and take those by request alone

Revision: 0006
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "upload_sessions",
        sa.Column("unsized", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "unsized_uploads",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("signed", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("arrived", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("arrived_bytes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_unsized_uploads")),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["files.id"],
            name=op.f("fk_unsized_uploads_file_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_unsized_uploads_session_id", "unsized_uploads", ["session_id"])


def downgrade() -> None:
    op.drop_table("unsized_uploads")
    op.drop_column("upload_sessions", "unsized")
