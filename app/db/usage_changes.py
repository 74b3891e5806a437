"""The part of a statement on files that notes by how much uses change, at levels that are kept.

A row is added, and none changed: whoever moves a file waits for nobody, and holds nothing that
others wait for. Where no level is kept, PostgreSQL looks at an empty table and is done.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.models.files import State
from app.models.usage import Level, Usage, usage_changes, usage_levels

_level = usage_levels.c.level
_ONE, _NOTHING = (sa.literal_column(f"{n}::bigint", sa.BigInteger()) for n in (1, 0))


def noted(moved: sa.CTE, to: State, *, was_pending: bool = True) -> sa.CTE:
    """Note the rows that have just come to this state, from whichever there is before it. Files
    that were not pending before (`was_pending`), but released or adopted, have nothing reserved.

    A rejected upload has given back what was reserved for it, and what removes it gives nothing.
    """
    m = moved.c
    size = sa.func.coalesce(m.size, _NOTHING)
    reserved = sa.func.coalesce(m.reserved, m.size, _NOTHING)
    where: sa.ColumnElement[bool] = sa.true()
    changes: tuple[sa.ColumnElement[Any], ...]
    match to:
        case State.PENDING:
            changes = (_NOTHING, _NOTHING, _ONE, reserved)
        case State.CONFIRMED:
            given_back = (-_ONE, -reserved) if was_pending else (_NOTHING, _NOTHING)
            changes = (_ONE, size, *given_back)
        case State.REJECTED:
            changes = (_NOTHING, _NOTHING, -_ONE, -reserved)
        case State.RELEASED:
            changes = (-_ONE, -size, _NOTHING, _NOTHING)
        case State.REMOVED:
            was_file = m.confirmed_at.is_not(None)
            changes = (
                *(sa.case((was_file, -each), else_=_NOTHING) for each in (_ONE, size)),
                *(sa.case((was_file, _NOTHING), else_=-each) for each in (_ONE, reserved)),
            )
            where = sa.or_(was_file, m.reason.is_(None))
        case _:
            raise AssertionError(f"nothing changes with a move to {to}")
    rows = (
        sa.select(m.tenant, owner_at(_level, m.owner), *changes)
        .select_from(sa.join(moved, usage_levels, sa.true()))
        .where(where)
    )
    return insert(usage_changes).from_select(Usage._fields, rows).cte("noted")


def owner_at(level: sa.ColumnElement[str], owner: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The owner in the key of a level."""
    is_owner = level == sa.literal_column(f"'{Level.OWNER}'")
    return sa.case((is_owner, owner), else_=sa.literal_column("''", sa.Text()))
