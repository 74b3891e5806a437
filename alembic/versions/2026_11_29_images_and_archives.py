"""Keep what is found in images and archives

Revision: 0017
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("image", sa.Text()))
    op.add_column("files", sa.Column("archive", sa.Text()))


def downgrade() -> None:
    op.drop_column("files", "archive")
    op.drop_column("files", "image")
