"""Whoever waits for events can be ended."""

import asyncio
from typing import Any

import pytest

from app.db.wake import Wake


class Deaf:
    """Stands for a database behind a pooler, which hears nothing."""

    async def connect_to_hear(self) -> Any:
        return None


@pytest.mark.parametrize("steps", range(4))
async def test_a_cancellation_is_not_lost_behind_an_event(steps: int) -> None:
    """However many steps of the event loop lie between the two."""
    wake, event = Wake(Deaf()), asyncio.Event()  # type: ignore[arg-type]

    async def wait_on() -> None:
        while True:
            await wake.wait(event, 60)
            event.clear()

    task = asyncio.create_task(wait_on())
    await asyncio.sleep(0.01)
    event.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    # If it were lost, it would go on for ever.
    ended, _ = await asyncio.wait([task], timeout=30)
    assert ended
    await wake.close()
