"""Create files

Revision: 0001
Revises: none
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(collation="C"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("checksum_sha256", sa.Text(), nullable=True),
        sa.Column(
            "checksum_verified", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("version_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'confirmed', 'rejected', 'released', 'removing', 'removed')",
            name=op.f("ck_files_state_known"),
        ),
        sa.CheckConstraint("size >= 0", name=op.f("ck_files_size_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("bucket", "key", name=op.f("uq_files_bucket_key")),
    )
    op.create_index(
        "ix_files_claimed",
        "files",
        ["claimed_until"],
        unique=False,
        postgresql_where=sa.text("state = 'removing'"),
    )
    op.create_index(
        "ix_files_expired",
        "files",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_files_listed",
        "files",
        ["owner", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'confirmed'"),
    )
    op.create_index(
        "ix_files_listed_content_type",
        "files",
        ["owner", "content_type", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'confirmed'"),
    )
    op.create_index(
        "ix_files_listed_destination",
        "files",
        ["owner", "destination", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'confirmed'"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_files_listed_destination",
        table_name="files",
        postgresql_where=sa.text("state = 'confirmed'"),
    )
    op.drop_index(
        "ix_files_listed_content_type",
        table_name="files",
        postgresql_where=sa.text("state = 'confirmed'"),
    )
    op.drop_index(
        "ix_files_listed", table_name="files", postgresql_where=sa.text("state = 'confirmed'")
    )
    op.drop_index(
        "ix_files_expired", table_name="files", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_index(
        "ix_files_claimed", table_name="files", postgresql_where=sa.text("state = 'removing'")
    )
    op.drop_table("files")
