"""The tables of what owners and tenants use, and of what they may use.

A key is a tenant and an owner; the tenant's own has the owner "". Moves of files do not touch the
row of `usage`, for which everybody of a tenant would wait: they add a row of `usage_changes`, and
whoever needs the exact sum folds these in (`app.db.usage`). A key's use is the sum of both.
"""

from enum import StrEnum
from typing import Annotated, Final, NamedTuple

import sqlalchemy as sa

from app.models.tables import KEY, metadata, table


class Level(StrEnum):
    """Of whom uses are counted."""

    OWNER = "owner"
    TENANT = "tenant"


class Usage(NamedTuple):
    """A row of `usage`: what a key has, and what its pending uploads may come to.

    `bytes` are of the files; `reserved` of the pending ones.
    """

    tenant: Annotated[str, KEY]
    owner: Annotated[str, KEY]
    files: Annotated[int, {"type_": sa.BigInteger()}]
    bytes: Annotated[int, {"type_": sa.BigInteger()}]
    pending: Annotated[int, {"type_": sa.BigInteger()}]
    reserved: Annotated[int, {"type_": sa.BigInteger()}]


class Quota(NamedTuple):
    """A row of `quotas`: limits of one key, where they are not those of the settings (None)."""

    tenant: Annotated[str, KEY]
    owner: Annotated[str, KEY]
    bytes: Annotated[int | None, {"type_": sa.BigInteger()}]
    files: Annotated[int | None, {"type_": sa.BigInteger()}]
    pending: Annotated[int | None, {"type_": sa.BigInteger()}]


class UsageLevel(NamedTuple):
    """A row of `usage_levels`: a level at which moves are noted.

    `counted`: so is what was there before, and limits hold.
    """

    level: Annotated[str, KEY]
    counted: Annotated[bool, {"server_default": sa.false()}]


usage: Final = table("usage", Usage)
quotas: Final = table("quotas", Quota)
usage_levels: Final = table("usage_levels", UsageLevel)
# The columns of `usage`, by how much each changes.
usage_changes: Final = sa.Table(
    "usage_changes",
    metadata,
    *(
        sa.Column(column.name, column.type, primary_key=column.primary_key, nullable=False)
        for column in usage.c
    ),
    sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=True),
)
