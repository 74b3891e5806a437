"""Cancel an upload, release a file, remove a file with its object.

A removal is claimed and committed before the bucket is asked, so that two workers never act at
once; a crash leaves state `removing` with a lease, and the next call after its end goes on.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.core.principal import Principal
from app.db import files as db_files
from app.db import moves
from app.errors import FileInUse, FileNotFound, RemovalUnderWay, UploadNotFound, UploadNotPending
from app.logs.audit import audit_file
from app.logs.metrics import count_upload
from app.models.files import File, State
from app.records.reading import uses_of
from app.runtime.resources import Resources

# Longer than the bucket's calls take with all their retries; after it another worker takes over.
LEASE: Final = timedelta(seconds=60)

# Instructions for the key may still work: the sweep looks at the tombstone again from then on.
LOOK_AFTER: Final = timedelta(hours=1)

# Records that hold a file: how many are named to a caller who tries to delete it.
_NAMED: Final = 10


async def cancel_upload(res: Resources, caller: Principal, upload_id: UUID) -> None:
    """Forget an upload that is pending or rejected, and delete what arrived of it.

    Repeating it is no error. The instructions stay valid until they expire; an object that arrives
    later never becomes a file, and the sweep deletes it. Raises UploadNotFound, UploadNotPending,
    RemovalUnderWay.
    """
    file, claimed = await _claim(res, caller, upload_id, moves.claim_upload_removal)
    if file is None or file.state == State.RELEASED:
        raise UploadNotFound("No upload of yours has this id.")
    if claimed:
        count_upload(file.destination, "cancelled")
        audit_file("upload.cancelled", file)
        await remove_claimed(res, file)
    elif file.state == State.REMOVING:
        raise _under_way()
    elif file.state == State.COMPLETING:
        raise UploadNotPending(
            "The upload is completing: confirm says what became of it.", state=file.state
        )
    elif file.state != State.REMOVED:
        raise UploadNotPending(
            f"The upload is {file.state}; a file is deleted with DELETE /v1/files/{file.id}.",
            state=file.state,
        )


async def release_file(res: Resources, caller: Principal, file_id: UUID) -> None:
    """Take the file out of the API; its object stays, and the row says that it is no orphan.

    Raises FileNotFound, RemovalUnderWay, and FileInUse while a record holds it.
    """
    async with res.db.connection() as db:
        file = await db_files.get_file(db, file_id, caller)
        if file is None or file.state in {State.PENDING, State.COMPLETING, State.REJECTED}:
            raise FileNotFound("No file of yours has this id.")
        released = await moves.mark_released(db, file, res.clock())
        if released is None:
            file = await db_files.get_file(db, file_id, caller)
    if released is not None:
        audit_file("file.released", released)
    elif file is not None and file.state == State.CONFIRMED:
        raise await _in_use(res, caller, file)
    elif file is not None and file.state == State.REMOVING:
        raise RemovalUnderWay(
            "The file's object is being removed. If that was cut short, "
            f"DELETE /v1/files/{file_id}?object=delete finishes it.",
            retry_after=5,
        )


async def remove_file(res: Resources, caller: Principal, file_id: UUID) -> None:
    """Delete the object with every version of its key, and leave a tombstone of the row.

    Raises FileNotFound, RemovalUnderWay, and FileInUse while a record holds it.
    """
    file, claimed = await _claim(res, caller, file_id, moves.claim_file_removal)
    if file is not None and claimed:
        audit_file("file.deleted", file)
        await remove_claimed(res, file)
    elif file is not None and file.state == State.REMOVING:
        raise _under_way()
    elif file is not None and file.state == State.CONFIRMED:
        raise await _in_use(res, caller, file)
    elif file is None or file.state != State.REMOVED:
        # A released file too: the service has given up its object.
        raise FileNotFound("No file of yours has this id.")


async def _claim(
    res: Resources, caller: Principal, file_id: UUID, claim: Callable[..., Awaitable[File | None]]
) -> tuple[File | None, bool]:
    """The row as it is now, and whether this call has claimed its removal."""
    async with res.db.connection() as db:
        file = await db_files.get_file(db, file_id, caller)
        if file is None:
            return None, False
        now = res.clock()
        claimed = await claim(db, file, now, now + LEASE)
        return claimed or await db_files.get_file(db, file_id, caller), claimed is not None


async def remove_upload(res: Resources, file: File, *, nothing_there: bool = False) -> bool:
    """Remove an upload that never became a file.

    `nothing_there`: the bucket has just said so, and is not asked again. False if it is no longer
    pending or rejected, or was given longer to live since it was read, or another has ended the
    removal.
    """
    now = res.clock()
    async with res.db.connection() as db:
        claimed = await moves.claim_upload_removal(db, file, now, now + LEASE, file.expires_at)
    if claimed is None:
        return False
    if nothing_there:
        return await _leave_tombstone(res, claimed)
    return await remove_claimed(res, claimed)


async def remove_claimed(res: Resources, file: File) -> bool:
    """Delete the object of a file whose removal this process has claimed, and end the claim.

    False if another has ended it: the lease had run out.
    """
    try:
        await delete_object(res, file)
    except BaseException:
        async with res.db.connection() as db:
            # Well in the past, for another replica's clock may be behind ours.
            await moves.move_lease(db, file, res.clock() - LEASE)
        raise
    return await _leave_tombstone(res, file)


async def _leave_tombstone(res: Resources, file: File) -> bool:
    async with res.db.connection() as db:
        now = res.clock()
        if not await moves.finish_removal(db, file, now, now + LOOK_AFTER):
            return False
    audit_file("object.removed", file)
    return True


async def delete_object(res: Resources, file: File) -> None:
    """Delete every version of the file's key, and the uploads to it that are under way.

    Where the key may be another's, too, only the versions that were sent for this file.
    """
    handle = res.bucket_of(file)
    if file.method == "multipart":
        # One that was completed is none any more; where it still looks like one, its parts are the
        # object.
        completed = file.confirmed_at is not None
        await handle.abort_uploads(None if completed else file.store_upload_id)
    if not file.may_share_key:
        await handle.delete()
        return
    for version_id in await handle.find_versions():
        found = await handle.head(version_id)
        if found is not None and found.is_of(file.id):
            await handle.delete_version(version_id)


async def _in_use(res: Resources, caller: Principal, file: File) -> FileInUse:
    uses = await uses_of(res, caller, file, _NAMED)
    return FileInUse(
        "Records hold the file: take it out of them first.", records=[use._asdict() for use in uses]
    )


def _under_way() -> RemovalUnderWay:
    return RemovalUnderWay("Another request is removing this; ask again.", retry_after=5)
