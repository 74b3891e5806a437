"""Verify an upload: what does the bucket hold, and is it what was announced?"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Final, NamedTuple

from app.core.contents import HEAD_BYTES, charset_to_say, detect, is_slow, rules
from app.core.destination import Destination
from app.core.scans import Scan
from app.db import credentials as db_credentials
from app.db import files as db_files
from app.db import moves, part_digests
from app.errors import (
    BucketRefused,
    BucketUnavailable,
    DatabaseUnavailable,
    SigningUnavailable,
    UploadNotArrived,
    UploadRejected,
)
from app.loading import load_once
from app.logs.audit import audit_file
from app.logs.metrics import count_upload
from app.models.files import File, Seal
from app.records.writing import Attachment, attach, audit_change, lock_record
from app.runtime.resources import Resources
from app.store.look import StoredObject
from app.store.objects import ObjectHandle
from app.uploads.integrity import compare
from app.uploads.objections import (
    contents_objection,
    is_examined,
    object_objection,
    too_few_bytes,
    true_type,
)
from app.uploads.remove import remove_upload
from app.uploads.rules import bytes_left

# Some stores (rclone) forget the upload before they have written its object.
JOINING: Final = timedelta(minutes=15)
# Whoever rejects an upload has deleted its object by then, where it is to go; else the sweep does.
_DELETE_WITHIN: Final = timedelta(minutes=1)


Examine = Callable[[ObjectHandle, File, StoredObject], Awaitable[tuple[File, str | None]]]


@cache
def load_examine() -> Examine:
    """The examination of images and archives. Loaded late, where a destination asks for it."""
    from app.uploads.examine import examine

    return examine


class After(NamedTuple):
    """The row after a try to end its upload. `by_us`: this call has made the row's last move."""

    file: File | None
    by_us: bool


async def verify(
    res: Resources, file: File, attachment: Attachment | None = None, *, by_itself: bool = False
) -> After:
    """Ask the bucket, and confirm or reject the upload by its answer. `by_itself`: for no client.

    Another call may have been first. A file that this call confirms
    goes into the field of `attachment` as well, in one transaction. Raises UploadNotArrived,
    BucketRefused, BucketUnavailable, RecordNotFound, TooManyFiles.
    """
    handle = res.bucket_of(file)
    found = await handle.look(
        # Never beyond the end, as far as it is known: a store may refuse such a range.
        length=HEAD_BYTES if file.size is None else min(HEAD_BYTES, file.size),
        checksum=file.checksum_sha256 is not None,
    )
    if found is None:
        return await reject(res, file, _why_absent(res, file))
    if by_itself and not found.is_of(file.id) and res.clock() < file.expires_at:
        raise UploadNotArrived("Another object is at this key, and the upload may come yet.")
    left = await bytes_left(res, file)
    reason = object_objection(handle.destination, file, found, left)
    if reason is None and file.integrity is not None:
        verified, reason = await compare(res, file, found)
        file = file._replace(parts_verified=verified)
    if reason is None:
        head = _start(handle, found)
        detected = await _detected(head)
        charset = charset_to_say(file.content_type, head, is_whole=len(head) == found.size)
        file = file._replace(detected_type=detected, charset=charset)
        truly = true_type(handle.destination, file, detected)
        if truly is not None:
            file = file._replace(content_type=truly, announced_type=file.content_type)
        reason = contents_objection(handle.destination, file, detected)
    if reason is None and is_examined(handle.destination, file):
        examine = await load_once(load_examine)
        file, reason = await examine(handle, file, found)
    if reason is None:
        file = file._replace(self_confirmed=by_itself)
        return await _confirm(res, handle.destination, file, found, attachment)
    foreign = file.may_share_key and not found.is_of(file.id)
    return await reject(res, file, reason, foreign=foreign)


def _why_absent(res: Resources, file: File) -> str:
    """Why an upload is rejected that has no object: its parts are lost.

    Asked of a multipart upload that the store does not know any more: its parts were joined,
    perhaps by another call or without an answer, or it has dropped them. Raises UploadNotArrived,
    BucketUnavailable.
    """
    if file.method != "multipart":
        raise UploadNotArrived(
            "The bucket does not hold the object yet: finish sending the bytes, then confirm.",
            retry_after=1,
        )
    if file.claimed_until is not None and res.clock() < file.claimed_until + JOINING:
        raise BucketUnavailable(
            "The bucket has taken the parts, but does not show the object yet; confirm again.",
            retry_after=5,
        )
    return "The bucket has dropped the parts of this upload; announce the file anew."


