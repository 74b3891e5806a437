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
from app.db.files import in_state, literal
from app.db.statements import Statement, write
from app.models.files import LISTED_BY, File, State, files

# So many files are looked at for one page that asks of them what its index does not know.
WALK: Final = 20_000
# So far a list counts what is in it.
COUNTED: Final = 10_000
_c = files.c
# As `ix_files_tenant_name` has it.
_LOWERED: Final = sa.func.lower(_c.filename).collate("C")
_ONE: Final = sa.literal_column("1", sa.Integer())
# An argument, for then plans that begin at once are preferred.
_LIMIT: Final = sa.bindparam("limit", type_=sa.Integer())
_LAST: Final = UUID(int=(1 << 128) - 1)
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


@dataclass(frozen=True, slots=True)
class _Shape:
    """All that a statement depends on, besides its arguments."""

    state: State
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
    "family": lambda c: sa.func.starts_with(c.content_type, _text("family").concat("/")),
    "name": lambda c: sa.func.starts_with(c.sort_name, sa.func.lower(_text("name"))),
    "since": lambda c: c.id > _uuid("since"),
    "until": lambda c: c.id < _uuid("until"),
    "loose": lambda c: c.attachments == sa.literal_column("0"),
}


def _shape(search: Search, *, before: bool = False) -> _Shape:
    given = {"owner": search.owner, "destination": search.destination, **search.kind}
    narrowed = tuple(name for name, value in given.items() if value is not None)
    if search.state is State.CONFIRMED and not search.by_name:
        return _Shape(search.state, False, before, search.loose, narrowed, ())
    # Of these no index knows more than state or name.
    unindexed = [*narrowed, *["loose"] * search.loose]
    if search.by_name:
        unindexed += ["since"] * (search.first is not None) + ["until"] * (search.end is not None)
    else:
        unindexed += ["name"] * bool(search.name)
    return _Shape(search.state, search.by_name, before, False, (), tuple(unindexed))


def _walk(shape: _Shape, limit: Any) -> sa.Select[Any]:
    """So many files along the index in its order (or backwards), between two places in it.

    In row comparisons over all its columns, so that no other index will do: see `app.db.files`.
    """
    equal = [LISTED_BY[name] for name in ("tenant", *shape.indexed)]
    given: list[Any] = [_text(name) for name in ("tenant", *shape.indexed)]
    if shape.state is not State.CONFIRMED:
        equal.append(_c.state)
        given.append(literal(shape.state))
    if shape.by_name:
        equal.append(_LOWERED)
    ends = []
    for end in ("low", "high"):
        name = [sa.func.lower(_text(f"{end}_name"))] if shape.by_name else []
        ends.append(sa.tuple_(*given, *name, _uuid(end)))
    row = [*equal, _c.id]
    up = shape.is_upward
    walk = (
        sa.select(files, _LOWERED.label("sort_name"), LISTED_BY["family"].label("family"))
        .where(in_state(shape.state), sa.tuple_(*row) > ends[0], sa.tuple_(*row) < ends[1])
        .order_by(*(column.asc() if up else column.desc() for column in row))
        .limit(limit)
    )
    if shape.state is not State.CONFIRMED or shape.by_name:
        return walk
    # The lists' indexes have what records hold apart from the rest.
    held = LISTED_BY["held"]
    halves = ("0",) if shape.loose else ("0", "1")
    both = sa.union_all(
        *(walk.where(held == sa.literal_column(half)) for half in halves)
    ).subquery()
    # By all columns of the index, though all but the last are the same: else it is not walked.
    merged = [both.c[name] for name in ("tenant", *shape.indexed, "id")]
    ordered = [column.asc() if up else column.desc() for column in merged]
    return sa.select(both).order_by(*ordered).limit(limit)


def _found(shape: _Shape, limit: Any) -> sa.Select[Any]:
    """The walk's files, and where more is asked of them, of WALK of them those that are wanted.

    A filter and a limit keep the order of what they are given, and ask no longer than they must.
    """
    if not shape.unindexed:
        walked = _walk(shape, limit).subquery("walked")
        return sa.select(*(walked.c[column.name] for column in _c))
    walked = _walk(shape, sa.literal_column(str(WALK))).subquery("walked")
    return (
        sa.select(*(walked.c[column.name] for column in _c))
        .where(*(_UNINDEXED[name](walked.c) for name in shape.unindexed))
        .limit(limit)
    )


# Written anew they cost 2 to 6 ms each, more than a page.
@lru_cache(maxsize=256)
def _page_statement(shape: _Shape) -> Statement[File]:
    found = _found(shape, _LIMIT).subquery("found").c
    columns = [sa.func.lower(found.filename).collate("C")] * shape.by_name + [found.id]
    ordered = [column.asc() if shape.is_upward else column.desc() for column in columns]
    return write(sa.select(*(found[column.name] for column in _c)).order_by(*ordered), File._make)


@lru_cache(maxsize=256)
def _count_statement(shape: _Shape) -> Statement[tuple[int]]:
    found = _found(shape, _LIMIT)
    return write(sa.select(sa.func.count()).select_from(found.subquery()))


@lru_cache(maxsize=256)
def _end_statement(shape: _Shape) -> Statement[tuple[UUID, str]]:
    walked = _walk(shape, sa.literal_column(str(WALK))).subquery("walked").c
    return write(
        sa.select(walked.id, walked.filename).offset(sa.literal_column(str(WALK - 1))).limit(_ONE)
    )


def _arguments(search: Search, shape: _Shape, tenant: str, at: Position | None) -> dict[str, Any]:
    since = UUID(int=search.first.int - 1) if search.first else UUID(int=0)
    until = search.end or _LAST
    low, high, low_name, high_name = since, until, search.name, search.name + _AFTER_PREFIX
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
        **search.kind,
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
    found = await _page_statement(shape).rows(db, limit=limit, **values)
    return found[::-1] if shape.before else found


async def end_of_walk(
    db: asyncpg.Connection, tenant: str, search: Search, at: Position | None
) -> Position | None:
    """Up to where `page` looked from there; None where it looked at all that there is."""
    shape = _shape(search, before=at is not None and at.before)
    if not shape.unindexed:
        return None
    row = await _end_statement(shape).row(db, **_arguments(search, shape, tenant, at))
    return None if row is None else Position(*row, shape.before)


async def count(db: asyncpg.Connection, tenant: str, search: Search) -> int:
    """How many there are, of those within WALK; COUNTED + 1 where there are more than COUNTED."""
    shape = _shape(search)
    values = _arguments(search, shape, tenant, None)
    counted: int = await _count_statement(shape).value(db, limit=COUNTED + 1, **values)
    return counted
