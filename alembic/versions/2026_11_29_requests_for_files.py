"""Keep requests for files, and which files were sent by them

Revision: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_file_requests_made_with": ["made_with"],
    "ix_file_requests_tenant_id": ["tenant", "id"],
    "ix_file_requests_tenant_created_by_id": ["tenant", "created_by", "id"],
}
_SESSION_COLUMNS = {
    "max_size": sa.BigInteger(),
    "file_request_id": sa.Uuid(),
    "sender_name": sa.Text(),
    "sender_email": sa.Text(),
}


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "file_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("attach_to", sa.ARRAY(sa.Text())),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("max_files", sa.Integer(), nullable=False),
        sa.Column("max_size", sa.BigInteger(), nullable=False),
        sa.Column("max_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_files", sa.Integer(), server_default="0", nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("senders", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("made_with", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("revoked_at", moment),
        sa.CheckConstraint(
            "used_files BETWEEN 0 AND max_files", name=op.f("ck_file_requests_files_within")
        ),
        sa.CheckConstraint(
            "used_bytes BETWEEN 0 AND max_bytes", name=op.f("ck_file_requests_bytes_within")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_requests")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_file_requests_token_hash")),
    )
    for name, columns in _INDEXES.items():
        op.create_index(name, "file_requests", columns)
    for name, kind in _SESSION_COLUMNS.items():
        op.add_column("upload_sessions", sa.Column(name, kind))
    op.add_column("files", sa.Column("file_request_id", sa.Uuid()))
    op.create_index(
        "ix_files_file_request",
        "files",
        ["file_request_id", "id"],
        postgresql_where=sa.text("file_request_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_file_request", "files")
    op.drop_column("files", "file_request_id")
    for name in _SESSION_COLUMNS:
        op.drop_column("upload_sessions", name)
    op.drop_table("file_requests")
