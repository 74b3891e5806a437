"""Uploads that confirm themselves: the store tells that an object is there, or the sweep looks.

Each ends in the one confirm that clients use, which asks the bucket itself: whatever an event says,
however often and in whatever order events come, a file is what the bucket holds.
"""

from app.errors import UploadNotArrived
from app.models.files import File, State
from app.runtime.resources import Resources
from app.uploads.confirm import end_upload
from app.uploads.verify import After


async def confirm_arrived(res: Resources, file: File) -> After:
    """Confirm an upload for no client, or reject it, if it has arrived whole.

    Raises UploadNotArrived, also where its destination lets nothing confirm itself, and what
    `verify` raises.
    """
    if file.state != State.PENDING or res.bucket_of(file).destination.unconfirmed == "delete":
        raise UploadNotArrived("This upload does not confirm itself.")
    if not await may_be_whole(res, file):
        raise UploadNotArrived("Nobody but its client knows when all of its parts are there.")
    return await end_upload(res, file, wait_seconds=None, by_itself=True)


async def may_be_whole(res: Resources, file: File) -> bool:
    """Whether confirming would show that it is whole.

    Parts of an upload without a size could be joined at any time: only its client knows when all
    are there. Once they are joined, the client has said so.
    """
    if file.method != "multipart" or file.size is not None:
        return True
    return await res.bucket_of(file).list_parts(file.store_upload_id) is None
