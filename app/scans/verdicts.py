"""Give a file its verdict, whoever it comes from, and let links and object follow it."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.core.destination import Destination
from app.core.principal import Principal
from app.core.scans import Scan, is_served
from app.db import files as db_files
from app.db import scans as db_scans
from app.db import sweep as db_sweep
from app.errors import (
    BucketRefused,
    BucketUnavailable,
    DatabaseUnavailable,
    FileNotFound,
    FileQuarantined,
    SigningUnavailable,
)
from app.logs.audit import audit_file
from app.models.events import EventType
from app.models.files import File, State
from app.runtime.resources import Resources
from app.uploads.remove import delete_object

# Longer than a deletion takes with all its retries; after it a worker takes over.
_DELETE_WITHIN: Final = timedelta(seconds=60)
# Of a reason, which may be a line of clamd's or of a person's.
MAX_REASON: Final = 500
# Of the totals that /metrics shows.
TOTAL_PREFIX: Final = "scan "


async def give_verdict(
    res: Resources, caller: Principal, file_id: UUID, verdict: Scan, reason: str | None
) -> File:
    """The verdict of a scanner by the API, or of staff, on one of the caller's files.

    It replaces any other; the last one counts. Raises FileNotFound, and FileQuarantined where the
    object of an infected file is gone.
    """
    while True:
        async with res.db.connection() as db:
            file = await db_files.get_file(db, file_id, caller)
        if file is None or file.state != State.CONFIRMED:
            raise FileNotFound("No file of yours has this id.")
        if file.ended_at is not None:
            raise FileQuarantined(
                "Its object was deleted, because the file was found to be infected: nothing is "
                f"left to judge. DELETE /v1/files/{file_id} takes the file out."
            )
        judged = await judge(res, file, verdict, reason)
        # Else another has judged or claimed it since it was read.
        if judged is not None:
            return judged


async def clear_file(res: Resources, caller: Principal, file_id: UUID, reason: str) -> File:
    """Release a file from quarantine, whatever was found. The reason is kept, and audited.

    Raises ValueError without a reason, and as `give_verdict` does.
    """
    if not reason or not reason.isprintable():
        raise ValueError("Say why the file is released, in one line.")
    return await give_verdict(
        res, caller, file_id, Scan.CLEAN, f"released by {caller.owner}: {reason}"
    )


async def judge(res: Resources, file: File, verdict: Scan, reason: str | None) -> File | None:
    """Give a file that was just read this verdict; None if another has judged or claimed it since.

    The object of an infected file is deleted where its destination says so; where that fails, the
    worker tries again.
    """
    destination = res.bucket_of(file).destination
    now = res.clock()
    deletes = verdict is Scan.INFECTED and destination.infected_objects == "delete"
    asked = file._replace(
        scan=verdict.value,
        scan_reason=reason and " ".join(reason.split())[:MAX_REASON],
        scanned_at=now,
        links_end_at=_links_end(file, verdict, destination, now),
        claimed_until=now + _DELETE_WITHIN if deletes else None,
    )
    event = None
    if verdict != file.scan:
        served = is_served(verdict, destination)
        event = EventType.FILE_CLEARED if served else EventType.FILE_QUARANTINED
    async with res.db.connection() as db:
        judged = await db_scans.judge(db, file, asked, event)
    if judged is None:
        return None
    audit_file(event or "file.rescanned", judged, scan=verdict, reason=judged.scan_reason)
    await _count(res, verdict)
    if deletes:
        with suppress(BucketRefused, BucketUnavailable, SigningUnavailable, DatabaseUnavailable):
            return await delete_infected(res, judged)
    return judged


def _links_end(
    file: File, verdict: Scan, destination: Destination, now: datetime
) -> datetime | None:
    """When links end that were made before this verdict, where it lets no more be made."""
    if is_served(verdict, destination):
        return None
    # A file from before its destination had files scanned may have been served.
    if file.scan is None or is_served(file.scan, destination):
        return now + timedelta(seconds=destination.longest_link)
    return file.links_end_at


async def delete_infected(res: Resources, file: File) -> File:
    """Delete the object of an infected file that is claimed for that. The file stays, so that its
    readers are told; no link to it works any more.
    """
    await delete_object(res, file)
    async with res.db.connection() as db:
        gone = await db_scans.mark_object_gone(db, file, res.clock())
    if gone is None:
        # Another has deleted it meanwhile.
        return file
    audit_file("object.removed", gone)
    return gone


async def _count(res: Resources, verdict: Scan) -> None:
    # A verdict stands, whether or not it can be counted.
    with suppress(DatabaseUnavailable):
        async with res.db.connection() as db:
            await db_sweep.add_totals(db, {TOTAL_PREFIX + verdict: 1}, res.clock())
