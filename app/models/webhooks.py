"""The tables of webhooks, and of what is to be delivered to them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.tables import KEY, table

_BIG: Final = {"type_": sa.BigInteger()}


class Ended(StrEnum):
    """Why a webhook is off."""

    ASKED = "asked"  # somebody switched it off
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # for days it took nothing


class Webhook(NamedTuple):
    """A row of `webhooks`: an endpoint that is told of the tenant's events.

    Without `types` or `destinations` it is told of all; what has no destination (a record) goes to
    those without. Its secret is derived, see `app.core.webhook_signature`, and `secret_hash` is the
    SHA-256 of the newest, by which it is known that the same one is derived still. The one before
    is valid too until `previous_until`. `failing_since` is the first failure after the last
    success.
    """

    id: Annotated[UUID, KEY]
    tenant: str
    url: str
    description: str
    types: list[str]
    destinations: list[str]
    ended: str | None
    generation: int
    secret_hash: bytes
    previous_until: datetime | None
    failing_since: datetime | None
    created_by: str
    created_at: datetime


webhooks: Final = table("webhooks", Webhook, sa.Index("ix_webhooks_tenant_id", "tenant", "id"))


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  # no try is left


class Delivery(NamedTuple):
    """A row of `deliveries`: one event for one webhook.

    Those of one subject, a file or a record, are in one `lane`: a hash of webhook and subject. It
    is one column, so that whoever looks for the first of a lane has one index to do it with,
    whatever the planner believes of a table that fills and empties. A pending one may be tried from
    `due_at` on, which is also how long whoever tries it has for that: their lease. Of those of one
    lane only the first is tried. The rest is of the last try: when it began, the HTTP status, the
    failure in a sentence, and milliseconds.
    """

    webhook_id: Annotated[UUID, KEY]
    event: Annotated[int, KEY | _BIG | {"autoincrement": False}]
    lane: UUID
    state: Annotated[str, {"server_default": "pending"}]
    failures: Annotated[int, {"server_default": "0"}]
    due_at: datetime
    tried_at: datetime | None
    status: int | None
    error: str | None
    took_ms: int | None


deliveries: Final = table(
    "deliveries",
    Delivery,
    sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], ondelete="CASCADE"),
)
_PENDING: Final = deliveries.c.state == sa.literal_column("'pending'")
sa.Index(
    "ix_deliveries_due",
    deliveries.c.webhook_id,
    deliveries.c.due_at,
    postgresql_where=_PENDING,
)
sa.Index(
    "ix_deliveries_lane",
    deliveries.c.lane,
    deliveries.c.event,
    postgresql_where=_PENDING,
)
