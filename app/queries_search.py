"""The SQL of looking through all files of a tenant, as functions of a connection.

A list walks one index in its order, and so costs the same wherever it begins. What that index does
not know is asked of each file on the way, of so many at most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from app.models import File, State, files
from app.queries import in_state, literal, many
from app.statements import Statement, write

# So many files are looked at for one page that asks of them what its index does not know.
WALK: Final = 20_000
# So far a list counts what is in it.
COUNTED: Final = 10_000
_c = files.c
# As `ix_files_tenant_name` has it.
_LOWERED: Final = sa.func.lower(_c.filename).collate("C")
_ONE: Final = sa.literal_column("1", sa.Integer())
_LAST: Final = UUID(int=(1 << 128) - 1)
# Behind everything that begins with the text before it.
_BEHIND: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for: files of one state, ids from `first` on and before `end`.

    `name` is what their names begin with, whatever the case: such a list goes by name, every other
    one by id, newest first. `content_type` may be a family, as `image/*`.
    """

    state: State = State.CONFIRMED
    name: str = ""
    destination: str | None = None
    owner: str | None = None
    content_type: str | None = None
    first: UUID | None = None
    end: UUID | None = None
    loose: bool = False

    @property
    def by_name(self) -> bool:
        """Whether the list goes by name: what was never confirmed is in no index of names."""
        return bool(self.name) and self.state is State.CONFIRMED

    @property
    def is_family(self) -> bool:
        return self.content_type is not None and self.content_type.endswith("/*")


@dataclass(frozen=True, slots=True)
class Position:
    """Between two files: behind the file with this id, or before it."""

    id: UUID
    filename: str
    before: bool = False


def _text(name: str) -> sa.BindParameter[str]:
    return sa.bindparam(name, type_=sa.Text())


