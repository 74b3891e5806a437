"""Sort files by size, and find them by parts of their owners

Names are found by their parts: nothing walks them in order any more.

Revision: 0020
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

CONFIRMED = sa.text("state = 'confirmed'")


def upgrade() -> None:
    op.drop_index("ix_files_tenant_name", "files")
    op.create_index(
        "ix_files_tenant_size", "files", ["tenant", "size", "id"], postgresql_where=CONFIRMED
    )
    # Blocks are written anew, for their terms know no owners yet.
    op.execute("TRUNCATE search_blocks")
    op.execute("""
        INSERT INTO search_changes
            SELECT tenant, id, owner, destination, content_type, filename, metadata
            FROM files WHERE state = 'confirmed' ORDER BY tenant, id
            ON CONFLICT DO NOTHING
    """)


def downgrade() -> None:
    op.drop_index("ix_files_tenant_size", "files")
    op.create_index(
        "ix_files_tenant_name",
        "files",
        ["tenant", sa.literal_column('lower(filename) COLLATE "C"'), "id"],
        postgresql_where=CONFIRMED,
    )
