"""Webhooks: make, change, end, try out, and send again what one did not take.

A webhook hears of everything that happens in its tenant, whoever's it is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.access.idempotency import kept, require_first
from app.core.idempotency import RequestKey
from app.core.principal import Principal
from app.core.webhook_signature import derive_secret, hash_secret, secret_text
from app.db import deliveries as db_deliveries
from app.db import idempotency as db_idempotency
from app.db import webhooks as db_webhooks
from app.db.connections import Connection
from app.errors import (
    DeliveryNotFound,
    TooManyWebhooks,
    WebhookNotFound,
    WebhookOff,
    WebhooksNotOffered,
    WebhookUrlRefused,
)
from app.events.targets import load_parser, objection
from app.loading import load_once
from app.logs.audit import audit
from app.logs.log import current_actor
from app.models.events import Event, EventType
from app.models.webhooks import Delivery, DeliveryState, Ended, Webhook
from app.runtime.resources import Resources

# So many has a tenant: each costs a delivery of each event.
MAX_WEBHOOKS: Final = 50
# How long receivers have for taking up a new secret, unless it is said.
BOTH_VALID: Final = timedelta(days=1)
# Behind every event's number.
_END: Final = 2**63 - 1


async def create(
    res: Resources,
    caller: Principal,
    *,
    url: str,
    description: str = "",
    types: Sequence[str] = (),
    destinations: Sequence[str] = (),
    enabled: bool = True,
    once: RequestKey | None = None,
) -> tuple[Webhook, str]:
    """The new webhook of the caller's tenant, and its secret, which is not shown again.

    Without types or destinations it hears of all. Raises WebhooksNotOffered, WebhookUrlRefused and
    TooManyWebhooks; and for a request that has an idempotency key RequestUnderWay, and as
    `require_first` does.
    """
    await require_first(res, once)
    await _check_url(res, url)
    now = res.clock()
    webhook_id = res.new_id(now)
    secret = derive_secret(_root(res), webhook_id, 1)
    webhook = Webhook(
        id=webhook_id,
        tenant=caller.tenant,
        url=url,
        description=description,
        types=sorted(set(types)),
        destinations=sorted(set(destinations)),
        ended=None if enabled else Ended.ASKED.value,
        generation=1,
        secret_hash=hash_secret(secret),
        previous_until=None,
        failing_since=None,
        created_by=caller.owner,
        created_at=now,
    )
    async with res.db.transaction() as db:
        if once is not None:
            await db_idempotency.keep(db, kept(once, webhook.id, now))
        if await db_webhooks.hold(db, caller.tenant) >= MAX_WEBHOOKS:
            raise TooManyWebhooks(f"Your tenant has {MAX_WEBHOOKS} webhooks, and no more are made.")
        await db_webhooks.insert_webhook(db, webhook)
        await db_webhooks.note(db, caller.tenant)
    audit("webhook.created", webhook_id=webhook.id, url=url)
    return webhook, secret_text(secret)


async def list_webhooks(res: Resources, caller: Principal) -> list[Webhook]:
    """All of the caller's tenant, newest first."""
    async with res.db.connection() as db:
        return await db_webhooks.list_webhooks(db, caller.tenant)


async def get_webhook(res: Resources, caller: Principal, webhook_id: UUID) -> Webhook:
    """One of the caller's tenant. Raises WebhookNotFound."""
    async with res.db.connection() as db:
        return await _found(db, caller, webhook_id)


async def change(
    res: Resources, caller: Principal, webhook_id: UUID, changes: Mapping[str, Any]
) -> Webhook:
    """The webhook with these changes: of `url`, `description`, `types`, `destinations`, `enabled`.

    One that is switched on goes on with what it had not taken. Raises WebhookNotFound and
    WebhookUrlRefused.
    """
    given = dict(changes)
    if "url" in given:
        await _check_url(res, given["url"])
    for name in ("types", "destinations"):
        if name in given:
            given[name] = sorted(set(given[name]))
    enabled = given.pop("enabled", None)
    async with res.db.transaction() as db:
        await db_webhooks.hold(db, caller.tenant)
        webhook = (await _found(db, caller, webhook_id))._replace(**given)
        if enabled:
            webhook = webhook._replace(ended=None, failing_since=None)
        elif enabled is False:
            webhook = webhook._replace(ended=webhook.ended or Ended.ASKED.value)
        await db_webhooks.update_webhook(db, webhook)
        await db_webhooks.note(db, caller.tenant)
    audit("webhook.changed", webhook_id=webhook.id, url=webhook.url, changed=sorted(changes))
    return webhook


async def delete(res: Resources, caller: Principal, webhook_id: UUID) -> None:
    """Delete the webhook, and what it has not taken. Raises WebhookNotFound."""
    async with res.db.transaction() as db:
        await db_webhooks.hold(db, caller.tenant)
        webhook = await db_webhooks.delete_webhook(db, webhook_id, caller.tenant)
        await db_webhooks.note(db, caller.tenant)
    if webhook is None:
        raise _not_found()
    audit("webhook.deleted", webhook_id=webhook.id, url=webhook.url)


async def rotate_secret(
    res: Resources, caller: Principal, webhook_id: UUID, both_valid: timedelta = BOTH_VALID
) -> tuple[Webhook, str]:
    """The webhook and its new secret. For so long payloads are signed with the one before too.

    Raises WebhookNotFound and WebhooksNotOffered.
    """
    root, now = _root(res), res.clock()
    async with res.db.transaction() as db:
        await db_webhooks.hold(db, caller.tenant)
        webhook = await _found(db, caller, webhook_id)
        secret = derive_secret(root, webhook.id, webhook.generation + 1)
        webhook = webhook._replace(
            generation=webhook.generation + 1,
            secret_hash=hash_secret(secret),
            previous_until=now + both_valid,
        )
        await db_webhooks.update_webhook(db, webhook)
    audit("webhook.secret_rotated", webhook_id=webhook.id, url=webhook.url)
    return webhook, secret_text(secret)


