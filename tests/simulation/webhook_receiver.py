"""The receiver of webhooks: in the place of aiohttp and of somebody's endpoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from app.events.send import Answer
from tests.simulation.loop import owner

if TYPE_CHECKING:
    from tests.simulation.world import World

# Seconds after which the sender gives up.
TRY_SECONDS = 10.0


@asynccontextmanager
async def no_client(*_: Any) -> AsyncIterator[None]:
    """In the place of `app.events.send.open_client`: nothing real is opened."""
    yield


async def post(
    world: "World", _client: None, _url: str, headers: dict[str, str], _body: bytes
) -> Answer:
    """In the place of `app.events.send.post`."""
    began = world.loop.time()

    def take() -> int:
        world.received.append(headers["webhook-id"])
        return 204

    try:
        async with asyncio.timeout(TRY_SECONDS):
            status = await world.seam(owner.get(), "webhook", "POST", take)
    except (ConnectionError, TimeoutError) as error:
        return Answer(None, type(error).__name__, None, world.loop.time() - began)
    return Answer(status, None, None, world.loop.time() - began)
