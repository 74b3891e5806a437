"""Create the tables: files, records, credentials, staff, and what sweeps have done

Revision: 0001
Revises: none
"""

import itertools

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
TEXTS = sa.ARRAY(sa.Text())
CONFIRMED = sa.text("state = 'confirmed'")


def upgrade() -> None:
    create_files()
    create_indexes_of_files()
    create_pending_uploads()
    create_records()
    create_credentials()
    create_staff()
    op.create_table(
        "sweep_totals",
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("outcome", name=op.f("pk_sweep_totals")),
    )


def downgrade() -> None:
    for table in (
        *("sweep_totals", "sign_in_attempts", "staff_sessions", "staff"),
        *("upload_sessions", "api_keys", "record_files", "records"),
        *("pending_uploads", "files"),
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION count_pending_upload()")
    op.execute("DROP FUNCTION uncount_pending_upload()")


def create_files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False, server_default=""),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        # Byte order, in which buckets list their keys.
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        # Byte order, so that `image/*` is a range of an index whatever the database's locale is.
        sa.Column("content_type", sa.Text(collation="C"), nullable=False),
        sa.Column("detected_type", sa.Text()),
        sa.Column("size", sa.BigInteger()),
        sa.Column("checksum_sha256", sa.Text()),
        sa.Column("checksum_verified", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("etag", sa.Text()),
        sa.Column("version_id", sa.Text()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("claimed_until", MOMENT),
        sa.Column("store_upload_id", sa.Text()),
        sa.Column("part_size", sa.BigInteger()),
        sa.Column("sealed", sa.Text(), nullable=False, server_default="no"),
        sa.Column("attachments", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("pending_cap", sa.Integer()),
        sa.Column("part_count", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("bucket", "key", name=op.f("uq_files_bucket_key")),
        sa.CheckConstraint(
            "state IN ('pending', 'completing', 'confirmed', 'rejected', 'released', 'removing', "
            "'removed')",
            name=op.f("ck_files_state_known"),
        ),
        sa.CheckConstraint("size >= 0", name=op.f("ck_files_size_not_negative")),
        sa.CheckConstraint("attachments >= 0", name=op.f("ck_files_attachments_not_negative")),
    )


def create_indexes_of_files() -> None:
    """Of each, only the rows that it is for."""
    # One for each list that can be asked for: whose files, of which destination, of which kind.
    expressions = {
        "held": sa.text("least(attachments, 1)"),
        "family": sa.text("split_part(content_type, '/', 1)"),
    }
    for whose, where, kind in itertools.product(
        (["tenant"], ["tenant", "owner"]), ([], ["destination"]), ([], ["content_type"], ["family"])
    ):
        names = [*whose, *where, *kind]
        columns = [expressions.get(name, name) for name in ("held", *names, "id")]
        op.create_index(
            f"ix_files_list_{'_'.join(names)}", "files", columns, postgresql_where=CONFIRMED
        )
    # The panel's search: what names begin with, in byte order, and what is in no list.
    op.create_index(
        "ix_files_tenant_name",
        "files",
        ["tenant", sa.literal_column('lower(filename) COLLATE "C"'), "id"],
        postgresql_where=CONFIRMED,
    )
    op.create_index(
        "ix_files_tenant_unlisted",
        "files",
        ["tenant", "state", "id"],
        postgresql_where=sa.text("state != 'confirmed'"),
    )
    # The same bytes again.
    op.create_index(
        "ix_files_checksum",
        "files",
        ["tenant", "owner", "destination", "checksum_sha256"],
        postgresql_where=sa.text("state = 'confirmed' AND checksum_verified"),
    )
    # What a sweep looks for.
    for name, column, rows in (
        ("expired", "expires_at", "state = 'pending'"),
        ("claimed", "claimed_until", "state IN ('completing', 'removing')"),
        ("rejected", "claimed_until", "state = 'rejected' AND claimed_until IS NOT NULL"),
        ("tombstones", "claimed_until", "state = 'removed'"),
    ):
        op.create_index(f"ix_files_{name}", "files", [column], postgresql_where=sa.text(rows))


def create_pending_uploads() -> None:
    """The table, and the triggers on `files` that keep its counts and hold uploads to their cap.

    Triggers, so that no statement can forget to count, and an announcement whose key is taken
    counts nothing. Their conditions are all that an upload costs that is not counted.
    """
    op.create_table(
        "pending_uploads",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("uploads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "owner", name=op.f("pk_pending_uploads")),
        sa.CheckConstraint("uploads >= 0", name=op.f("ck_pending_uploads_not_negative")),
    )
    # DETAIL names the owner who has too many: one statement may store files of several owners.
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
    # At the commit: whoever has locked the owner's count then waits for nothing else.
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


def create_records() -> None:
    op.create_table(
        "records",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        # Byte order, in which the panel lists records by what their ids begin with.
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("version", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "type", "id", name=op.f("pk_records")),
    )
    op.create_table(
        "record_files",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(collation="C"), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("tenant", "type", "record_id", "field", "position"), name=op.f("pk_record_files")
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "type", "record_id"],
            ["records.tenant", "records.type", "records.id"],
            name=op.f("fk_record_files_tenant_type_record_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_record_files_file_id")),
    )
    op.create_index("ix_record_files_file_id", "record_files", ["file_id"])


def create_credentials() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("scopes", TEXTS, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_keys_token_hash")),
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant", "id"])
    op.create_table(
        "upload_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("max_files", sa.Integer(), nullable=False),
        sa.Column("max_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_files", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.Column("attach_to", TEXTS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_upload_sessions_token_hash")),
        sa.CheckConstraint(
            "used_files BETWEEN 0 AND max_files", name=op.f("ck_upload_sessions_files_within")
        ),
        sa.CheckConstraint(
            "used_bytes BETWEEN 0 AND max_bytes", name=op.f("ck_upload_sessions_bytes_within")
        ),
    )
    op.create_index("ix_upload_sessions_expires_at", "upload_sessions", ["expires_at"])


def create_staff() -> None:
    op.create_table(
        "staff",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("scopes", TEXTS),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("name", name=op.f("uq_staff_name")),
    )
    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_staff_sessions_token_hash")),
        sa.ForeignKeyConstraint(
            ["staff_id"],
            ["staff.id"],
            name=op.f("fk_staff_sessions_staff_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_staff_sessions_staff_id", "staff_sessions", ["staff_id"])
    op.create_index("ix_staff_sessions_expires_at", "staff_sessions", ["expires_at"])
    op.create_table(
        "sign_in_attempts",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index("ix_sign_in_attempts_ends_at", "sign_in_attempts", ["ends_at"])
