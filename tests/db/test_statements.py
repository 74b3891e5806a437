"""Statements are written out late, in a thread, and once."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import sqlalchemy as sa

from app.db.statements import FIRST, write


class _Driver:
    """Gives what it is asked with."""

    async def fetch(self, *asked: Any) -> list[tuple[Any, ...]]:
        return [(asked,)]


async def test_a_statement_is_made_and_written_out_once_beside_the_event_loop() -> None:
    makers: list[int] = []

    def made() -> sa.Select[Any]:
        makers.append(threading.get_ident())
        return sa.select(*(sa.bindparam(name, type_=sa.String()) for name in "ba"))

    statement = write(made, FIRST)
    db: Any = _Driver()
    found = await asyncio.gather(*(statement.rows(db, a="x", b=f"{n}", c=0) for n in range(3)))
    sql = "SELECT $1::VARCHAR AS anon_1, $2::VARCHAR AS anon_2"
    assert found == [[(sql, f"{n}", "x")] for n in range(3)]
    assert statement.written() == (sql, ("b", "a"))
    [maker] = makers
    assert maker != threading.get_ident()


class _Cycle:
    """Something that only the collector frees, as SQLAlchemy's objects are."""

    def __init__(self) -> None:
        self.me = self


async def test_nothing_is_kept_of_what_a_statement_was_made_with() -> None:
    left: list[weakref.ref[_Cycle]] = []

    def made() -> sa.Select[Any]:
        left.append(weakref.ref(_Cycle()))
        return sa.select(sa.literal_column("1"))

    statement = write(made, FIRST)
    db: Any = _Driver()
    await statement.rows(db)
    gc.collect()
    assert [garbage() for garbage in left] == [None]
    # Searches of which there were too many to remember go at once.
    gone = weakref.ref(statement)
    gc.disable()
    try:
        del statement
        assert gone() is None
    finally:
        gc.enable()
