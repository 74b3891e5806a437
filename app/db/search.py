"""The SQL of searches in all files of a tenant, as functions of a connection.

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

from app.core.narrowing import Narrowing
from app.db.files import in_state
from app.db.lists import GREATEST, LEAST, LIMIT, between, in_order, unforeseen, walk
from app.db.statements import Statement, write
from app.models.files import LISTED_BY, UNLISTED_ID, File, State, files

# So many files are looked at for one page that asks of them what its index does not know.
WALK: Final = 20_000
# So far a list counts what is in it.
COUNTED: Final = 10_000
_c = files.c
# As `ix_files_tenant_name` has it.
_LOWERED: Final = sa.func.lower(_c.filename).collate("C")
# Behind everything that begins with the text before it.
_AFTER_PREFIX: Final = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Search(Narrowing):
    """A list of files of one state, and of one owner where `owner` is given.

    `name` is what their names begin with, whatever the case: such a list goes by name, every other
    one by id, newest first.
    """

    state: State = State.CONFIRMED
    name: str = ""
    owner: str | None = None

    @property
    def by_name(self) -> bool:
        """Whether the list goes by name: what was never confirmed is in no index of names."""
        return bool(self.name) and self.state is State.CONFIRMED


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


def _number(value: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(value), sa.Integer())


@dataclass(frozen=True, slots=True)
class _Shape:
    """All that a statement depends on, besides its arguments.

    `is_list`: there is an index of exactly what is wanted, as for clients' lists.
    """

    state: State
    is_list: bool
    by_name: bool
    before: bool
    loose: bool
    indexed: tuple[str, ...]
    unindexed: tuple[str, ...]

    @property
    def is_upward(self) -> bool:
        """By name it goes up, by id down; and backwards the other way round."""
        return self.by_name is not self.before


_UNINDEXED: Final[dict[str, Callable[[Any], sa.ColumnElement[bool]]]] = {
    "destination": lambda c: c.destination == _text("destination"),
    "owner": lambda c: c.owner == _text("owner"),
    "content_type": lambda c: c.content_type == _text("content_type"),
    "family": lambda c: c.family == _text("family"),
    "name": lambda c: sa.func.starts_with(c.sort_name, sa.func.lower(_text("name"))),
    "first": lambda c: c.id >= _uuid("first"),
    "end": lambda c: c.id < _uuid("end"),
    "loose": lambda c: c.attachments == sa.literal_column("0"),
}


def _shape(search: Search, *, before: bool = False) -> _Shape:
    given = {"owner": search.owner, "destination": search.destination, **search.kind}
    narrowed = tuple(name for name, value in given.items() if value is not None)
    if search.state is State.CONFIRMED and not search.by_name:
        return _Shape(search.state, True, False, before, search.loose, narrowed, ())
    # Of these no index knows more than state or name.
    unindexed = [*narrowed, *["loose"] * search.loose]
    if search.by_name:
        unindexed += ["first"] * (search.first is not None) + ["end"] * (search.end is not None)
    else:
        unindexed += ["name"] * bool(search.name)
    return _Shape(search.state, False, search.by_name, before, False, (), tuple(unindexed))


def _walk(shape: _Shape) -> sa.Select[Any]:
    """WALK files along the names, or along what is in no list, in that order (or backwards)."""
    if shape.by_name:
        order: list[sa.ColumnElement[Any]] = [_LOWERED, _c.id]
        low, high = (
            sa.tuple_(sa.func.lower(_text(f"{end}_name")), _uuid(end)) for end in ("low", "high")
        )
        limits = [sa.tuple_(*order) > low, sa.tuple_(*order) < high]
    else:
        order = [UNLISTED_ID]
        limits = [_uuid("first") <= UNLISTED_ID, _uuid("end") > UNLISTED_ID]
    return (
        sa.select(
            files,
            _LOWERED.label("sort_name"),
            LISTED_BY["family"].label("family"),
            UNLISTED_ID.label("unlisted_id"),
        )
        .where(
            in_state(shape.state),
            _c.tenant == _text("tenant"),
            *limits,
        )
        .order_by(*(column if shape.is_upward else column.desc() for column in order))
        .limit(unforeseen(_number(WALK)))
    )


def _found(shape: _Shape) -> sa.Select[Any]:
    """The files that are wanted, LIMIT of them, in order.

    A filter and a limit keep the order of what they are given, and ask no longer than they must.
    """
    if shape.is_list:
        return walk(("tenant", *shape.indexed), loose=shape.loose, upward=shape.is_upward)
    walked = _walk(shape).subquery("walked")
    return (
        sa.select(walked)
        .where(*(_UNINDEXED[name](walked.c) for name in shape.unindexed))
        .limit(LIMIT)
    )


# Written anew they cost 2 to 6 ms each, more than a page.
@lru_cache(maxsize=256)
def _page_statement(shape: _Shape) -> Statement[File]:
    found = _found(shape).subquery("found").c
    wanted = sa.select(*(found[column.name] for column in _c))
    if not shape.is_list:
        columns = [found.sort_name, found.id] if shape.by_name else [found.unlisted_id]
        wanted = wanted.order_by(*(c if shape.is_upward else c.desc() for c in columns))
    return write(wanted, File._make)


@lru_cache(maxsize=256)
def _count_statement(shape: _Shape) -> Statement[tuple[int]]:
    return write(sa.select(sa.func.count()).select_from(_found(shape).subquery()))


@lru_cache(maxsize=256)
def _end_statement(shape: _Shape) -> Statement[tuple[UUID, str]]:
    walked = _walk(shape).subquery("walked").c
    return write(
        sa.select(walked.id, walked.filename)
        .offset(unforeseen(_number(WALK - 1)))
        .limit(unforeseen(_number(1)))
    )


def _arguments(search: Search, shape: _Shape, tenant: str, at: Position | None) -> dict[str, Any]:
    first, end = search.first or LEAST, search.end or GREATEST
    low, low_name, high, high_name = LEAST, search.name, LEAST, search.name + _AFTER_PREFIX
    if at is not None:
        if shape.by_name and at.before:
            high, high_name = at.id, at.filename
        elif shape.by_name:
            low, low_name = at.id, at.filename
        elif at.before:
            first = max(first, UUID(int=at.id.int + 1))
        else:
            end = min(end, at.id)
    return {
        "tenant": tenant,
        "destination": search.destination,
        "owner": search.owner,
        **search.kind,
        "name": search.name,
        **between(first, end),
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
    found = await _page_statement(shape).rows(db, limit=limit, **values)
    if shape.is_list:
        found = in_order(found, limit, upward=shape.is_upward)
    return found[::-1] if shape.before else found


async def end_of_walk(
    db: asyncpg.Connection, tenant: str, search: Search, at: Position | None
) -> Position | None:
    """Up to where `page` looked from there; None where it looked at all that there is."""
    shape = _shape(search, before=at is not None and at.before)
    if shape.is_list or not shape.unindexed:
        return None
    row = await _end_statement(shape).row(db, **_arguments(search, shape, tenant, at))
    return None if row is None else Position(*row, shape.before)


async def count(db: asyncpg.Connection, tenant: str, search: Search) -> int:
    """How many there are, of those within WALK; COUNTED + 1 where there are more than COUNTED."""
    shape = _shape(search)
    values = _arguments(search, shape, tenant, None)
    counted: int = await _count_statement(shape).value(db, limit=COUNTED + 1, **values)
    return min(counted, COUNTED + 1)