def _uuid(name: str) -> sa.BindParameter[UUID]:
    return sa.bindparam(name, type_=sa.Uuid())


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a statement depends on, besides its arguments."""

    state: State
    by_name: bool
    before: bool
    indexed: tuple[str, ...]
    asked: tuple[str, ...]


_ASKED: Final[dict[str, Callable[[Any], sa.ColumnElement[bool]]]] = {
    "destination": lambda c: c.destination == _text("destination"),
    "owner": lambda c: c.owner == _text("owner"),
    "content_type": lambda c: c.content_type == _text("content_type"),
    "family": lambda c: sa.func.starts_with(c.content_type, _text("family")),
    "name": lambda c: sa.func.starts_with(c.sort_name, sa.func.lower(_text("name"))),
    "since": lambda c: c.id > _uuid("since"),
    "until": lambda c: c.id < _uuid("until"),
    "loose": lambda c: c.attachments == sa.literal_column("0"),
}


def _shape(search: Search, *, before: bool = False) -> _Shape:
    equal = [
        name
        for name in ("owner", "destination", "content_type")
        if getattr(search, name) is not None and not (name == "content_type" and search.is_family)
    ]
    asked = ["loose"] * search.loose + ["family"] * search.is_family
    indexed: list[str] = []
    if search.by_name:
        asked += equal
        asked += ["since"] if search.first else []
        asked += ["until"] if search.end else []
    else:
        if search.state is State.CONFIRMED:
            # There is an index for the owner, one for either of the others, and for him with it.
            indexed = [name for name in ("owner",) if name in equal]
            indexed += [name for name in equal if name != "owner"][:1]
        asked += [name for name in equal if name not in indexed]
        asked += ["name"] if search.name else []
    return _Shape(search.state, search.by_name, before, tuple(indexed), tuple(asked))


def _walk(shape: _Shape) -> tuple[list[Any], sa.Select[Any]]:
    """The columns of the index, and all that it leads to between two places in its order.

    In row comparisons over all its columns, so that no other index will do: see `app.queries`.
    """
    if shape.by_name:
        key: list[Any] = [_c.tenant, _LOWERED, _c.id]
        low, high = (
            [_text("tenant"), sa.func.lower(_text(f"{end}_name")), _uuid(end)]
            for end in ("low", "high")
        )
    else:
        equal = [_c.tenant, *(_c[name] for name in shape.indexed)]
        given: list[Any] = [_text(column.name) for column in equal]
        if shape.state is not State.CONFIRMED:
            equal.append(_c.state)
            given.append(literal(shape.state))
        key = [*equal, _c.id]
        low, high = [*given, _uuid("low")], [*given, _uuid("high")]
    row = sa.tuple_(*key)
    walk = sa.select(files, _LOWERED.label("sort_name")).where(
        in_state(shape.state), row > sa.tuple_(*low), row < sa.tuple_(*high)
    )
    return key, walk.order_by(*_ordered(shape, key))


def _ordered(shape: _Shape, key: list[Any]) -> list[Any]:
    """By name it goes up, by id down; and backwards the other way round."""
    up = shape.by_name is not shape.before
    return [column.asc() if up else column.desc() for column in key]


def _asked(shape: _Shape) -> tuple[Any, sa.Select[Any]]:
    """The walk, of so many files at most, and those of it that are what is asked for."""
    key, walk = _walk(shape)
    walked = walk.limit(sa.literal_column(str(WALK))).subquery("walked")
    names = ["sort_name" if column is _LOWERED else column.name for column in key]
    found = (
        sa.select(*(walked.c[column.name] for column in _c))
        .where(*(_ASKED[name](walked.c) for name in shape.asked))
        .order_by(*_ordered(shape, [walked.c[name] for name in names]))
    )
    return walked, found


@lru_cache(maxsize=256)
def _page_statement(shape: _Shape) -> Statement:
    found = _asked(shape)[1] if shape.asked else _walk(shape)[1].with_only_columns(*_c)
    return write(found.limit(sa.bindparam("limit", type_=sa.Integer())))


@lru_cache(maxsize=256)
def _count_statement(shape: _Shape) -> Statement:
    found = _asked(shape)[1] if shape.asked else _walk(shape)[1]
    # In its order, or PostgreSQL may take another index, and read all of that.
    some = found.with_only_columns(_ONE).limit(sa.literal_column(str(COUNTED + 1)))
    return write(sa.select(sa.func.count()).select_from(some.subquery()))


@lru_cache(maxsize=256)
def _end_statement(shape: _Shape) -> Statement:
    walk = _walk(shape)[1].with_only_columns(_c.id, _c.filename)
    return write(walk.offset(sa.literal_column(str(WALK - 1))).limit(_ONE))


def _arguments(search: Search, shape: _Shape, tenant: str, at: Position | None) -> dict[str, Any]:
    since = UUID(int=search.first.int - 1) if search.first else UUID(int=0)
    until = search.end or _LAST
    low, high, low_name, high_name = since, until, search.name, search.name + _BEHIND
    if shape.by_name:
        low = high = UUID(int=0)
        if at is not None and at.before:
            high, high_name = at.id, at.filename
        elif at is not None:
            low, low_name = at.id, at.filename
    elif at is not None and at.before:
        low = max(low, at.id)
    elif at is not None:
        high = min(high, at.id)
    return {
        "tenant": tenant,
        "destination": search.destination,
        "owner": search.owner,
        "content_type": search.content_type,
        "family": search.content_type and search.content_type.removesuffix("*"),
        "name": search.name,
        "since": since,
        "until": until,
        "low": low,
        "high": high,
        "low_name": low_name,
        "high_name": high_name,
    }


async def page(
    db: asyncpg.Connection, tenant: str, search: Search, at: Position | None, limit: int
) -> list[File]:
    """The files behind (or before) the position, in the list's order."""
    shape = _shape(search, before=at is not None and at.before)
    values = _arguments(search, shape, tenant, at)
    found = await many(db, _page_statement(shape), limit=limit, **values)
    return found[::-1] if shape.before else found


async def end_of_walk(
    db: asyncpg.Connection, tenant: str, search: Search, at: Position | None
) -> Position | None:
    """Up to where `page` looked from there; None where it looked at all that there is."""
    shape = _shape(search, before=at is not None and at.before)
    if not shape.asked:
        return None
    statement = _end_statement(shape)
    row = await db.fetchrow(
        statement.sql, *statement.arguments(_arguments(search, shape, tenant, at))
    )
    return None if row is None else Position(row[0], row[1], shape.before)


async def count(db: asyncpg.Connection, tenant: str, search: Search) -> int:
    """How many there are, of those within WALK; COUNTED + 1 where there are more than COUNTED."""
    shape = _shape(search)
    statement = _count_statement(shape)
    values = _arguments(search, shape, tenant, None)
    counted: int = await db.fetchval(statement.sql, *statement.arguments(values))
    return counted
