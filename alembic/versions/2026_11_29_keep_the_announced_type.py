"""Keep the announced type of files whose contents are another one

Revision: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("announced_type", sa.Text()))


def downgrade() -> None:
    op.drop_column("files", "announced_type")
