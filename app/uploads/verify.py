"""Arrivals: where an upload is, and whether the bucket holds what was announced."""

from datetime import datetime, timedelta
from typing import Final

from app.core.content_types import normalize_content_type
from app.core.destination import Destination
from app.db import credentials as db_credentials
from app.db import files as db_files
from app.db import moves
from app.errors import BucketUnavailable
from app.logs.audit import audit_file
from app.logs.metrics import count_upload
from app.models.files import File, Seal
from app.records.writing import Attachment, attach, audit_change, hold
from app.runtime.resources import Resources
from app.store.objects import ObjectHandle, StoredObject
from app.uploads.contents import inspect
from app.uploads.rules import bytes_left

# Values of Cache-Control that may stand on an object without having been signed. They keep nothing
# in a cache that should not be there, and no client has chosen them: Google Cloud Storage answers
# so for private objects that are stored with none, and browsers add them to every request while
# their cache is switched off, in the developer tools for example.
_HARMLESS: Final = frozenset({"private, max-age=0", "no-cache", "no-store", "max-age=0"})
# Some stores (rclone) forget the upload before they have written its object.
JOINING: Final = timedelta(minutes=15)
# Whoever rejects an upload has deleted its object by then, where it is to go; else the sweep does.
_CLEARED: Final = timedelta(minutes=1)


async def verify(res: Resources, file: File, to: Attachment | None = None) -> File | None:
    """Ask the bucket, and confirm or reject the upload by its answer.

    Returns the row as it is then: another call may have been first. None where the bucket does not
    hold the object. A file that this call confirms goes into the record's field `to` as well, in
    one transaction. Raises UploadNotArrived, BucketRefused, BucketUnavailable, RecordNotFound,
    TooManyFiles.
    """
    kept = res.bucket_of(file)
    found = await kept.head()
    if found is None:
        return None
    reason = _mismatch(kept.destination, file, found)
    if reason is None and file.size is None:
        reason = await wrong_size(res, kept.destination, file, found.size)
    if reason is None:
        detected, reason = await inspect(file, kept, found)
        file = file._replace(detected_type=detected)
    if reason is not None:
        foreign = file.may_share_key and not found.is_of(file.id)
        return await reject(res, file, reason, foreign=foreign)
    return await _confirm(res, file, kept, found, to)


async def _confirm(
    res: Resources, file: File, kept: ObjectHandle, found: StoredObject, to: Attachment | None
) -> File | None:
    """Make the upload a file, have its upload session pay, and put it into the record's field: all
    of it or nothing.
    """
    # Bytes that nobody announced are not paid for yet.
    debtor = file.session_id if file.size is None else None
    alone = to is None and debtor is None
    change = None
    try:
        async with res.db.connection() if alone else res.db.transaction() as db:
            # The record first, as in every change of one: so no two wait for each other.
            record = to and await hold(res, db, to)
            as_found = _as_found(kept.destination, file, found, res.clock())
            confirmed = await moves.confirm_upload(db, as_found)
            if confirmed is None:
                raise _NotFirst
            if debtor and not await db_credentials.spend_bytes(db, debtor, found.size):
                raise _TooManyBytes
            if to and record:
                change = await attach(res, db, to, record, file.id)
    except _NotFirst:
        # Its record may have been changed since, which a call that is repeated must not undo.
        async with res.db.connection() as db:
            return await db_files.get_again(db, file)
    except _TooManyBytes:
        return await reject(res, file._replace(detected_type=None), _too_few(found.size))
    if change:
        audit_change(change)
    count_upload(file.destination, "confirmed", found.size)
    audit_file("upload.confirmed", file, size=found.size)
    return confirmed


class _NotFirst(Exception):
    """Another call has moved the upload: takes everything back."""


class _TooManyBytes(Exception):
    """The upload session cannot pay: takes everything back."""


