"""The receiver of webhooks: in the place of aiohttp and of somebody's endpoint.

It takes what is signed with the secret that it was told at first, and rotates that once at most.
"""

import asyncio
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from app.events.send import Answer
from tests.simulation.loop import owner

if TYPE_CHECKING:
    from tests.simulation.world import World

# Seconds after which the sender gives up.
TRY_SECONDS: Final = 10.0
# A receiver refuses what was signed longer ago (Standard Webhooks).
_TOLERANCE: Final = timedelta(minutes=5)
# For so long payloads are signed with the secret before as well.
BOTH_VALID: Final = timedelta(hours=3)
# What was claimed with the secret before is sent within a lease's half.
_CLAIMED: Final = timedelta(seconds=15)


@dataclass
class Secrets:
    """The secret of a webhook; and the one after it, asked for and told at these moments."""

    first: str
    asked_at: datetime | None = None
    second: str | None = None
    told_at: datetime | None = None


def signed_wrongly(
    world: "World", secrets: Secrets, headers: Mapping[str, str], body: bytes
) -> Iterator[str]:
    """By Standard Webhooks 1.0, for whoever takes up a new secret late, and at once."""
    signed_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    if abs(world.now() - signed_at) > _TOLERANCE:
        yield f"a webhook was signed at {signed_at}"
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    said = headers["webhook-signature"].split()

    def signs(secret: str) -> bool:
        mac = hmac.digest(b64decode(secret.removeprefix("whsec_")), message, "sha256")
        return f"v1,{b64encode(mac).decode()}" in said

    skew, asked, told = world.model.skew, secrets.asked_at, secrets.told_at
    if (asked is None or signed_at < asked + BOTH_VALID - skew) and not signs(secrets.first):
        yield "a webhook is not signed with its secret"
    late = told is not None and signed_at > told + _CLAIMED + skew
    if late and secrets.second is not None and not signs(secrets.second):
        yield "a webhook is not signed with its new secret"
    events = world.model.rows["events"].values()
    event = next((row for row in events if row["event_id"] == headers["webhook-id"]), None)
    if event is None or json.loads(body)["type"] != event["type"]:
        yield f"webhook {headers['webhook-id']} tells of another event"


@asynccontextmanager
async def no_client(*_: Any) -> AsyncIterator[None]:
    """In the place of `app.events.send.open_client`: nothing real is opened."""
    yield


async def post(
    world: "World", _client: None, _url: str, headers: dict[str, str], body: bytes
) -> Answer:
    """In the place of `app.events.send.post`."""
    began = world.loop.time()

    def take() -> int:
        if world.secrets is not None:
            world.blame(signed_wrongly(world, world.secrets, headers, body))
        world.received.append(headers["webhook-id"])
        return 204

    try:
        async with asyncio.timeout(TRY_SECONDS):
            status = await world.seam(owner.get(), "webhook", "POST", take)
    except (ConnectionError, TimeoutError) as error:
        return Answer(None, type(error).__name__, None, world.loop.time() - began)
    return Answer(status, None, None, world.loop.time() - began)
