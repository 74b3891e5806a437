"""Upload sessions whose files go into a record

Revision: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("upload_sessions", sa.Column("attach_to", sa.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("upload_sessions", "attach_to")
