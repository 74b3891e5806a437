"""Name the owner who has too many pending uploads

Revision: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_FUNCTION = """
    CREATE OR REPLACE FUNCTION count_pending_upload() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        counted integer;
    BEGIN
        INSERT INTO pending_uploads AS p (tenant, owner, uploads)
            VALUES (NEW.tenant, NEW.owner, 1)
            ON CONFLICT (tenant, owner) DO UPDATE SET uploads = p.uploads + 1
            RETURNING uploads INTO counted;
        IF counted > NEW.pending_cap THEN
            RAISE check_violation USING
                MESSAGE = 'too many pending uploads', CONSTRAINT = 'pending_cap'{more};
        END IF;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    more = ", DETAIL = json_build_array(NEW.tenant, NEW.owner)"
    op.execute(_FUNCTION.format(more=more))


def downgrade() -> None:
    op.execute(_FUNCTION.format(more=""))
