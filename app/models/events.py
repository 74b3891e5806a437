"""The tables of events, and of who listens to them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.models.tables import KEY, table


class EventType(StrEnum):
    """The kinds of events: what has happened."""

    FILE_CONFIRMED = "file.confirmed"
    FILE_REJECTED = "file.rejected"
    # Its name or its metadata.
    FILE_CHANGED = "file.changed"
    FILE_RELEASED = "file.released"
    # A scanner's verdict, or that of staff: no link to it is made any more; or they are.
    FILE_QUARANTINED = "file.quarantined"
    FILE_CLEARED = "file.cleared"
    FILE_RESTORED = "file.restored"
    FILE_REMOVED = "file.removed"
    RECORD_CHANGED = "record.changed"
    # It never became a file: nobody confirmed it in time, or it was cancelled.
    UPLOAD_EXPIRED = "upload.expired"
    # It was switched off: it answered 410, or took nothing for days.
    WEBHOOK_DISABLED = "webhook.disabled"
    # Somebody wanted to see it arrive; it goes to that webhook alone.
    WEBHOOK_TEST = "webhook.test"


class Event(NamedTuple):
    """A row of `events`, written by the statement that makes the move it tells of.

    `id` is the order of writing, in which a subject's events are also the order of what happened.
    `position` is the event's place in its tenant's feed, counted from 1; NULL until it is given
    one, after the commit (`app.db.sequence`).
    """

    id: Annotated[int, KEY | {"type_": sa.BigInteger()}]
    # A UUIDv7, which clients know the event by.
    event_id: UUID
    position: Annotated[int | None, {"type_": sa.BigInteger()}]
    type: str
    tenant: str
    owner: str
    # A file's id; a record's type and id with a slash between; `webhook/` and a webhook's id.
    subject: str
    destination: str | None
    # Of the request that caused it.
    request_id: str | None
    created_at: datetime
    # The row that was moved, by the names of its columns, without those that are NULL; a
    # record's with `fields`, the files in each.
    data: Annotated[Any, {"type_": JSONB()}]


events: Final = table("events", Event)
# Only what has no position yet, which is nothing most of the time.
sa.Index("ix_events_waiting", events.c.id, postgresql_where=events.c.position.is_(None))
sa.Index("uq_events_tenant_position", events.c.tenant, events.c.position, unique=True)
sa.Index("ix_events_subject", events.c.subject, events.c.id)
sa.Index(
    "ix_events_request_id",
    events.c.request_id,
    postgresql_where=events.c.request_id.is_not(None),
)


class Listener(NamedTuple):
    """A row of `listeners`: a tenant whose events are written, while one of the two is true.

    It is never deleted: positions go on from where they were.
    """

    tenant: Annotated[str, KEY]
    # Whether it has an enabled webhook endpoint.
    has_endpoints: Annotated[bool, {"server_default": sa.false()}]
    # Whether its feed was read within the time for which events are kept; last at `read_at`, which
    # is up to an hour older.
    is_read: Annotated[bool, {"server_default": sa.false()}]
    read_at: datetime | None
    # Readers who are not beyond this position have missed some.
    purged: Annotated[int, {"type_": sa.BigInteger(), "server_default": "0"}]


listeners: Final = table("listeners", Listener)
