"""Gives events their place in the feed, once they are committed."""

import asyncio
from typing import Final

from app.db import events as db_events
from app.db.deliveries import fan_out
from app.runtime.resources import Resources

# Seconds until another look where another process is at it; it takes some milliseconds.
_TURN: Final = 0.02
_TURNS: Final = 10


async def sequence(res: Resources) -> None:
    """Give a position to whatever was committed before this call. Raises DatabaseUnavailable.

    However many wait for it in this process, it is done once for all of them. What another process
    is at for long is left to it.
    """
    # Not the work that is under way, which may have looked too early.
    under_way = res.background.shared(sequence)
    if under_way is not None:
        await asyncio.wait({under_way})
    await asyncio.shield(res.background.share(sequence, lambda: _sequence(res)))


async def _sequence(res: Resources) -> None:
    async with res.db.connection() as db:
        if not await db_events.are_waiting(db, res.sequenced):
            return
    turns = 0
    while turns < _TURNS:
        async with res.db.transaction() as db:
            ids = await db_events.give_positions(db, res.sequenced)
            if ids:
                await fan_out(db, ids, res.clock())
        if ids is None:
            turns += 1
            await asyncio.sleep(_TURN)
        elif len(ids) < db_events.MOST_AT_ONCE:
            return
