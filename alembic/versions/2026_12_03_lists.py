"""An index for each list that can be asked for

Revision: 0014
Revises: 0013
"""

import itertools

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_EXPRESSIONS = {
    "held": sa.text("least(attachments, 1)"),
    "family": sa.text("split_part(content_type, '/', 1)"),
}
_LISTS = [
    [*whose, *where, *kind]
    for whose, where, kind in itertools.product(
        (["tenant"], ["tenant", "owner"]), ([], ["destination"]), ([], ["content_type"], ["family"])
    )
]
_CONFIRMED = "state = 'confirmed'"
# Those of 0001, 0002 and 0004.
_BEFORE = {
    "ix_files_listed": ["tenant", "owner", "id"],
    "ix_files_listed_destination": ["tenant", "owner", "destination", "id"],
    "ix_files_listed_content_type": ["tenant", "owner", "content_type", "id"],
    "ix_files_tenant_listed": ["tenant", "id"],
    "ix_files_tenant_listed_destination": ["tenant", "destination", "id"],
    "ix_files_tenant_listed_content_type": ["tenant", "content_type", "id"],
}
_LOOSE_BEFORE = {
    "ix_files_loose": ["tenant", "owner", "id"],
    "ix_files_tenant_loose": ["tenant", "id"],
}


def upgrade() -> None:
    for names in _LISTS:
        op.create_index(
            f"ix_files_list_{'_'.join(names)}",
            "files",
            [_EXPRESSIONS.get(name, name) for name in ("held", *names, "id")],
            postgresql_where=sa.text(_CONFIRMED),
            # On a large table they may have been built before, concurrently (docs/deploy.md).
            if_not_exists=True,
        )
    for name in (*_BEFORE, *_LOOSE_BEFORE):
        op.drop_index(name, table_name="files")


def downgrade() -> None:
    for name, columns in _BEFORE.items():
        op.create_index(name, "files", columns, postgresql_where=sa.text(_CONFIRMED))
    for name, columns in _LOOSE_BEFORE.items():
        where = sa.text(f"{_CONFIRMED} AND attachments = 0")
        op.create_index(name, "files", columns, postgresql_where=where)
    for names in _LISTS:
        op.drop_index(f"ix_files_list_{'_'.join(names)}", table_name="files")