async def verify_lost(res: Resources, file: File, to: Attachment | None = None) -> File | None:
    """Confirm or reject a multipart upload that the store does not know any more.

    Its parts were joined, perhaps by another call or without an answer; else they are lost, and
    the upload is rejected. Raises as `verify` does.
    """
    after = await verify(res, file, to)
    if after is not None:
        return after
    if file.claimed_until is not None and res.clock() < file.claimed_until + JOINING:
        raise BucketUnavailable(
            "The bucket has taken the parts, but does not show the object yet; confirm again.",
            retry_after=5,
        )
    lost = "The bucket has dropped the parts of this upload; announce the file anew."
    return await reject(res, file, lost)


async def reject(res: Resources, file: File, reason: str, *, foreign: bool = False) -> File | None:
    """Reject the upload for good; the row as it is then.

    Whoever does deletes the object then, if `claimed_until` is set (`uploads.remove`); not what is
    `foreign`, and so not ours to delete.
    """
    now = res.clock()
    clear_by = now + _CLEARED if _goes(res, file) and not foreign else None
    async with res.db.connection() as db:
        moved = await moves.reject_upload(db, file, reason, now, clear_by)
        if moved is None:
            return await db_files.get_again(db, file)
    count_upload(file.destination, "rejected")
    audit_file("upload.rejected", file, reason=reason)
    return moved


def _goes(res: Resources, file: File) -> bool:
    """Whether the object of an upload that is rejected now is to be deleted.

    What was rejected before its contents were looked at goes always: it is more, or other, than
    its client was allowed to send.
    """
    destination = res.settings.destination_of(file.destination, file.bucket)
    return file.detected_type is None or (
        # Never by the rules of some other destination.
        destination.name == file.destination and destination.rejected_objects == "delete"
    )


def _mismatch(destination: Destination, file: File, found: StoredObject) -> str | None:
    """What the bucket holds otherwise than announced, in words, or None."""
    if not found.is_of(file.id):
        return "The object at this key was not uploaded with the signed instructions."
    if file.size is not None and found.size != file.size:
        return f"The object has {found.size} bytes; {file.size} were announced."
    if normalize_content_type(found.content_type) != file.content_type:
        return f"The object is {found.content_type}; {file.content_type} was announced."
    if file.checksum_sha256 and found.checksum_sha256 not in {None, file.checksum_sha256}:
        return "The object's SHA-256 is not the one that was announced."
    # A PUT may carry what nobody signed, and every link would serve it. What is absent is fine:
    # some stores (Ceph RGW 16) keep no headers of a form.
    wanted = destination.object_headers(file.method)
    for name, value in found.serving.items():
        harmless = name == "cache-control" and value in _HARMLESS
        if value != wanted.get(name) and not harmless:
            return f"The object is stored with a {name} that was not signed."
    return None


async def wrong_size(res: Resources, destination: Destination, file: File, size: int) -> str | None:
    """For uploads whose size was left open: what is wrong with it, in words, or None."""
    # Never by the rules of some other destination.
    if destination.name == file.destination and not destination.takes_size(size):
        return (
            f"The object has {size} bytes; destination {destination.name} takes "
            f"{destination.min_size} to {destination.max_size}."
        )
    left = await bytes_left(res, file)
    return None if left is None or size <= left else _too_few(size)


def _too_few(size: int) -> str:
    return f"The upload session has too few bytes left for the object's {size}."


def _as_found(destination: Destination, file: File, found: StoredObject, now: datetime) -> File:
    """The row with what the bucket said. A checksum is verified only if the bucket reports it."""
    return file._replace(
        size=found.size,
        etag=found.etag,
        version_id=found.version_id,
        checksum_sha256=found.checksum_sha256 or file.checksum_sha256,
        checksum_verified=found.checksum_sha256 is not None,
        confirmed_at=now,
        sealed=_seal(destination, file, found),
    )


def _seal(destination: Destination, file: File, found: StoredObject) -> Seal:
    if found.version_id is not None:
        return Seal.VERSION
    if file.method == "multipart":
        return Seal.MULTIPART
    if file.method == "put" and destination.conditional_writes:
        return Seal.CONDITIONAL
    return Seal.NO
