"""Leftovers at the key of a file, or of a rejected upload whose object is kept, once nothing that
was signed for it can work any more.

Whoever holds the instructions of an upload may send it again until they end. On a bucket that keeps
versions each time makes one, which no link serves and somebody pays for; where the object was
deleted, for it was infected, it is there again. And the store may have begun an upload in parts
without its answer arriving.
"""

from app.core.deadlines import NO_REQUEST_AFTER
from app.logs.audit import audit
from app.models.files import File
from app.runtime.resources import Resources
from app.uploads.remove import delete_object


async def remove_replays(res: Resources, file: File) -> int:
    """Delete the versions of the file's key that came with its own instructions, but for the one
    that was confirmed; how many there were. Of what came in parts, also where it was rejected or
    released, other uploads to the key go that were begun while it was pending; of infected files
    that were deleted whatever has come since. These are not counted.

    Others, without the file's id, are not the uploader's, and stay. Raises BucketRefused,
    BucketUnavailable, SigningUnavailable.
    """
    handle = res.bucket_of(file)
    if file.method == "multipart":
        # Parts have no URL that works once they are joined. But where the store's answer was lost,
        # an upload may have been begun that nobody knows, while the file was pending: one of later
        # is another program's. Never the one that became the object, if it is listed still: on
        # OpenStack Swift its parts are the object.
        for upload_id in await handle.find_uploads(before=file.expires_at + NO_REQUEST_AFTER):
            if upload_id != file.store_upload_id:
                await handle.abort_upload(upload_id)
        return 0
    if file.ended_at is not None:
        # Infected, and so its object was deleted; whatever was sent again is as infected.
        await delete_object(res, file)
        return 0
    versions = await handle.find_versions()
    if file.version_id not in versions:
        # Lost, which `reconcile` tells of: nothing is deleted beside what is missing.
        return 0
    removed = 0
    for version_id in versions:
        if version_id is None or version_id == file.version_id:
            continue
        found = await handle.head(version_id)
        if found is not None and found.is_of(file.id):
            await handle.delete_version(version_id)
            audit("version.deleted", bucket=file.bucket, key=file.key, version_id=version_id)
            removed += 1
    return removed
