"""The SQL of what staff look through: all files of a tenant, as functions of a connection.

A list walks one index in its order, and so costs the same wherever it begins. What that index does
not know is asked of each file on the way, of so many at most. Confirmed files are found by their
names in `app.files.finding`, as clients find them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from app.core.narrowing import Narrowing
from app.core.search_text import words_of
from app.db.files import in_state, literal
from app.db.lists import GREATEST, LEAST, LIMIT, between, in_order, unforeseen, walk
from app.db.statements import Statement, array, write
from app.models.files import LISTED_BY, UNLISTED_ID, File, State, files

# So many files are looked at for one page that asks of them what its index does not know.
WALK: Final = 20_000
# So far a list counts what is in it.
COUNTED: Final = 10_000
# So many files are looked at that have the beginning of an id or of a key, whosever they are.
_ALIKE: Final = 500
_c = files.c
# Behind everything that begins with the text before it.
_AFTER_PREFIX: Final = "\U0010ffff"
_LARGEST: Final = 2**63 - 1


class Order(StrEnum):
    """The orders that files are listed in: by when they were announced, or by size."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LARGEST = "largest"
    SMALLEST = "smallest"


@dataclass(frozen=True, slots=True)
class Search(Narrowing):
    """A list of files of one state, and of one owner where `owner` is given.

    Other states than confirmed are in no index of sizes.
    """

    state: State = State.CONFIRMED
    owner: str | None = None
    order: Order = Order.NEWEST

    @property
    def by_size(self) -> bool:
        """Whether the list goes by size."""
        sizes = self.order in {Order.LARGEST, Order.SMALLEST}
        return sizes and self.state is State.CONFIRMED

    @property
    def goes_up(self) -> bool:
        """Whether the oldest or the smallest are first."""
        upward = Order.SMALLEST if self.by_size else Order.OLDEST
        return self.order is upward


@dataclass(frozen=True, slots=True)
class Position:
    """Between two files: behind the file with this id and size, or before it."""

    id: UUID
    size: int | None
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
    by_size: bool
    # Which way the index is walked: backwards the other way than the list goes.
    is_upward: bool
    before: bool
    loose: bool
    indexed: tuple[str, ...]
    unindexed: tuple[str, ...]


def _searched(c: Any) -> sa.ColumnElement[str]:
    """The texts that words are looked for in."""
    space = sa.literal_column("' '", sa.Text())
    return sa.func.lower(sa.func.concat_ws(space, c.filename, c.owner, c.key, c.id))


_WORD: Final = sa.select(array("words", sa.Text()).label("word")).subquery("wanted")
_UNINDEXED: Final[dict[str, Callable[[Any], sa.ColumnElement[bool]]]] = {
    "destination": lambda c: c.destination == _text("destination"),
    "owner": lambda c: c.owner == _text("owner"),
    "content_type": lambda c: c.content_type == _text("content_type"),
    "family": lambda c: c.family == _text("family"),
    "words": lambda c: (
        ~sa.exists(sa.select(_WORD).where(sa.func.strpos(_searched(c), _WORD.c.word) == _number(0)))
    ),
    "first": lambda c: c.id >= _uuid("first"),
    "end": lambda c: c.id < _uuid("end"),
    "loose": lambda c: c.attachments == sa.literal_column("0"),
}


def _shape(search: Search, *, before: bool = False) -> _Shape:
    given = {"owner": search.owner, "destination": search.destination, **search.kind}
    narrowed = tuple(name for name, value in given.items() if value is not None)
    is_upward = search.goes_up is not before
    if search.state is State.CONFIRMED and not search.by_size:
        return _Shape(search.state, True, False, is_upward, before, search.loose, narrowed, ())
    # Of these no index knows more than state or size.
    unindexed = [*narrowed, *["loose"] * search.loose]
    if search.by_size:
        unindexed += ["first"] * (search.first is not None) + ["end"] * (search.end is not None)
    else:
        unindexed += ["words"] * bool(search.q)
    return _Shape(
        search.state, False, search.by_size, is_upward, before, False, (), tuple(unindexed)
    )


