"""Keep with which credential a key or an upload session was made

Revision: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_api_keys_made_with": ("api_keys", ["made_with"]),
    "ix_upload_sessions_made_with": ("upload_sessions", ["made_with"]),
    "ix_upload_sessions_tenant_id": ("upload_sessions", ["tenant", "id"]),
    "ix_upload_sessions_tenant_created_by_id": (
        "upload_sessions",
        ["tenant", "created_by", "id"],
    ),
}


def upgrade() -> None:
    for table in ("api_keys", "upload_sessions"):
        column = sa.Column("made_with", sa.Text(), nullable=False, server_default="")
        op.add_column(table, column)
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns, if_not_exists=True)


def downgrade() -> None:
    for name, (table, _) in _INDEXES.items():
        op.drop_index(name, table)
    for table in ("api_keys", "upload_sessions"):
        op.drop_column(table, "made_with")