async def _detected(head: bytes) -> str:
    await load_once(rules)
    # The rules, which are no Python, let other requests go on where they run in a thread.
    return await asyncio.to_thread(detect, head) if is_slow(head) else detect(head)


def _start(handle: ObjectHandle, found: StoredObject) -> bytes:
    """The first bytes of the object. Raises BucketRefused if it is archived."""
    if found.start is None and found.size:
        raise BucketRefused(
            f"The object is archived, and the bucket {handle.bucket} gives no byte of it: whoever "
            "runs the service must restore it, and take uploads out of the bucket's rule that "
            "archives them."
        )
    return found.start or b""


async def _confirm(
    res: Resources,
    destination: Destination,
    file: File,
    found: StoredObject,
    attachment: Attachment | None,
) -> After:
    """Make the upload a file, have its upload session pay, and put it into the record's field: all
    of it or nothing.
    """
    # A session has paid for announced bytes already, and pays for others now.
    payer = file.session_id if file.size is None else None
    verified = file._replace(
        size=found.size,
        etag=found.etag,
        version_id=found.version_id,
        checksum_sha256=found.checksum_sha256 or file.checksum_sha256,
        # Only if the bucket itself reports it.
        checksum_verified=found.checksum_sha256 is not None,
        confirmed_at=res.clock(),
        sealed=_seal(destination, file, found),
        scan=Scan.PENDING.value if destination.scan == "required" else None,
    )
    # The MD5s of parts go with the last need of them.
    has_digests = file.integrity is not None and file.method == "multipart"
    change = None
    several = attachment or payer or has_digests
    try:
        async with res.db.transaction() if several else res.db.connection() as db:
            # The record first, as in every change of one: so no two wait for each other.
            record = attachment and await lock_record(res, db, attachment)
            confirmed = await moves.mark_confirmed(
                db, verified, verified.confirmed_at if destination.is_scanned_by_worker else None
            )
            if confirmed is None:
                raise _Rollback(None)
            if payer and not await db_credentials.spend_bytes(db, payer, found.size):
                raise _Rollback(too_few_bytes(found.size))
            if attachment and record:
                change = await attach(res, db, attachment, record, file.id)
            if has_digests:
                await part_digests.forget(db, file)
    except _Rollback as rollback:
        if rollback.reason is not None:
            return await reject(res, file._replace(detected_type=None), rollback.reason)
        # Another call was first. The record may have been changed since, which a call that is
        # repeated must not undo.
        async with res.db.connection() as db:
            return After(await db_files.get_again(db, file), by_us=False)
    if change:
        audit_change(change)
    count_upload(file.destination, "confirmed", found.size)
    res.daily.confirmed(file.tenant, file.destination, found.size)
    audit_file("upload.confirmed", file, size=found.size)
    return After(confirmed, by_us=True)


class _Rollback(Exception):
    """Rolls the transaction back. `reason`: why the upload is rejected; None: another was first."""

    def __init__(self, reason: str | None) -> None:
        self.reason = reason


def _seal(destination: Destination, file: File, found: StoredObject) -> Seal:
    if found.version_id is not None:
        return Seal.VERSION
    if file.method == "multipart":
        return Seal.MULTIPART
    if file.method == "put" and destination.conditional_writes:
        return Seal.CONDITIONAL
    return Seal.NO


async def reject(res: Resources, file: File, reason: str, *, foreign: bool = False) -> After:
    """Reject the upload for good, and delete its object where that is to go.

    What is `foreign` is not ours to delete. A failure to delete is left to the sweep: what the
    client is told is that the upload was rejected.
    """
    now = res.clock()
    clear_by = None if foreign or not _is_object_deleted(res, file) else now + _DELETE_WITHIN
    async with res.db.connection() as db:
        rejected = await moves.mark_rejected(db, file, reason, now, clear_by)
        if rejected is None:
            return After(await db_files.get_again(db, file), by_us=False)
    count_upload(file.destination, "rejected")
    res.daily.refused(file.tenant, file.destination, UploadRejected(reason))
    audit_file("upload.rejected", file, reason=reason)
    if clear_by is not None:
        with suppress(BucketRefused, BucketUnavailable, SigningUnavailable, DatabaseUnavailable):
            await remove_upload(res, rejected)
    return After(rejected, by_us=True)


def _is_object_deleted(res: Resources, file: File) -> bool:
    """Whether the object of an upload that is rejected now is to be deleted.

    What was rejected before its contents were looked at goes always: it is more, or other, than
    its client was allowed to send.
    """
    destination = res.bucket_of(file).destination
    return file.detected_type is None or (
        # Never by the rules of some other destination.
        destination.name == file.destination and destination.rejected_objects == "delete"
    )
