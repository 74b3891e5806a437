import re
from typing import get_args, get_type_hints

import sqlalchemy as sa

from app.models import MOVES, File, State, files, states_before


def test_a_file_has_the_tables_columns_in_their_order() -> None:
    """Rows become files by position."""
    assert list(File._fields) == [column.name for column in files.columns]


def test_a_file_says_which_columns_may_be_empty() -> None:
    for name, hint in get_type_hints(File).items():
        assert (type(None) in get_args(hint)) is files.c[name].nullable, name


def test_every_state_has_its_moves() -> None:
    assert dict(MOVES) == {
        State.PENDING: {State.COMPLETING, State.CONFIRMED, State.REJECTED, State.REMOVING},
        State.COMPLETING: {State.PENDING, State.CONFIRMED, State.REJECTED},
        State.CONFIRMED: {State.RELEASED, State.REMOVING},
        State.REJECTED: {State.REMOVING},
        State.RELEASED: set(),
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
