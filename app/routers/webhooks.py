"""Webhooks: make, change and end those of one's tenant, try them, and send again."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from app.errors import (
    DatabaseUnavailable,
    DeliveryNotFound,
    InvalidCursor,
    TooManyWebhooks,
    WebhookNotFound,
    WebhookOff,
    WebhooksNotOffered,
    WebhookUrlRefused,
)
from app.events import webhooks
from app.http.idempotency import IDEMPOTENCY_PROBLEMS, IdempotencyKey, once
from app.http.lean_route import LeanRoute
from app.http.permissions import CanManageWebhooks, Res
from app.http.problems import headers, responses
from app.http.rendering import json_response
from app.http.webhook_bodies import (
    DeliveryList,
    DeliveryPaging,
    NewWebhook,
    ResendWanted,
    Resent,
    SecretWanted,
    TestSent,
    WebhookBody,
    WebhookChanges,
    WebhookList,
    WebhookWanted,
    delivery_json,
    webhook_json,
)
from app.models.webhooks import DeliveryState

router = APIRouter(prefix="/v1/webhooks", tags=["events"], route_class=LeanRoute)


@router.post(
    "",
    operation_id="createWebhook",
    response_model=NewWebhook,
    summary="Make a webhook",
    status_code=201,
    responses={
        **responses(
            *(WebhookUrlRefused, TooManyWebhooks, WebhooksNotOffered, DatabaseUnavailable),
            *IDEMPOTENCY_PROBLEMS,
        ),
        201: headers({"Location": "The webhook"}),
    },
)
async def create(
    body: WebhookWanted,
    caller: CanManageWebhooks,
    res: Res,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """It hears of everything in the tenant from now on. Keep `secret`: it is not shown again. A
    repeat with the same Idempotency-Key makes no other, and tells its `id`.
    """
    made, secret = await webhooks.create(
        res, caller, **body.model_dump(), once=once(caller, idempotency_key, body)
    )
    location = {"Location": f"/v1/webhooks/{made.id}"}
    return json_response(webhook_json(made) | {"secret": secret}, location, 201)


@router.get(
    "",
    operation_id="listWebhooks",
    response_model=WebhookList,
    summary="List the tenant's webhooks",
    responses=responses(DatabaseUnavailable),
)
async def list_webhooks(caller: CanManageWebhooks, res: Res) -> Response:
    """Newest first; never their secrets."""
    found = await webhooks.list_webhooks(res, caller)
    return json_response({"items": list(map(webhook_json, found))})


@router.get(
    "/{webhook_id}",
    operation_id="getWebhook",
    response_model=WebhookBody,
    summary="Get a webhook",
    responses=responses(WebhookNotFound, DatabaseUnavailable),
)
async def get(webhook_id: UUID, caller: CanManageWebhooks, res: Res) -> Response:
    """Without its secret."""
    return json_response(webhook_json(await webhooks.get_webhook(res, caller, webhook_id)))


@router.patch(
    "/{webhook_id}",
    operation_id="changeWebhook",
    response_model=WebhookBody,
    summary="Change a webhook, switch it on or off",
    responses=responses(WebhookNotFound, WebhookUrlRefused, DatabaseUnavailable),
)
async def change(
    webhook_id: UUID, body: WebhookChanges, caller: CanManageWebhooks, res: Res
) -> Response:
    """While it is off, nothing is kept for it; what it had not taken before stays."""
    changes = body.model_dump(exclude_unset=True)
    return json_response(webhook_json(await webhooks.change(res, caller, webhook_id, changes)))


@router.delete(
    "/{webhook_id}",
    operation_id="deleteWebhook",
    summary="Delete a webhook",
    status_code=204,
    responses=responses(WebhookNotFound, DatabaseUnavailable),
)
async def delete(webhook_id: UUID, caller: CanManageWebhooks, res: Res) -> Response:
    """And whatever it has not taken."""
    await webhooks.delete(res, caller, webhook_id)
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate-secret",
    operation_id="rotateWebhookSecret",
    response_model=NewWebhook,
    summary="Give a webhook a new secret",
    responses=responses(WebhookNotFound, WebhooksNotOffered, DatabaseUnavailable),
)
async def rotate_secret(
    webhook_id: UUID, caller: CanManageWebhooks, res: Res, body: SecretWanted | None = None
) -> Response:
    """Payloads are signed with both until the receiver has had time to take the new one up."""
    both_valid = timedelta(hours=(body or SecretWanted()).both_valid_hours)
    made, secret = await webhooks.rotate_secret(res, caller, webhook_id, both_valid)
    return json_response(webhook_json(made) | {"secret": secret})


@router.post(
    "/{webhook_id}/test",
    operation_id="testWebhook",
    response_model=TestSent,
    summary="Send a test event",
    status_code=202,
    responses=responses(WebhookNotFound, WebhookOff, DatabaseUnavailable),
)
async def send_test(webhook_id: UUID, caller: CanManageWebhooks, res: Res) -> Response:
    """A `webhook.test` to this webhook alone; its deliveries say what became of it."""
    event_id = await webhooks.send_test(res, caller, webhook_id)
    return json_response({"event_id": event_id}, status=202)


@router.post(
    "/{webhook_id}/resend",
    operation_id="resendToWebhook",
    response_model=Resent,
    summary="Send one event again, or all that were given up",
    status_code=202,
    responses=responses(WebhookNotFound, DeliveryNotFound, DatabaseUnavailable),
)
async def resend(
    webhook_id: UUID, body: ResendWanted, caller: CanManageWebhooks, res: Res
) -> Response:
    """Under the `webhook-id` that it had before, by which receivers know what they have."""
    if body.event_id is not None:
        await webhooks.resend(res, caller, webhook_id, event_id=body.event_id)
        return json_response({"count": 1}, status=202)
    assert body.since is not None
    count = await webhooks.resend_dead(res, caller, webhook_id, since=body.since)
    return json_response({"count": count}, status=202)


@router.get(
    "/{webhook_id}/deliveries",
    operation_id="listDeliveries",
    response_model=DeliveryList,
    summary="List what a webhook took, and what it did not",
    responses=responses(WebhookNotFound, InvalidCursor, DatabaseUnavailable),
)
async def list_deliveries(
    webhook_id: UUID,
    paging: Annotated[DeliveryPaging, Query()],
    caller: CanManageWebhooks,
    res: Res,
) -> Response:
    """Newest events first, as long as events are kept."""
    state = None if paging.state is None else DeliveryState(paging.state)
    page = await webhooks.list_deliveries(
        res, caller, webhook_id, state=state, cursor=paging.cursor, limit=paging.limit
    )
    items = [delivery_json(*each) for each in page.deliveries]
    return json_response({"items": items, "next_cursor": page.cursor})
