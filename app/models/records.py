"""The tables of records: other systems' things, and the files in their fields."""

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.tables import BYTE_ORDER, KEY, metadata, table


class Record(NamedTuple):
    """A row of `records`.

    `id` is what the other system knows the record by, one in a tenant and type. `version` is
    another UUID after every change, and never used again.
    """

    tenant: Annotated[str, KEY]
    type: Annotated[str, KEY]
    # In byte order, so that what ids begin with is a range of the index whatever the locale is.
    id: Annotated[str, KEY | BYTE_ORDER]
    owner: str
    version: UUID
    created_at: datetime
    updated_at: datetime


records: Final = table("records", Record)
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
