"""MD5s of parts, and whether they were compared

Revision: 0018
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("integrity", sa.Text()))
    op.add_column("files", sa.Column("checksum_md5", sa.Text()))
    op.add_column(
        "files",
        sa.Column("parts_verified", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "part_digests",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("part_number", sa.Integer(), nullable=False),
        sa.Column("md5", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "part_number", name=op.f("pk_part_digests")),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], ondelete="CASCADE", name=op.f("fk_part_digests_file_id")
        ),
    )


def downgrade() -> None:
    op.drop_table("part_digests")
    op.drop_column("files", "parts_verified")
    op.drop_column("files", "checksum_md5")
    op.drop_column("files", "integrity")
