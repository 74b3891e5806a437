"""Detected types

Revision: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("detected_type", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("files", "detected_type")
