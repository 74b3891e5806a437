"""SQL from the tables in app/models*.py: SQLAlchemy writes it once, asyncpg runs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL in PostgreSQL's own notation, and the names that `$1`, `$2` ... stand for."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        return [values[name] for name in self.names]


def write(statement: sa.sql.ClauseElement) -> Statement:
    """The statement as asyncpg takes it."""
    compiled = cast(SQLCompiler, statement.compile(dialect=_DIALECT))
    return Statement(str(compiled), tuple(compiled.positiontup or ()))


def array(name: str, kind: sa.types.TypeEngine[Any]) -> Any:
    """The elements, as rows, of an argument that is an array."""
    return sa.func.unnest(sa.bindparam(name, type_=ARRAY(kind)))
