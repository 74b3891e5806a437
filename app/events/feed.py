"""The feed: a tenant's events, each once; none ever comes before one that was read."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from app.core.principal import Principal
from app.db import events as db_events
from app.db.connections import Connection
from app.errors import CursorExpired
from app.events.sequence import sequence
from app.models.events import Event
from app.runtime.resources import Resources

# In place of a cursor: behind the last event that there is.
LATEST: Final = "latest"
# Seconds that a first reading waits for changes under way, and between two looks.
_LONGEST_CHANGE: Final = 5.0
_LOOK_EVERY: Final = 0.02


class Page(NamedTuple):
    """Some events, and the cursor behind them, and behind others that the reader is not to see.

    `is_last`: there was nothing behind it.
    """

    events: Sequence[Event]
    cursor: str
    is_last: bool


async def read_feed(
    res: Resources, caller: Principal, after: str | None, types: Collection[str] | None, limit: int
) -> Page:
    """Events behind a cursor, of these types or of any; without one from the first that is kept.

    The first reading of a tenant's feed begins it; what is in no event by then is in the lists of
    files and records once it is answered. Raises CursorExpired where some are missing.
    """
    await sequence(res)
    async with res.db.connection() as db:
        feed, is_new = await db_events.open_feed(db, caller.tenant, res.clock())
        if is_new:
            await _changes_to_end(db)
        if after == LATEST:
            return Page([], str(feed.last), is_last=True)
        position = feed.purged if after is None else int(after)
        if not feed.purged <= position <= feed.last:
            raise CursorExpired(
                "Events behind this cursor are not kept any more, or are those of another "
                "database: read your files, then go on without `after`."
            )
        found, cursor = await db_events.read_events(db, caller, position, feed.last, types, limit)
    return Page(found, str(cursor), is_last=cursor >= feed.last)


async def _changes_to_end(db: Connection) -> None:
    """Wait until the changes that are under way have ended, for a few seconds at most: they began
    when nobody listened, and write no event.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST_CHANGE
    before = await db_events.changes_under_way(db)
    while before and loop.time() < end:
        await asyncio.sleep(_LOOK_EVERY)
        before &= await db_events.changes_under_way(db)
