"""The SQL of lists of confirmed files, newest first, as functions of a connection.

Searches, which ask more of files than lists can be narrowed to, are in `app.db.search`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import product
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from app.core.narrowing import Narrowing
from app.core.principal import Principal
from app.db.files import in_state
from app.db.statements import Statement, visible_to, write
from app.models.files import HELD, LISTED_BY, PLACE, PLACE_BYTES, File, State, files, list_key

_ONE: Final = sa.literal_column("1", sa.Integer())


def unforeseen(number: sa.ColumnElement[int]) -> sa.ScalarSelect[int]:
    """The number, as a limit that PostgreSQL does not know while it plans.

    It then expects to need a tenth of what there is, and walks an index in its order. Where it
    expects fewer rows than are wanted, it would rather collect and sort them all; but its
    statistics are of some time ago, and there may be very many by now.
    """
    return sa.select(number).scalar_subquery()


LIMIT: Final = unforeseen(sa.bindparam("limit", type_=sa.Integer()))
# From where on, and before where, a list is walked.
LEAST: Final = UUID(int=0)
GREATEST: Final = UUID(int=(1 << 128) - 1)
_BETWEEN: Final = (
    sa.bindparam("first_place", type_=sa.LargeBinary()) <= PLACE,
    sa.bindparam("last_place", type_=sa.LargeBinary()) >= PLACE,
)
_BETWEEN_IDS: Final = (
    files.c.id >= sa.bindparam("first", type_=sa.Uuid()),
    files.c.id < sa.bindparam("end", type_=sa.Uuid()),
)


def between(first: UUID, end: UUID) -> dict[str, Any]:
    """The arguments of `walk` for files with ids from `first` on and before `end`."""
    return {
        "first": first,
        "end": end,
        "first_place": first.bytes[:PLACE_BYTES],
        "last_place": end.bytes[:PLACE_BYTES],
    }


def in_order(found: Iterable[File], limit: int, *, upward: bool = False) -> list[File]:
    """The files that a walk has found, by their ids, and no more than are wanted."""
    return sorted(found, key=attrgetter("id"), reverse=not upward)[:limit]


def walk(
    names: Sequence[str],
    *,
    loose: bool,
    upward: bool = False,
    only: Sequence[sa.ColumnElement[bool]] = (),
) -> sa.Select[Any]:
    """LIMIT files of the list that is narrowed to the arguments of these names, `between` two ids.

    By their places, newest first or with `upward` oldest first; all that are at the last one's
    place, so that `in_order` has them in order. All columns of `files`.
    """
    values = [sa.bindparam(name, type_=sa.Text()) for name in names]
    key = list_key(HELD, [LISTED_BY[name] for name in names])
    # Two lists may have one number. As a test for NULL, for which no index will do, and of which
    # PostgreSQL expects that it nearly always holds.
    same = [LISTED_BY[name] == value for name, value in zip(names, values, strict=True)]
    holds = sa.case((sa.and_(*same, *_BETWEEN_IDS, *only), _ONE)).is_not(None)

    def half(held: str) -> sa.Select[Any]:
        wanted = list_key(sa.literal_column(held, sa.Integer()), values)
        return (
            sa.select(files, PLACE.label("place"))
            .where(in_state(State.CONFIRMED), key == wanted, *_BETWEEN, holds)
            .order_by(PLACE if upward else PLACE.desc())
            .fetch(LIMIT, with_ties=True)
        )

    if loose:
        return half("0")
    # The index has what records hold apart from the rest: for both, two walks are merged.
    both = sa.union_all(half("0"), half("1")).subquery("both")
    place = both.c.place
    return (
        sa.select(*(both.c[name] for name in (*File._fields, "place")))
        .order_by(place if upward else place.desc())
        .fetch(LIMIT, with_ties=True)
    )


# Written anew it costs 3.7 ms, nine times a list's own time.
@lru_cache(maxsize=64)
def _list_statement(names: tuple[str, ...], *, loose: bool, in_session: bool) -> Statement[File]:
    def made() -> sa.Select[Any]:
        of_session = files.c.session_id == sa.bindparam("session_id")
        found = walk(names, loose=loose, only=[of_session] * in_session).subquery("found").c
        return sa.select(*(found[name] for name in File._fields))

    return write(made, File._make)


def make_usual_statements() -> None:
    """Make those of the lists that front ends ask for most, which are made when first asked for."""
    for owner, destination in product((False, True), repeat=2):
        names = ("tenant", *["owner"] * owner, *["destination"] * destination)
        _list_statement(names, loose=False, in_session=False)


async def list_files(
    db: asyncpg.Connection, caller: Principal, narrowing: Narrowing, limit: int
) -> list[File]:
    """Confirmed files that are the caller's to see, newest first."""
    values = {**visible_to(caller), "destination": narrowing.destination, **narrowing.kind}
    session_id = values.pop("session_id")
    statement = _list_statement(
        tuple(name for name, value in values.items() if value is not None),
        loose=narrowing.loose,
        in_session=session_id is not None,
    )
    found = await statement.rows(
        db,
        session_id=session_id,
        limit=limit,
        **between(narrowing.first or LEAST, narrowing.end or GREATEST),
        **values,
    )
    return in_order(found, limit)