def secrets_of(res: Resources, webhook: Webhook) -> list[bytes]:
    """The secrets that payloads are signed with now, the newest first.

    None where CLAIMCHECK_SECRET_KEY is not the one that the newest was made with.
    """
    if res.webhook_secret is None:
        return []
    newest = derive_secret(res.webhook_secret, webhook.id, webhook.generation)
    if hash_secret(newest) != webhook.secret_hash:
        return []
    if webhook.previous_until is None or webhook.previous_until <= res.clock():
        return [newest]
    return [newest, derive_secret(res.webhook_secret, webhook.id, webhook.generation - 1)]


async def send_test(res: Resources, caller: Principal, webhook_id: UUID) -> UUID:
    """Write an event for this webhook alone; its id. Raises WebhookNotFound and WebhookOff."""
    now = res.clock()
    event_id = res.new_id(now)
    async with res.db.transaction() as db:
        webhook = await _found(db, caller, webhook_id)
        if webhook.ended is not None:
            raise WebhookOff("The webhook is off: switch it on, then try it.")
        await _tell(db, EventType.WEBHOOK_TEST, webhook, event_id, now)
    return event_id


async def end(
    res: Resources, webhook: Webhook, why: Ended, failing_before: datetime | None = None
) -> None:
    """Switch it off by itself, and tell of it; see `app.db.webhooks.end_webhook` for when."""
    now = res.clock()
    async with res.db.transaction() as db:
        await db_webhooks.hold(db, webhook.tenant)
        ended = await db_webhooks.end_webhook(db, webhook.id, why, failing_before)
        if ended is None:
            return
        await _tell(db, EventType.WEBHOOK_DISABLED, ended, res.new_id(now), now)
        await db_webhooks.note(db, webhook.tenant)
    audit("webhook.disabled", webhook_id=ended.id, url=ended.url, reason=why.value)


class DeliveryPage(NamedTuple):
    """Deliveries with their events, and the cursor of the next page, None after the last."""

    deliveries: list[tuple[Delivery, Event]]
    cursor: str | None


async def list_deliveries(
    res: Resources,
    caller: Principal,
    webhook_id: UUID,
    *,
    state: DeliveryState | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> DeliveryPage:
    """Deliveries to the webhook, past and to come, the newest events first.

    Raises WebhookNotFound and InvalidCursor.
    """
    scope = repr(("deliveries", webhook_id, state, *caller.identity))
    before = _END if cursor is None else res.read_cursor(scope, cursor).int
    async with res.db.connection() as db:
        await _found(db, caller, webhook_id)
        rows = await db_deliveries.list_deliveries(db, webhook_id, state, before, limit + 1)
    if len(rows) <= limit:
        return DeliveryPage(rows, None)
    last = UUID(int=rows[limit - 1][1].id)
    return DeliveryPage(rows[:limit], res.cursor_at(scope, last))


async def resend(res: Resources, caller: Principal, webhook_id: UUID, *, event_id: UUID) -> None:
    """Have one event delivered once more. Raises WebhookNotFound and DeliveryNotFound."""
    now = res.clock()
    async with res.db.transaction() as db:
        await _found(db, caller, webhook_id)
        if not await db_deliveries.resend_one(db, webhook_id, event_id, now):
            raise DeliveryNotFound("This event was not for this webhook, or is not kept any more.")
        db_webhooks.wake(db)
    audit("webhook.resent", webhook_id=webhook_id, event_id=event_id)


async def resend_dead(
    res: Resources, caller: Principal, webhook_id: UUID, *, since: datetime
) -> int:
    """Have all that was given up of what happened since then delivered once more; how many.

    Raises WebhookNotFound.
    """
    now = res.clock()
    async with res.db.transaction() as db:
        await _found(db, caller, webhook_id)
        count = await db_deliveries.resend_dead(db, webhook_id, since, now)
        db_webhooks.wake(db)
    audit("webhook.resent", webhook_id=webhook_id, since=since, count=count)
    return count


async def _found(db: Connection, caller: Principal, webhook_id: UUID) -> Webhook:
    found = await db_webhooks.get_webhook(db, webhook_id, caller.tenant)
    if found is None:
        raise _not_found()
    return found


def _not_found() -> WebhookNotFound:
    return WebhookNotFound("Your tenant has no webhook with this id.")


async def _tell(
    db: Connection, kind: EventType, webhook: Webhook, event_id: UUID, now: datetime
) -> None:
    actor = current_actor.get()
    data = {"id": str(webhook.id), "url": webhook.url, "ended": webhook.ended}
    await db_webhooks.tell(
        db,
        kind,
        webhook,
        event_id=event_id,
        request_id=None if actor is None else actor.request_id,
        now=now,
        data=data,
    )


async def _check_url(res: Resources, url: str) -> None:
    await load_once(load_parser)
    why = objection(res.settings, url)
    if why is not None:
        raise WebhookUrlRefused(why)


def _root(res: Resources) -> bytes:
    if res.webhook_secret is None:
        raise WebhooksNotOffered("Set CLAIMCHECK_SECRET_KEY: what signs webhooks is made from it.")
    return res.webhook_secret
