"""Keep what scanners say of files, and find those that wait for one

Revision: 0016
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("scan", sa.Text()))
    op.add_column("files", sa.Column("scan_reason", sa.Text()))
    op.add_column("files", sa.Column("scanned_at", sa.DateTime(timezone=True)))
    op.add_column("files", sa.Column("links_end_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_files_scans",
        "files",
        ["claimed_until"],
        postgresql_where=sa.text("state = 'confirmed' AND claimed_until IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_scans", table_name="files")
    for column in ("links_end_at", "scanned_at", "scan_reason", "scan"):
        op.drop_column("files", column)
