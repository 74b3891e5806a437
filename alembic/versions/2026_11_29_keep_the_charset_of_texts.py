"""Keep which charset links say of a text

Revision: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("charset", sa.Text()))


def downgrade() -> None:
    op.drop_column("files", "charset")
