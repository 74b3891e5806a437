"""The feed: a tenant's events, each once; none ever comes before one that was read."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from app.core.principal import Principal
from app.db import events as db_events
from app.errors import CursorExpired
from app.events.sequence import sequence
from app.models.events import Event
from app.runtime.resources import Resources

# In place of a cursor: behind the last event that there is.
LATEST: Final = "latest"


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

    The first reading of a tenant's feed begins it. Raises CursorExpired where some are missing.
    """
    await sequence(res)
    async with res.db.connection() as db:
        feed = await db_events.open_feed(db, caller.tenant, res.clock())
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
