"""Uploads that confirm themselves: the store tells that an object is there, or the sweep looks.

Each ends in the one confirm that clients use, which asks the bucket itself: whatever an event says,
however often and in whatever order events come, a file is what the bucket holds.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from app.db import arrivals as db_arrivals
from app.errors import UploadNotArrived
from app.models.files import File, State
from app.runtime.resources import Resources
from app.uploads.confirm import end_by_itself
from app.uploads.verify import After

# Who confirms, in the audit trail, where the store has told.
ACTOR: Final = "bucket-events"
# Work of a process that may be under way before what is told is left to the worker's next look.
_MOST_UNDER_WAY: Final = 32


async def note_arrivals(res: Resources, names: Iterable[tuple[str, str]]) -> list[File]:
    """Note that objects with these buckets and keys are said to be there; the uploads that are.

    Once it returns none is lost: the sweep looks for them next, whoever ends in between. Names
    that are no pending upload's, of files, of other buckets, are of no interest.
    """
    wanted = {(bucket, key) for bucket, key in names if bucket in _buckets(res)}
    if not wanted:
        return []
    async with res.db.connection() as db:
        return await db_arrivals.note_arrivals(db, wanted, res.clock())


def _buckets(res: Resources) -> set[str]:
    return {destination.bucket for destination in res.settings.destinations.values()}


def confirm_noted(res: Resources, files: Sequence[File]) -> None:
    """Begin to confirm uploads that were noted, without waiting for it. A process that has much to
    do leaves them to the sweep.
    """
    for file in files:
        if len(res.background) < _MOST_UNDER_WAY:
            res.background.share(("arrived", file.id), partial(try_to_confirm, res, file))


async def try_to_confirm(res: Resources, file: File) -> None:
    """Confirm an upload that is said to have arrived, if it has."""
    with suppress(UploadNotArrived):
        await confirm_arrived(res, file)


async def confirm_arrived(res: Resources, file: File) -> After:
    """Confirm an upload for no client, or reject it, if it has arrived whole.

    Raises UploadNotArrived, also where its destination lets nothing confirm itself, and what
    `verify` raises.
    """
    if file.state != State.PENDING or res.bucket_of(file).destination.unconfirmed == "delete":
        raise UploadNotArrived("This upload does not confirm itself.")
    if not await may_be_whole(res, file):
        raise UploadNotArrived("Nobody but its client knows when all of its parts are there.")
    return await end_by_itself(res, file)


async def may_be_whole(res: Resources, file: File) -> bool:
    """Whether confirming would show that it is whole.

    Parts of an upload without a size could be joined at any time: only its client knows when all
    are there. Once they are joined, the client has said so.
    """
    if file.method != "multipart" or file.size is not None:
        return True
    return await res.bucket_of(file).list_parts(file.store_upload_id) is None
