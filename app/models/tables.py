"""Tables made from their rows: each field of a named tuple is a column, in that order."""

from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

# The newest migration: it brings the tables to what stands in this package.
REVISION: Final = "0020"

metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)
MOMENT: Final = sa.DateTime(timezone=True)
_TYPES: Final[dict[Any, sa.types.TypeEngine[Any]]] = {
    UUID: sa.Uuid(),
    str: sa.Text(),
    int: sa.Integer(),
    bool: sa.Boolean(),
    bytes: sa.LargeBinary(),
    datetime: MOMENT,
    list[str]: ARRAY(sa.Text()),
    list[int]: ARRAY(sa.Integer()),
}
# For `Annotated`: a column of the primary key, and text that is compared byte by byte.
KEY: Final = {"primary_key": True}
BYTE_ORDER: Final = {"type_": sa.Text(collation="C")}


def table(name: str, row: type[tuple[Any, ...]], *items: sa.schema.SchemaItem) -> sa.Table:
    """A table with a column for each field of `row`, which may be NULL where the field may be None.

    A field that is `Annotated` has the further arguments of its `sa.Column` there.
    """
    columns = []
    for field, hint in get_type_hints(row, include_extras=True).items():
        kind, *more = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        said: dict[str, Any] = {"nullable": len(kinds) > 1} | dict(*more)
        said.setdefault("type_", _TYPES.get(kinds[0]))
        columns.append(sa.Column(field, **said))
    return sa.Table(name, metadata, *columns, *items)
