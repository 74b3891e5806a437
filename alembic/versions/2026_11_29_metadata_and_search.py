"""Keep files' metadata and paths, and find files by metadata and by parts of their names

Revision: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("files", sa.Column("path", sa.Text()))
    op.add_column("files", sa.Column("metadata", sa.Text()))
    op.create_table(
        "search_changes",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text()),
        sa.Column("metadata", sa.Text()),
        sa.PrimaryKeyConstraint("tenant", "file_id", name=op.f("pk_search_changes")),
    )
    op.create_table(
        "search_blocks",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("first", sa.Uuid(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("terms", sa.ARRAY(sa.Integer()), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "first", name=op.f("pk_search_blocks")),
    )
    # Searches look at few blocks of many: what they choose by is kept apart from what they read.
    op.execute("ALTER TABLE search_blocks ALTER terms SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE search_blocks SET (toast_tuple_target = 128)")
    # Without a list of pending entries, which every search would have to read.
    op.create_index(
        "ix_search_blocks_terms",
        "search_blocks",
        ["terms"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    # What a confirm costs more by it: `NEW` is asked for its columns alone, and never copied.
    for name, row, filename, metadata in (
        ("note_search_change", "NEW", "NEW.filename", "NEW.metadata"),
        ("note_search_end", "OLD", "NULL", "NULL"),
    ):
        op.execute(f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO search_changes VALUES ({row}.tenant, {row}.id, {row}.owner,
                        {row}.destination, {row}.content_type, {filename}, {metadata})
                    ON CONFLICT (tenant, file_id) DO UPDATE SET filename = excluded.filename,
                        metadata = excluded.metadata, content_type = excluded.content_type;
                RETURN NULL;
            END $$
        """)  # noqa: S608
    is_other = "NEW.filename <> OLD.filename OR NEW.metadata IS DISTINCT FROM OLD.metadata"
    for name, when, condition, function in (
        ("search_inserted", "INSERT", "NEW.state = 'confirmed'", "note_search_change"),
        (
            "search_updated",
            "UPDATE OF state, filename, metadata",
            f"NEW.state = 'confirmed' AND (OLD.state <> 'confirmed' OR {is_other})",
            "note_search_change",
        ),
        (
            "search_ended",
            "UPDATE OF state",
            "OLD.state = 'confirmed' AND NEW.state <> 'confirmed'",
            "note_search_end",
        ),
        ("search_deleted", "DELETE", "OLD.state = 'confirmed'", "note_search_end"),
    ):
        op.execute(
            f"CREATE TRIGGER {name} AFTER {when} ON files FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION {function}()"
        )
    op.execute("""
        INSERT INTO search_changes (tenant, file_id, owner, destination, content_type, filename)
            SELECT tenant, id, owner, destination, content_type, filename
            FROM files WHERE state = 'confirmed' ORDER BY tenant, id
    """)


def downgrade() -> None:
    for name in ("search_inserted", "search_updated", "search_ended", "search_deleted"):
        op.execute(f"DROP TRIGGER {name} ON files")
    op.execute("DROP FUNCTION note_search_change()")
    op.execute("DROP FUNCTION note_search_end()")
    op.drop_table("search_blocks")
    op.drop_table("search_changes")
    op.drop_column("files", "metadata")
    op.drop_column("files", "path")
