"""Statements are written out late, in a thread, and once."""

import asyncio
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import statements
from app.db.statements import FIRST, write


class _Driver:
    """Gives what it is asked with."""

    async def fetch(self, *asked: Any) -> list[tuple[Any, ...]]:
        return [(asked,)]


async def test_a_statement_is_written_out_once_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statement = write(
        sa.select(sa.bindparam("b", type_=sa.String()), sa.bindparam("a", type_=sa.String())), FIRST
    )
    wrote: list[int] = []
    compiled = type(statement._statement).compile

    def noted(*arguments: Any, **named: Any) -> Any:
        wrote.append(threading.get_ident())
        return compiled(*arguments, **named)

    monkeypatch.setattr(type(statement._statement), "compile", noted)
    db: Any = _Driver()
    found = await asyncio.gather(*(statement.rows(db, a="x", b=f"{n}", c=0) for n in range(3)))
    sql = "SELECT $1::VARCHAR AS anon_1, $2::VARCHAR AS anon_2"
    assert found == [[(sql, f"{n}", "x")] for n in range(3)]
    assert statement.sql == sql
    [writer] = wrote
    assert writer != threading.get_ident()
    assert statements.Written(sql, ("b", "a")) == statement.written()
