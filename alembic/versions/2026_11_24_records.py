"""Records that hold files

Revision: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LOOSE = {
    "ix_files_loose": ["tenant", "owner", "id"],
    "ix_files_tenant_loose": ["tenant", "id"],
}


def upgrade() -> None:
    op.add_column(
        "files", sa.Column("attachments", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_files_attachments_not_negative"), "files", "attachments >= 0"
    )
    for name, columns in _LOOSE.items():
        op.create_index(
            name,
            "files",
            columns,
            unique=False,
            postgresql_where=sa.text("state = 'confirmed' AND attachments = 0"),
        )
    op.create_table(
        "records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_records")),
        sa.UniqueConstraint("tenant", "type", "name", name=op.f("uq_records_tenant_type_name")),
    )
    op.create_table(
        "record_files",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_record_files_file_id")),
        sa.ForeignKeyConstraint(
            ["record_id"],
            ["records.id"],
            name=op.f("fk_record_files_record_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", "field", "position", name=op.f("pk_record_files")),
    )
    op.create_index("ix_record_files_file_id", "record_files", ["file_id"], unique=False)


def downgrade() -> None:
    op.drop_table("record_files")
    op.drop_table("records")
    for name in _LOOSE:
        op.drop_index(name, table_name="files")
    op.drop_constraint(op.f("ck_files_attachments_not_negative"), "files")
    op.drop_column("files", "attachments")
