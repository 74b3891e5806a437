"""Forgets events that are older than they are kept, and feeds that nobody reads."""

from datetime import timedelta

from app.db import events as db_events
from app.events.sequence import sequence
from app.runtime.resources import Resources


async def purge_events(res: Resources) -> None:
    """Delete what is older than `events.retention` and waits for no webhook, and its deliveries;
    and write no more for feeds that nobody has read for as long. Raises DatabaseUnavailable.
    """
    # For whoever has an old cursor: without a position nothing tells that an event is gone. All of
    # them are looked at here, whatever this process believes to know.
    res.sequenced.forget()
    await sequence(res)
    before = res.clock() - timedelta(seconds=res.settings.events.retention)
    async with res.db.connection() as db:
        await db_events.end_reading(db, before)
    after: int | None = 0
    while after is not None:
        async with res.db.connection() as db:
            after = await db_events.purge(db, before, after)
