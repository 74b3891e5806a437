"""SQL from the tables of `app.models`: SQLAlchemy writes it once, asyncpg runs it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast, overload
from weakref import WeakSet

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import array as array_of
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler

from app.core.principal import Principal
from app.loading import load_once
from app.turns import Turn

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
Row = TypeVar("Row")
# A statement, or what makes one, where that takes long.
Source = sa.sql.ClauseElement | Callable[[], sa.sql.ClauseElement]

# Rows that are made without a look at the clock: a page, and one more that tells of the next.
_AT_ONCE: Final = 101
# The argument of `rows_of` that says how many rows there are.
ROW_COUNT: Final = "row_count"
# For `write`: each row becomes its first column.
FIRST: Final = itemgetter(0)


# Those that are in use.
_all: Final = WeakSet["Statement[Any]"]()


class Written(NamedTuple):
    """SQL with `$1`, `$2` ... for the arguments, and the arguments' names, in order."""

    sql: str
    names: tuple[str, ...]


def _write_out(source: Source) -> Written:
    statement = source if isinstance(source, sa.sql.ClauseElement) else source()
    # Neither what was made for it nor the compiler is kept: both are far larger.
    compiled = cast(SQLCompiler, statement.compile(dialect=_DIALECT))
    return Written(str(compiled), tuple(compiled.positiontup or ()))


class Statement(Generic[Row]):
    """SQL in PostgreSQL's own notation, written when it is first run: a process runs few of all
    (but see `write_all`).

    Its methods run it on a connection with values by name; those of other names are ignored.
    `make` turns the driver's records into rows.
    """

    def __init__(self, source: Source, make: Callable[[Any], Row]) -> None:
        self.make = make
        _all.add(self)
        # Of what takes up to 10 ms, in a thread.
        self.written = cache(partial(_write_out, source))
        self._known: Written | None = None

    async def _with(self, values: Mapping[str, Any]) -> list[Any]:
        """The SQL, and the arguments behind it."""
        if self._known is None:
            self._known = await load_once(self.written, stays=False)
        sql, names = self._known
        return [sql, *[values[name] for name in names]]

    async def rows(self, db: asyncpg.Connection, **values: Any) -> list[Row]:
        """All rows."""
        found = await db.fetch(*await self._with(values))
        if len(found) <= _AT_ONCE:
            return list(map(self.make, found))
        turn = Turn()
        for n, row in enumerate(found):
            # In its place, for to let go of all records at once would hold others up.
            found[n] = self.make(row)
            await turn.over()
        made: list[Row] = found
        return made

    async def row(self, db: asyncpg.Connection, **values: Any) -> Row | None:
        """The first row, None where there is none."""
        found = await db.fetchrow(*await self._with(values))
        return None if found is None else self.make(found)

    async def value(self, db: asyncpg.Connection, **values: Any) -> Any:
        """The first column of the first row, None where there is none."""
        return await db.fetchval(*await self._with(values))

    async def run(self, db: asyncpg.Connection, **values: Any) -> None:
        """Run it for its effect alone."""
        await db.execute(*await self._with(values))


def write_all() -> None:
    """Write the SQL of all statements that there are: for processes that are forked to share it.
    None of them then needs SQLAlchemy's compiler, whose pages each would have to itself, but for
    lists and searches that are made when they are asked for.
    """
    for statement in list(_all):
        statement.written()


@overload
def write(source: Source) -> Statement[tuple[Any, ...]]: ...
@overload
def write(source: Source, make: Callable[[Any], Row]) -> Statement[Row]: ...
def write(source: Source, make: Callable[[Any], Any] = tuple) -> Statement[Any]:
    """The statement as asyncpg takes it; `make` is the `_make` of a NamedTuple, or `FIRST`."""
    return Statement(source, make)


def array(name: str, kind: sa.types.TypeEngine[Any]) -> Any:
    """The elements, as rows, of an argument that is an array."""
    return sa.func.unnest(sa.bindparam(name, type_=ARRAY(kind)))


def rows_of(columns: Iterable[sa.Column[Any]], prefix: str = "") -> sa.Select[Any]:
    """Rows of these columns, from an argument that is an array for each; `arrays` has them, without
    the `prefix` of their names.

    Behind OFFSET, so that PostgreSQL knows no array's length, and does not plan anew for each: that
    takes longer than storing a few rows.
    """
    kinds = {c.name: ARRAY(c.type) for c in columns} | {ROW_COUNT: sa.Integer()}
    given = (
        sa.select(*(sa.bindparam(prefix + n, type_=kind).label(n) for n, kind in kinds.items()))
        .offset(sa.literal_column("0"))
        .subquery("given")
    )
    *values, count = given.c
    return sa.select(*(sa.func.unnest(_filled(one, count)).label(one.key) for one in values))


def _filled(values: sa.ColumnElement[Any], count: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """The array; of a single value, as many as there are rows."""
    one = sa.literal_column("1", sa.Integer())
    many = sa.func.array_fill(values[one], array_of([count]))
    return sa.case((sa.func.cardinality(values) == one, many), else_=values)


def arrays(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """The rows' columns by name, as `rows_of` takes them: of one that has the same value in all
    rows that value alone, and none where it is NULL. The driver takes long to look at each.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    given: dict[str, Any] = dict(zip(names, map(_without_repeats, columns), strict=True))
    given[ROW_COUNT] = len(columns[0])
    return given


def _without_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    # Ids differ at either end, and take long to compare.
    if not values or values[0] != values[-1] or values.count(values[0]) < len(values):
        return values
    return () if values[0] is None else values[:1]


def arguments(table: sa.Table, names: Iterable[str]) -> dict[str, sa.BindParameter[Any]]:
    """Columns to set, each to the argument of its own name."""
    return {name: sa.bindparam(name, type_=table.c[name].type) for name in names}


def or_any(column: sa.Column[Any], name: str | None = None) -> sa.ColumnElement[bool]:
    """The column is the argument of this name, or of its own, where that is not NULL."""
    wanted = sa.bindparam(name or column.name, type_=column.type)
    return sa.or_(wanted.is_(None), column == wanted)


def visible(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether the caller may act on the row at all; `visible_to` has the arguments."""
    narrowed = [or_any(table.c[name]) for name in ("owner", "session_id") if name in table.c]
    return sa.and_(table.c.tenant == sa.bindparam("tenant"), *narrowed)


def visible_to(caller: Principal) -> dict[str, Any]:
    """The caller's tenant, owner and upload session; None for any of the tenant."""
    return {
        "tenant": caller.tenant,
        "owner": caller.seen_owner,
        "session_id": caller.session and caller.session.id,
    }
