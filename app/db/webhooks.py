"""The SQL of webhooks, as functions of a connection."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from app.db import events as db_events
from app.db.statements import FIRST, arguments, write
from app.db.tell import TOLD
from app.models.events import EventType, events
from app.models.tables import MOMENT
from app.models.webhooks import Ended, Webhook, webhooks

_c = webhooks.c
_OWN = sa.and_(_c.id == sa.bindparam("webhook_id"), _c.tenant == sa.bindparam("tenant"))

_HOLD = write(
    sa.text(
        "INSERT INTO listeners (tenant) VALUES (:tenant) "
        "ON CONFLICT (tenant) DO UPDATE SET tenant = excluded.tenant"
    ).bindparams(sa.bindparam("tenant", type_=sa.Text()))
)
_COUNT = write(
    sa.select(sa.func.count(), sa.func.count().filter(_c.ended.is_(None))).where(
        _c.tenant == sa.bindparam("tenant")
    )
)


async def hold(db: asyncpg.Connection, tenant: str) -> int:
    """Let nobody else change the tenant's webhooks before this transaction ends; how many it has.

    Call it first, and `note` last: else of two who change some at once the one might note what the
    other has changed already.
    """
    await _HOLD.run(db, tenant=tenant)
    count: int = await _COUNT.value(db, tenant=tenant)
    return count


async def note(db: asyncpg.Connection, tenant: str) -> None:
    """Note whether the tenant's events are to be written for a webhook, as it is now."""
    row = await _COUNT.row(db, tenant=tenant)
    assert row is not None
    await db_events.note_endpoints(db, tenant, has_endpoints=row[1] > 0)


_INSERT = write(sa.insert(webhooks).values(arguments(webhooks, Webhook._fields)))


async def insert_webhook(db: asyncpg.Connection, webhook: Webhook) -> None:
    await _INSERT.run(db, **webhook._asdict())


_LIST = write(
    sa.select(webhooks).where(_c.tenant == sa.bindparam("tenant")).order_by(_c.id.desc()),
    Webhook._make,
)


async def list_webhooks(db: asyncpg.Connection, tenant: str) -> list[Webhook]:
    """All of the tenant's, newest first."""
    return await _LIST.rows(db, tenant=tenant)


_GET = write(sa.select(webhooks).where(_OWN), Webhook._make)


async def get_webhook(db: asyncpg.Connection, webhook_id: UUID, tenant: str) -> Webhook | None:
    return await _GET.row(db, webhook_id=webhook_id, tenant=tenant)


_CHANGED: Final = (
    *("url", "description", "types", "destinations", "ended", "failing_since"),
    *("generation", "secret_hash", "previous_until"),
)
_UPDATE = write(sa.update(webhooks).where(_OWN).values(arguments(webhooks, _CHANGED)))


async def update_webhook(db: asyncpg.Connection, webhook: Webhook) -> None:
    """Write all that can change of a webhook that the transaction holds."""
    changed = {name: getattr(webhook, name) for name in _CHANGED}
    await _UPDATE.run(db, webhook_id=webhook.id, tenant=webhook.tenant, **changed)


_DELETE = write(sa.delete(webhooks).where(_OWN).returning(webhooks), Webhook._make)


async def delete_webhook(db: asyncpg.Connection, webhook_id: UUID, tenant: str) -> Webhook | None:
    """Delete it and its deliveries; the row that was there."""
    return await _DELETE.row(db, webhook_id=webhook_id, tenant=tenant)


_NOTE_SUCCESS = write(
    sa.update(webhooks)
    .where(_c.id == sa.bindparam("webhook_id"), _c.failing_since.is_not(None))
    .values(failing_since=sa.null())
)
_NOTE_FAILURE = write(
    sa.update(webhooks)
    .where(_c.id == sa.bindparam("webhook_id"), _c.failing_since.is_(None))
    .values(failing_since=sa.bindparam("now", type_=MOMENT))
)


async def note_success(db: asyncpg.Connection, webhook_id: UUID) -> None:
    """It has taken something."""
    await _NOTE_SUCCESS.run(db, webhook_id=webhook_id)


async def note_failure(db: asyncpg.Connection, webhook_id: UUID, now: datetime) -> None:
    """It has failed, and from when on is noted already unless it has taken something since."""
    await _NOTE_FAILURE.run(db, webhook_id=webhook_id, now=now)


_END = write(
    sa.update(webhooks)
    .where(
        _c.id == sa.bindparam("webhook_id"),
        _c.ended.is_(None),
        sa.or_(
            sa.bindparam("failing_before", type_=MOMENT).is_(None),
            _c.failing_since < sa.bindparam("failing_before", type_=MOMENT),
        ),
    )
    .values(ended=sa.bindparam("ended", type_=sa.Text()))
    .returning(webhooks),
    Webhook._make,
)


async def end_webhook(
    db: asyncpg.Connection, webhook_id: UUID, why: Ended, failing_before: datetime | None = None
) -> Webhook | None:
    """Switch it off, if it is on, and has failed since before that moment, where one is given."""
    return await _END.row(db, webhook_id=webhook_id, ended=why.value, failing_before=failing_before)


_WRITTEN: Final = (
    *("event_id", "type", "tenant", "owner", "subject", "request_id", "created_at", "data"),
)
_TELL = write(sa.insert(events).values(arguments(events, _WRITTEN)).returning(events.c.id), FIRST)


async def tell(
    db: asyncpg.Connection,
    kind: EventType,
    webhook: Webhook,
    *,
    event_id: UUID,
    request_id: str | None,
    now: datetime,
    data: dict[str, Any],
) -> None:
    """Write an event about the webhook; `data` is what it says."""
    await _TELL.run(
        db,
        event_id=event_id,
        type=kind.value,
        tenant=webhook.tenant,
        owner=webhook.created_by,
        subject=f"webhook/{webhook.id}",
        request_id=request_id,
        created_at=now,
        data=data,
    )
    wake(db)


def wake(db: asyncpg.Connection) -> None:
    """Have the workers look as soon as this is committed."""
    TOLD.add(db)
