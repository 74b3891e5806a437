"""Forgets events that are older than they are kept, and feeds that nobody reads."""

from datetime import timedelta

from app.db import deliveries as db_deliveries
from app.db import events as db_events
from app.events.sequence import sequence
from app.runtime.resources import Resources


async def purge_events(res: Resources) -> None:
    """Delete what is older than `events.retention`, and its deliveries; and write no more for
    feeds that nobody has read for as long. Raises DatabaseUnavailable.
    """
    # For whoever has an old cursor: without a position nothing tells that an event is gone. All of
    # them are looked at here, whatever this process believes to know.
    res.sequenced.forget()
    await sequence(res)
    before = res.clock() - timedelta(seconds=res.settings.events.retention)
    async with res.db.connection() as db:
        await db_events.end_reading(db, before)
    count = db_events.MOST_AT_ONCE
    while count:
        async with res.db.connection() as db:
            count = await db_events.purge(db, before)
    async with res.db.connection() as db:
        await db_deliveries.purge(db)
