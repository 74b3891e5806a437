"""Files of tenants and upload sessions

Revision: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LISTED = sa.text("state = 'confirmed'")
_BEFORE = {
    "ix_files_listed": ["owner", "id"],
    "ix_files_listed_content_type": ["owner", "content_type", "id"],
    "ix_files_listed_destination": ["owner", "destination", "id"],
}
_AFTER = {
    "ix_files_listed": ["tenant", "owner", "id"],
    "ix_files_listed_content_type": ["tenant", "owner", "content_type", "id"],
    "ix_files_listed_destination": ["tenant", "owner", "destination", "id"],
    "ix_files_tenant_listed": ["tenant", "id"],
    "ix_files_tenant_listed_content_type": ["tenant", "content_type", "id"],
    "ix_files_tenant_listed_destination": ["tenant", "destination", "id"],
}


def upgrade() -> None:
    op.add_column("files", sa.Column("tenant", sa.Text(), server_default="", nullable=False))
    op.add_column("files", sa.Column("session_id", sa.Uuid(), nullable=True))
    _replace_indexes(_BEFORE, _AFTER)


def downgrade() -> None:
    _replace_indexes(_AFTER, _BEFORE)
    op.drop_column("files", "session_id")
    op.drop_column("files", "tenant")


def _replace_indexes(old: dict[str, list[str]], new: dict[str, list[str]]) -> None:
    for name in old:
        op.drop_index(name, table_name="files")
    for name, columns in new.items():
        op.create_index(name, "files", columns, unique=False, postgresql_where=_LISTED)
