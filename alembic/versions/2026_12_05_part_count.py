"""How many parts are being joined, where no size says it

Revision: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("part_count", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("files", "part_count")
