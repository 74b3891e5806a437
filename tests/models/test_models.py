import re
from typing import Annotated, NamedTuple
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from app.models import tables
from app.models.files import MOVES, State, files, states_before
from app.models.tables import BYTE_ORDER, KEY

_Loud = Annotated[str, {"server_default": "!"}]


class Cup(NamedTuple):
    id: Annotated[UUID, KEY]
    name: Annotated[str, BYTE_ORDER]
    words: list[str] | None
    size: Annotated[int | None, {"type_": sa.BigInteger()}]
    slogan: _Loud


def test_a_rows_fields_are_its_tables_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "metadata", sa.MetaData())
    made = tables.table("cups", Cup, sa.UniqueConstraint("name"))
    written = str(CreateTable(made).compile(dialect=postgresql.dialect()))
    assert [line.strip(" \t,") for line in written.strip().splitlines()[1:-1]] == [
        "id UUID NOT NULL",
        'name TEXT COLLATE "C" NOT NULL',
        "words TEXT[]",
        "size BIGINT",
        "slogan TEXT DEFAULT '!' NOT NULL",
        "PRIMARY KEY (id)",
        "UNIQUE (name)",
    ]


def test_every_state_has_its_moves() -> None:
    assert dict(MOVES) == {
        State.PENDING: {State.COMPLETING, State.CONFIRMED, State.REJECTED, State.REMOVING},
        State.COMPLETING: {State.PENDING, State.CONFIRMED, State.REJECTED},
        State.CONFIRMED: {State.RELEASED, State.REMOVING},
        State.REJECTED: {State.REMOVING},
        State.RELEASED: {State.CONFIRMED},
        State.REMOVING: {State.REMOVED},
        State.REMOVED: set(),
    }


def test_moves_read_backwards() -> None:
    for after in State:
        assert states_before(after) == [before for before in State if after in MOVES[before]]
    # Every file begins as pending, and every other state can be reached.
    assert all(states_before(state) for state in State)
    assert states_before(State.PENDING) == [State.COMPLETING]


def test_the_database_knows_every_state() -> None:
    [check] = [
        c
        for c in files.constraints
        if isinstance(c, sa.CheckConstraint) and c.name == "ck_files_state_known"
    ]
    assert set(re.findall(r"'(\w+)'", str(check.sqltext))) == {state.value for state in State}
