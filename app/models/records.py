"""The tables of records: other systems' things, and the files in their fields."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.files import MOMENT, metadata

records: Final = sa.Table(
    "records",
    metadata,
    sa.Column("tenant", sa.Text(), primary_key=True),
    sa.Column("type", sa.Text(), primary_key=True),
    # Byte order, so that what ids begin with is a range of the index whatever the locale is.
    sa.Column("id", sa.Text(collation="C"), primary_key=True),
    sa.Column("owner", sa.Text(), nullable=False),
    sa.Column("version", sa.Uuid(), nullable=False),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("updated_at", MOMENT, nullable=False),
)
record_files: Final = sa.Table(
    "record_files",
    metadata,
    sa.Column("tenant", sa.Text(), primary_key=True),
    sa.Column("type", sa.Text(), primary_key=True),
    sa.Column("record_id", sa.Text(collation="C"), primary_key=True),
    sa.Column("field", sa.Text(), primary_key=True),
    sa.Column("position", sa.SmallInteger(), primary_key=True, autoincrement=False),
    sa.Column("file_id", sa.Uuid(), sa.ForeignKey("files.id"), nullable=False),
    sa.ForeignKeyConstraint(
        ["tenant", "type", "record_id"],
        ["records.tenant", "records.type", "records.id"],
        ondelete="CASCADE",
    ),
    sa.Index("ix_record_files_file_id", "file_id"),
)


class Record(NamedTuple):
    """A row of `records`, column by column in the table's order.

    `id` is what the other system knows the record by, one in a tenant and type. `version` is
    another UUID after every change, and never used again.
    """

    tenant: str
    type: str
    id: str
    owner: str
    version: UUID
    created_at: datetime
    updated_at: datetime
