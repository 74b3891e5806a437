"""Events, written by the statement that makes the move they tell of, where anybody listens.

So no path can forget them, none is there without its move, and none costs a round trip. Where
nobody listens, the statement looks at one row of `listeners`, and writes nothing.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar
from weakref import WeakSet

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from app.db.statements import Statement
from app.db.usage_changes import noted
from app.logs.log import current_actor
from app.models.events import EventType, events, listeners
from app.models.files import File, State, files
from app.models.records import Record, records
from app.models.tables import MOMENT

Row = TypeVar("Row")

# Connections that have written an event: once it is committed, those who wait are to look.
TOLD: Final[WeakSet[asyncpg.Connection]] = WeakSet()

# The ids of events are UUIDv7 (RFC 9562 section 5.7): version 4's random bits, its first six bytes
# the milliseconds, and 7 for its version.
_MILLISECONDS = "floor(extract(epoch from {moment}) * 1000)::bigint"
_UUID7 = (
    f"encode(set_bit(set_bit(substring(int8send({_MILLISECONDS}) from 3)"
    " || substring(uuid_send(gen_random_uuid()) from 7), 52, 1), 53, 1), 'hex')::uuid"
)
# The last column of what a telling statement returns: whether anybody listens.
_HEARD: Final = "heard"
_ROW: Final = f"(to_jsonb(moved) - '{_HEARD}')"


class Telling(Statement[Row]):
    """A statement that makes one move, and returns the row with whether anybody listens."""

    async def row(self, db: asyncpg.Connection, **values: Any) -> Row | None:
        """The row that was moved, None where none was."""
        actor = current_actor.get()
        values["request_id"] = None if actor is None else actor.request_id
        found = await db.fetchrow(*await self._with(values))
        if found is None:
            return None
        if found[-1]:
            TOLD.add(db)
        return self.make(found[:-1])


def _text(value: str) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{value}'", sa.Text())


def _telling(
    change: sa.UpdateBase,
    table: sa.Table,
    made: Callable[[Any], Any],
    *,
    columns: Iterable[sa.ColumnElement[Any]],
    moment: str,
    event: Callable[[sa.CTE], dict[str, sa.ColumnElement[Any]]],
    to: State | None = None,
    was_pending: bool = True,
) -> Telling[Any]:
    """A change of one row, which returns these columns, and its event; of a file that it moves `to`
    a state, with the change of its owner's use (`was_pending` as in `noted`).

    Whether somebody listens is asked once, with the row; where nobody does, PostgreSQL sets up the
    insertion and is done.
    """
    listening = sa.exists(
        sa.select(listeners.c.tenant).where(
            listeners.c.tenant == table.c.tenant,
            sa.or_(listeners.c.has_endpoints, listeners.c.is_read),
        )
    )
    moved = change.returning(*columns, listening.label(_HEARD)).cte("moved")
    values = {
        "event_id": sa.literal_column(_UUID7.format(moment=moment), sa.Uuid()),
        "tenant": moved.c.tenant,
        "owner": moved.c.owner,
        "request_id": sa.bindparam("request_id", type_=sa.Text()),
        "created_at": sa.literal_column(moment, MOMENT),
        **event(moved),
    }
    row = sa.select(*values.values()).where(moved.c[_HEARD], values["type"].is_not(None))
    told = insert(events).from_select(list(values), row).cte("told")
    more = [told] if to is None else [told, noted(moved, to, was_pending=was_pending)]
    return Telling(sa.select(*moved.c).add_cte(*more), made)


# The end of a removal, told by what was removed: of a rejected upload it was told before.
REMOVED: Final = sa.literal_column(
    f"CASE WHEN moved.confirmed_at IS NOT NULL THEN '{EventType.FILE_REMOVED}' "
    f"WHEN moved.reason IS NULL THEN '{EventType.UPLOAD_EXPIRED}' END",
    sa.Text(),
)


def telling_of_file(
    move: sa.Update,
    kind: EventType | sa.ColumnElement[str],
    to: State | None = None,
    *,
    was_pending: bool = True,
    moment: str = "coalesce(moved.ended_at, moved.confirmed_at)",
) -> Telling[File]:
    """The change of one file, all of whose columns are returned, and the event that it makes, none
    where the kind is NULL. `to`: the state that it moves the file to, if it does, and whether it
    `was_pending` until then; `moment`, in SQL, is when it happened.
    """
    return _telling(
        move,
        files,
        File._make,
        columns=files.c,
        moment=moment,
        event=lambda moved: {
            "type": _text(kind) if isinstance(kind, EventType) else kind,
            "subject": sa.cast(moved.c.id, sa.Text()),
            "destination": moved.c.destination,
            "data": sa.literal_column(f"jsonb_strip_nulls({_ROW})", JSONB()),
        },
        to=to,
        was_pending=was_pending,
    )


# A record's event has the files of each field as its readers are shown them.
_FIELDS: Final = """
(SELECT coalesce(jsonb_object_agg(field, held), '{}') FROM (
  SELECT field, jsonb_agg(jsonb_build_object(
    'id', files.id, 'url', files.url, 'filename', files.filename,
    'content_type', files.content_type, 'size', files.size
  ) ORDER BY position) AS held
  FROM record_files JOIN files ON files.id = record_files.file_id
  WHERE record_files.tenant = moved.tenant AND record_files.type = moved.type
    AND record_files.record_id = moved.id
  GROUP BY field
) AS fields)"""


def telling_of_record(
    change: sa.Update | sa.Delete,
    columns: Iterable[sa.ColumnElement[Any]] = records.c,
    *,
    emptied: bool = False,
) -> Telling[Record]:
    """The last statement of a change of one record, which returns these columns, and its event.

    `emptied`: the record was deleted, whatever it still holds in the eyes of the statement.
    """
    fields = "'{}'::jsonb" if emptied else _FIELDS
    return _telling(
        change,
        records,
        Record._make,
        columns=columns,
        moment="moved.updated_at",
        event=lambda moved: {
            "type": _text(EventType.RECORD_CHANGED),
            "subject": moved.c.type.concat(_text("/")).concat(moved.c.id),
            "data": sa.literal_column(f"{_ROW} || jsonb_build_object('fields', {fields})", JSONB()),
        },
    )
