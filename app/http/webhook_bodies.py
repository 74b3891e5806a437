"""The bodies of requests about webhooks, and of the answers."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from app.events.targets import MAX_URL
from app.http.rendering import Moment, Paging
from app.models.events import Event, EventType
from app.models.webhooks import Delivery, DeliveryState, Ended, Webhook

_MAX_HOURS: Final = 24 * 7
_WANTED_EXAMPLE: Final[dict[str, Any]] = {
    "url": "https://www.example.com/hooks",
    "types": ["file.confirmed", "file.removed"],
}
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51",
    "url": "https://www.example.com/hooks",
    "description": "",
    "types": ["file.confirmed", "file.removed"],
    "destinations": [],
    "enabled": True,
    "ended": None,
    "failing_since": None,
    "both_secrets_until": None,
    "created_by": "shop",
    "created_at": "2026-11-22T19:07:09.123456Z",
}
_DELIVERY_EXAMPLE: Final[dict[str, Any]] = {
    "event_id": "019ac8a0-85fe-7b0c-9a61-2c5d8f0e4b77",
    "type": "file.confirmed",
    "subject": "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51",
    "created_at": "2026-11-22T19:07:11.502311Z",
    "state": "pending",
    "failures": 1,
    "due_at": "2026-11-22T19:07:17.104512Z",
    "tried_at": "2026-11-22T19:07:11.520193Z",
    "status": 503,
    "error": "It answered 503: deploying",
    "took_ms": 17,
}

Url = Annotated[
    str,
    StringConstraints(max_length=MAX_URL),
    Field(description="`https`; under `claimcheck dev` also `http` on this machine"),
]


def _printable(value: str) -> str:
    # Among what is not is NUL, which PostgreSQL's texts cannot have.
    if not value.isprintable():
        raise ValueError("must be printable")
    return value


Description = Annotated[str, StringConstraints(max_length=255), AfterValidator(_printable)]
Types = Annotated[
    list[EventType], Field(max_length=50, description="It hears of these alone; empty: of all")
]
Destinations = Annotated[
    list[Annotated[str, StringConstraints(max_length=63), AfterValidator(_printable)]],
    Field(
        max_length=50,
        description="It hears of files of these alone, and not of records; empty: of all",
    ),
]


class WebhookWanted(BaseModel):
    """A webhook to be made in one's tenant."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _WANTED_EXAMPLE})

    url: Url
    description: Description = ""
    types: Types = []
    destinations: Destinations = []
    enabled: Annotated[bool, Field(strict=True)] = True


def _set(value: Any) -> Any:
    if value is None:
        raise ValueError("leave it out, or give a value")
    return value


_Given = AfterValidator(_set)


class WebhookChanges(BaseModel):
    """Changes of a webhook; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"enabled": False}})

    url: Annotated[Url | None, _Given] = None
    description: Annotated[Description | None, _Given] = None
    types: Annotated[Types | None, _Given] = None
    destinations: Annotated[Destinations | None, _Given] = None
    enabled: Annotated[
        bool | None,
        Field(description="One that is switched on goes on with what it had not taken"),
        _Given,
    ] = None


class WebhookBody(BaseModel):
    """A webhook, without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: UUID
    url: str
    description: str
    types: list[EventType]
    destinations: list[str]
    enabled: bool
    ended: Ended | None = Field(
        description="Why it is off: it was `asked`; it is `gone` (410); or `failing` for five days"
    )
    failing_since: Moment | None = Field(description="The first failure since it took something")
    both_secrets_until: Moment | None = Field(
        description="Until then payloads are signed with the secret before the newest too"
    )
    created_by: str
    created_at: Moment


class NewWebhook(WebhookBody):
    """A webhook with a new secret, which is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={"example": _EXAMPLE | {"secret": "whsec_C2FVsBQIhrscChlQ..."}}
    )

    secret: str = Field(description="For the libraries of Standard Webhooks")


class WebhookList(BaseModel):
    """All webhooks of the tenant, newest first."""

    items: list[WebhookBody]


class SecretWanted(BaseModel):
    """For how long the secret before stays valid."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"both_valid_hours": 24}}
    )

    both_valid_hours: Annotated[
        int, Field(strict=True, ge=0, le=_MAX_HOURS, description="Signed with both for so long")
    ] = 24


class DeliveryBody(BaseModel):
    """An event for the webhook, and its last try. `event_id` is sent as `webhook-id`."""

    model_config = ConfigDict(json_schema_extra={"example": _DELIVERY_EXAMPLE})

    event_id: UUID
    type: EventType
    subject: str = Field(description="The file's id, or the record's type and id")
    created_at: Moment
    state: DeliveryState = Field(description="`dead`: no try is left; it can be sent again")
    failures: int
    due_at: Moment | None = Field(description="Not tried before; null where it is not pending")
    tried_at: Moment | None
    status: int | None = Field(description="HTTP status of the last answer; null for none")
    error: str | None
    took_ms: int | None


class DeliveryList(BaseModel):
    """Deliveries, newest events first; pass `next_cursor` as `cursor` for the next page."""

    items: list[DeliveryBody]
    next_cursor: str | None


class DeliveryPaging(Paging):
    """Which deliveries."""

    state: Literal["pending", "delivered", "dead"] | None = None


class ResendWanted(BaseModel):
    """One event, whatever became of it; or all that are dead, of what happened since a moment."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"since": "2026-11-22T19:00:00Z"}}
    )

    event_id: UUID | None = None
    since: Annotated[datetime | None, Field(description="With an offset from UTC")] = None

    @model_validator(mode="after")
    def _one(self) -> "ResendWanted":
        if (self.event_id is None) == (self.since is None):
            raise ValueError("give event_id, or since")
        if self.since is not None and self.since.tzinfo is None:
            raise ValueError("give since with its offset from UTC: 2026-11-22T19:00:00Z")
        return self


class Resent(BaseModel):
    """How many deliveries are under way once more."""

    count: int


class TestSent(BaseModel):
    """The test event that is under way."""

    __test__ = False  # none of pytest's

    event_id: UUID


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """A WebhookBody."""
    return {
        "id": webhook.id,
        "url": webhook.url,
        "description": webhook.description,
        "types": webhook.types,
        "destinations": webhook.destinations,
        "enabled": webhook.ended is None,
        "ended": webhook.ended,
        "failing_since": webhook.failing_since,
        "both_secrets_until": webhook.previous_until,
        "created_by": webhook.created_by,
        "created_at": webhook.created_at,
    }


def delivery_json(delivery: Delivery, event: Event) -> dict[str, Any]:
    """A DeliveryBody."""
    is_pending = delivery.state == DeliveryState.PENDING
    return {
        "event_id": event.event_id,
        "type": event.type,
        "subject": event.subject,
        "created_at": event.created_at,
        "state": delivery.state,
        "failures": delivery.failures,
        "due_at": delivery.due_at if is_pending else None,
        "tried_at": delivery.tried_at,
        "status": delivery.status,
        "error": delivery.error,
        "took_ms": delivery.took_ms,
    }
