"""Take note of what GuardDuty tells: an event says which file to look at, its tag what was found.

Whoever can send events to the service's door or queue could else say that a file is clean.
"""

from app.core.bucket_events import scans
from app.db import scans as db_scans
from app.runtime.resources import Resources


async def note_scans(res: Resources, text: str | bytes) -> None:
    """Note which files the notification says were scanned: a worker looks at their tags next.

    Costs nothing where no destination is scanned by GuardDuty. Raises UnreadableEvent.
    """
    scanned = [
        one
        for one in res.settings.destinations.values()
        if one.scan == "required" and one.scanner == "guardduty"
    ]
    if not scanned:
        return
    buckets = {one.bucket for one in scanned}
    names = {(bucket, key) for bucket, key in scans(text) if bucket in buckets}
    if names:
        async with res.db.connection() as db:
            await db_scans.note_told(db, names, [one.name for one in scanned], res.clock())
