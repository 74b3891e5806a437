"""Tombstones that are looked at again, and keys in the order of buckets' lists

Revision: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("files", "key", type_=sa.Text(collation="C"), existing_nullable=False)
    op.execute("UPDATE files SET claimed_until = ended_at WHERE state = 'removed'")
    op.create_index(
        "ix_files_tombstones",
        "files",
        ["claimed_until"],
        unique=False,
        postgresql_where=sa.text("state = 'removed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_files_tombstones", table_name="files")
    op.execute("UPDATE files SET claimed_until = NULL WHERE state = 'removed'")
    # Back to the database's own collation.
    op.execute('ALTER TABLE files ALTER COLUMN key TYPE text COLLATE "default"')
