"""Find files by their names and by their states

Revision: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_files_tenant_name",
        "files",
        ["tenant", sa.literal_column('lower(filename) COLLATE "C"'), "id"],
        unique=False,
        postgresql_where=sa.text("state = 'confirmed'"),
    )
    op.create_index(
        "ix_files_tenant_unlisted",
        "files",
        ["tenant", "state", "id"],
        unique=False,
        postgresql_where=sa.text("state != 'confirmed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_tenant_unlisted", table_name="files")
    op.drop_index("ix_files_tenant_name", table_name="files")
