"""The statements that are made before anybody asks are those that lists ask for."""

from dataclasses import replace
from typing import Any, cast

import asyncpg
import pytest

from app.core.narrowing import Narrowing
from app.core.principal import DEV, Scope
from app.db import lists


class _Driver:
    """Has no files."""

    async def fetch(self, *_: Any) -> list[Any]:
        return []


@pytest.mark.parametrize("scopes", [{Scope.FILES_ALL}, set[Scope]()])
@pytest.mark.parametrize("destination", [None, "images"])
async def test_the_usual_lists_find_their_statements_made(
    scopes: set[Scope], destination: str | None
) -> None:
    caller, db = replace(DEV, scopes=frozenset(scopes)), cast(asyncpg.Connection, _Driver())
    lists._list_statement.cache_clear()
    lists.make_usual_statements()
    made = lists._list_statement.cache_info().currsize
    for narrowing in (Narrowing(destination), Narrowing(destination, "image/png")):
        found = await lists.list_files(db, caller, narrowing, 1)
        assert found == []
        # A list by type is not among them.
        made += narrowing.content_type is not None
        assert lists._list_statement.cache_info().currsize == made
