"""The tables of records: other systems' things, and the files in their fields."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models import MOMENT, metadata

records: Final = sa.Table(
    "records",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("tenant", sa.Text(), nullable=False),
    sa.Column("owner", sa.Text(), nullable=False),
    sa.Column("type", sa.Text(), nullable=False),
    sa.Column("name", sa.Text(collation="C"), nullable=False),
    sa.Column("version", sa.Uuid(), nullable=False),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("updated_at", MOMENT, nullable=False),
    sa.UniqueConstraint("tenant", "type", "name"),
)
record_files: Final = sa.Table(
    "record_files",
    metadata,
    sa.Column(
        "record_id",
        sa.Uuid(),
        sa.ForeignKey("records.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("field", sa.Text(), primary_key=True),
    sa.Column("position", sa.SmallInteger(), primary_key=True, autoincrement=False),
    sa.Column("file_id", sa.Uuid(), sa.ForeignKey("files.id"), nullable=False),
    sa.Index("ix_record_files_file_id", "file_id"),
)


class Record(NamedTuple):
    """A row of `records`, column by column in the table's order.

    `name` is the id that the other system knows the record by, one in a tenant and type. `version`
    is another UUID after every change; ids and versions are never used again.
    """

    id: UUID
    tenant: str
    owner: str
    type: str
    name: str
    version: UUID
    created_at: datetime
    updated_at: datetime
