"""Count what owners and tenants use by statements, and no longer pending uploads by triggers

Revision: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    drop_pending_cap()
    # What an upload of unknown size may come to. Of those that are under way nothing was reserved.
    op.add_column("files", sa.Column("reserved", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE files SET reserved = 0 "
        "WHERE size IS NULL AND state IN ('pending', 'completing', 'removing')"
    )
    create_counts("usage")
    create_counts("usage_changes", sa.Column("id", sa.BigInteger(), autoincrement=True))
    op.create_table(
        "quotas",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("files", sa.BigInteger(), nullable=True),
        sa.Column("pending", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "owner", name=op.f("pk_quotas")),
    )
    op.create_table(
        "usage_levels",
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.PrimaryKeyConstraint("level", name=op.f("pk_usage_levels")),
    )
    op.create_table(
        "daily_counts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "tenant", "destination", "outcome", name=op.f("pk_daily_counts")
        ),
    )


def create_counts(name: str, *more: sa.Column[int]) -> None:
    counts = ("files", "bytes", "pending", "reserved")
    op.create_table(
        name,
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        *(sa.Column(count, sa.BigInteger(), nullable=False) for count in counts),
        *more,
        sa.PrimaryKeyConstraint(
            "tenant", "owner", *(column.name for column in more), name=op.f(f"pk_{name}")
        ),
    )


def drop_pending_cap() -> None:
    for trigger in ("count_pending", "uncount_pending", "uncount_deleted"):
        op.execute(f"DROP TRIGGER {trigger} ON files")
    op.execute("DROP FUNCTION count_pending_upload()")
    op.execute("DROP FUNCTION uncount_pending_upload()")
    op.drop_table("pending_uploads")
    op.drop_column("files", "pending_cap")


def downgrade() -> None:
    for table in ("daily_counts", "usage_levels", "usage_changes", "quotas", "usage"):
        op.drop_table(table)
    op.drop_column("files", "reserved")
    op.add_column("files", sa.Column("pending_cap", sa.Integer(), nullable=True))
    op.create_table(
        "pending_uploads",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("uploads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner", name=op.f("pk_pending_uploads")),
        sa.CheckConstraint("uploads >= 0", name=op.f("ck_pending_uploads_not_negative")),
    )
    # As 0001 made them.
    op.execute("""
        CREATE FUNCTION count_pending_upload() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            counted integer;
        BEGIN
            INSERT INTO pending_uploads AS p (tenant, owner, uploads)
                VALUES (NEW.tenant, NEW.owner, 1)
                ON CONFLICT (tenant, owner) DO UPDATE SET uploads = p.uploads + 1
                RETURNING uploads INTO counted;
            IF counted > NEW.pending_cap THEN
                RAISE check_violation USING
                    MESSAGE = 'too many pending uploads',
                    DETAIL = json_build_array(NEW.tenant, NEW.owner),
                    CONSTRAINT = 'pending_cap';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE FUNCTION uncount_pending_upload() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE pending_uploads SET uploads = uploads - 1
                WHERE tenant = OLD.tenant AND owner = OLD.owner;
            RETURN NULL;
        END $$
    """)
    counted = "{row}.pending_cap IS NOT NULL AND {row}.state IN ('pending', 'completing')"
    old, new = counted.format(row="OLD"), counted.format(row="NEW")
    op.execute(f"""
        CREATE TRIGGER count_pending AFTER INSERT ON files FOR EACH ROW
            WHEN ({new}) EXECUTE FUNCTION count_pending_upload()
    """)
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER uncount_pending AFTER UPDATE OF state ON files
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
            WHEN ({old} AND NEW.state NOT IN ('pending', 'completing'))
            EXECUTE FUNCTION uncount_pending_upload()
    """)
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER uncount_deleted AFTER DELETE ON files
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
            WHEN ({old}) EXECUTE FUNCTION uncount_pending_upload()
    """)