def _walk(shape: _Shape) -> sa.Select[Any]:
    """WALK files along the sizes, or along what is in no list."""
    if shape.by_size:
        order: list[sa.ColumnElement[Any]] = [_c.size, _c.id]
        low, high = (
            sa.tuple_(sa.bindparam(f"{end}_size", type_=sa.BigInteger()), _uuid(end))
            for end in ("low", "high")
        )
        limits = [sa.tuple_(*order) > low, sa.tuple_(*order) < high]
    else:
        order = [UNLISTED_ID]
        limits = [_uuid("first") <= UNLISTED_ID, _uuid("end") > UNLISTED_ID]
    return (
        sa.select(
            files,
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
    def made() -> sa.Select[Any]:
        found = _found(shape).subquery("found").c
        wanted = sa.select(*(found[column.name] for column in _c))
        if not shape.is_list:
            columns = [found.size, found.id] if shape.by_size else [found.unlisted_id]
            wanted = wanted.order_by(*(c if shape.is_upward else c.desc() for c in columns))
        return wanted

    return write(made, File._make)


@lru_cache(maxsize=256)
def _count_statement(shape: _Shape) -> Statement[tuple[int]]:
    return write(lambda: sa.select(sa.func.count()).select_from(_found(shape).subquery()))


@lru_cache(maxsize=256)
def _end_statement(shape: _Shape) -> Statement[tuple[UUID, int | None]]:
    def made() -> sa.Select[Any]:
        walked = _walk(shape).subquery("walked").c
        return (
            sa.select(walked.id, walked.size)
            .offset(unforeseen(_number(WALK - 1)))
            .limit(unforeseen(_number(1)))
        )

    return write(made)


def _arguments(search: Search, shape: _Shape, tenant: str, at: Position | None) -> dict[str, Any]:
    first, end = search.first or LEAST, search.end or GREATEST
    low, low_size, high, high_size = LEAST, -1, GREATEST, _LARGEST
    if at is not None:
        if shape.is_upward:
            low, low_size = at.id, at.size or 0
            first = max(first, UUID(int=at.id.int + 1))
        else:
            high, high_size = at.id, at.size or 0
            end = min(end, at.id)
    if shape.by_size:
        # The position is one of sizes, whenever its file was announced.
        first, end = search.first or LEAST, search.end or GREATEST
    return {
        "tenant": tenant,
        "destination": search.destination,
        "owner": search.owner,
        **search.kind,
        "words": words_of(search.q),
        **between(first, end),
        "low": low,
        "high": high,
        "low_size": low_size,
        "high_size": high_size,
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
    search = replace(search, order=Order.NEWEST)
    shape = _shape(search)
    values = _arguments(search, shape, tenant, None)
    counted: int = await _count_statement(shape).value(db, limit=COUNTED + 1, **values)
    return min(counted, COUNTED + 1)


def _alike(*within: sa.ColumnElement[bool], order: sa.ColumnElement[Any]) -> Statement[File]:
    """The tenant's among the first files in that order, without those that are removed."""
    first = (
        sa.select(files)
        .where(*within)
        .order_by(order)
        .limit(unforeseen(_number(_ALIKE)))
        .subquery("alike")
    )
    return write(
        sa.select(first)
        .where(first.c.tenant == _text("tenant"), first.c.state != literal(State.REMOVED))
        .limit(LIMIT),
        File._make,
    )


_OF_IDS = _alike(_c.id.between(_uuid("low"), _uuid("high")), order=_c.id.desc())
_OF_KEYS = _alike(
    _c.bucket == _text("bucket"), _c.key >= _text("low"), _c.key < _text("high"), order=_c.key
)


async def of_ids(db: asyncpg.Connection, tenant: str, digits: str, limit: int) -> list[File]:
    """Files in any state, removed ones apart, whose ids begin with these hexadecimal digits."""
    low, high = (UUID(digits.ljust(32, fill)) for fill in "0f")
    return await _OF_IDS.rows(db, tenant=tenant, low=low, high=high, limit=limit)


async def of_keys(
    db: asyncpg.Connection, tenant: str, buckets: Iterable[str], prefix: str, limit: int
) -> list[File]:
    """Files in any state, removed ones apart, whose keys begin with this, from each bucket."""
    found: list[File] = []
    for bucket in buckets:
        found += await _OF_KEYS.rows(
            db, tenant=tenant, bucket=bucket, low=prefix, high=prefix + _AFTER_PREFIX, limit=limit
        )
    return found[:limit]
