"""Number the lists: indexes that have a hash of what a list is narrowed to, and not its words

Revision: 0007
Revises: 0006
"""

import itertools

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CONFIRMED = sa.text("state = 'confirmed'")
UNCONFIRMED = sa.text("state != 'confirmed'")
LISTS = [
    [*whose, *where, *kind]
    for whose, where, kind in itertools.product(
        (["tenant"], ["tenant", "owner"]), ([], ["destination"]), ([], ["content_type"], ["family"])
    )
]
EXPRESSIONS = {"family": "split_part(content_type, '/', 1)"}


def upgrade() -> None:
    """On a large table they may have been built before, without blocking anybody (docs/deploy.md).

    While a version before this one still serves, its lists cost more.
    """
    for names in LISTS:
        key = "least(attachments, 1)"
        for name in names:
            key = f"hashtextextended({EXPRESSIONS.get(name, name)}, {key})"
        op.create_index(
            f"ix_files_newest_{'_'.join(names)}",
            "files",
            [sa.text(key), sa.text("substr(uuid_send(id), 1, 7)")],
            postgresql_where=CONFIRMED,
            postgresql_with={"fillfactor": 100},
            if_not_exists=True,
        )
        op.drop_index(f"ix_files_list_{'_'.join(names)}", "files")
    op.drop_index("ix_files_tenant_unlisted", "files")
    op.create_index(
        "ix_files_tenant_unlisted",
        "files",
        ["tenant", "state", sa.text("least(id)")],
        postgresql_where=UNCONFIRMED,
    )


def downgrade() -> None:
    op.drop_index("ix_files_tenant_unlisted", "files")
    op.create_index(
        "ix_files_tenant_unlisted",
        "files",
        ["tenant", "state", "id"],
        postgresql_where=UNCONFIRMED,
    )
    for names in LISTS:
        expressions = {"held": "least(attachments, 1)", **EXPRESSIONS}
        columns = [
            sa.text(expressions[name]) if name in expressions else name
            for name in ("held", *names, "id")
        ]
        op.create_index(
            f"ix_files_list_{'_'.join(names)}", "files", columns, postgresql_where=CONFIRMED
        )
        op.drop_index(f"ix_files_newest_{'_'.join(names)}", "files")
