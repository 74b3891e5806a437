"""Count the pending uploads of each owner, where they are capped

Revision: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_COUNTED = "{row}.pending_cap IS NOT NULL AND {row}.state IN ('pending', 'completing')"


def upgrade() -> None:
    op.add_column("files", sa.Column("pending_cap", sa.Integer(), nullable=True))
    op.create_table(
        "pending_uploads",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("uploads", sa.Integer(), nullable=False),
        sa.CheckConstraint("uploads >= 0", name=op.f("ck_pending_uploads_not_negative")),
        sa.PrimaryKeyConstraint("tenant", "owner", name=op.f("pk_pending_uploads")),
    )
    # By triggers, so that no statement can forget it, and so that a key that is taken costs
    # nothing. Their conditions are all that an upload costs that is not counted.
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
                    MESSAGE = 'too many pending uploads', CONSTRAINT = 'pending_cap';
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
    op.execute(f"""
        CREATE TRIGGER count_pending AFTER INSERT ON files FOR EACH ROW
            WHEN ({_COUNTED.format(row="NEW")}) EXECUTE FUNCTION count_pending_upload()
    """)
    # At the commit: whoever has locked the owner's count then waits for nothing else.
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER uncount_pending AFTER UPDATE OF state ON files
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
            WHEN ({_COUNTED.format(row="OLD")} AND NEW.state NOT IN ('pending', 'completing'))
            EXECUTE FUNCTION uncount_pending_upload()
    """)
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER uncount_deleted AFTER DELETE ON files
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
            WHEN ({_COUNTED.format(row="OLD")}) EXECUTE FUNCTION uncount_pending_upload()
    """)


def downgrade() -> None:
    for trigger in ("count_pending", "uncount_pending", "uncount_deleted"):
        op.execute(f"DROP TRIGGER {trigger} ON files")
    op.execute("DROP FUNCTION count_pending_upload()")
    op.execute("DROP FUNCTION uncount_pending_upload()")
    op.drop_table("pending_uploads")
    op.drop_column("files", "pending_cap")
