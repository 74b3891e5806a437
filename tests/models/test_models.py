import re
from typing import get_args, get_type_hints

import pytest
import sqlalchemy as sa

from app.models.credentials import ApiKey, UploadSession, api_keys, upload_sessions
from app.models.files import MOVES, File, State, files, states_before
from app.models.records import Record, records
from app.models.staff import Staff, staff

ROWS = [
    (File, files),
    (Record, records),
    (ApiKey, api_keys),
    (UploadSession, upload_sessions),
    (Staff, staff),
]


@pytest.mark.parametrize(("row", "table"), ROWS)
def test_a_row_has_its_tables_columns_in_their_order(row: type, table: sa.Table) -> None:
    """They are filled by position."""
    assert list(row._fields) == [column.name for column in table.columns]


@pytest.mark.parametrize(("row", "table"), ROWS)
def test_a_row_says_which_columns_may_be_empty(row: type, table: sa.Table) -> None:
    for name, hint in get_type_hints(row).items():
        assert (type(None) in get_args(hint)) is table.c[name].nullable, name


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
