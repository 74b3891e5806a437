"""Announcements: from what a client says that it will upload to the row of a pending file."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.access.destinations import destination_for
from app.core.content_types import guess_content_type, normalize_content_type
from app.core.deadlines import first_look
from app.core.destination import Destination, Method
from app.core.key_normalizer import (
    Filename,
    InvalidName,
    clean_filename,
    load_tables,
    normalize_key,
)
from app.core.object_url import object_url
from app.core.parts import lay_out
from app.core.principal import Principal, SessionBounds
from app.core.words import in_bytes, in_kinds, in_list, two_sizes
from app.db import credentials as db_credentials
from app.db import file_requests as db_file_requests
from app.errors import (
    ChecksumRequired,
    ContentTypeNotAllowed,
    ExtensionNotAllowed,
    InvalidFilename,
    SizeNotAllowed,
    SizeRequired,
    UploadSessionExhausted,
)
from app.loading import load_once
from app.models.credentials import FileRequest, UploadSession
from app.models.files import File, Seal, State
from app.models.idempotency import IdempotencyKey
from app.runtime.resources import Resources
from app.store.look import ID_METADATA


class Announcement(NamedTuple):
    """A file as its client announces it: `size` in bytes, checksums in base64.

    Without a size the destination's range holds. Without a method the destination chooses.
    `metadata` is an object of JSON, as `app.core.metadata` writes it.
    """

    destination: str
    filename: str
    content_type: str | None = None
    size: int | None = None
    checksum_sha256: str | None = None
    checksum_md5: str | None = None
    method: Method | None = None
    path: str | None = None
    metadata: str | None = None


async def announced_file(
    res: Resources, caller: Principal, announcement: Announcement, now: datetime
) -> tuple[Destination, File]:
    """The row to store, if the destination's rules allow the file.

    Raises UnknownDestination, DestinationForbidden, InvalidFilename and as `pending_file` does.
    """
    destination = destination_for(res.settings, caller, announcement.destination)
    try:
        name = clean_filename(announcement.filename)
    except InvalidName as error:
        raise InvalidFilename(str(error)) from None
    if not name.stem.isascii():
        await load_once(load_tables)
    return destination, pending_file(res, caller, destination, name, announcement, now)


def pending_file(
    res: Resources,
    caller: Principal,
    destination: Destination,
    name: Filename,
    announcement: Announcement,
    now: datetime,
    key: str | None = None,
) -> File:
    """The row of an announcement as it is before anything is signed: its `expires_at` is `now`.

    Without a `key` one is made. Raises ContentTypeNotAllowed, ExtensionNotAllowed, SizeNotAllowed,
    SizeRequired and ChecksumRequired.
    """
    content_type = announcement.content_type or guess_content_type(name.extension)
    size = announcement.size
    check_rules(destination, name, content_type, size)
    _check_max_size(caller.session, size, destination)
    file_id = res.new_id(now)
    if key is None:
        key = normalize_key(
            name,
            now=now,
            unique=file_id,
            # The same name in two tenants is two people. Names are printable.
            owner=f"{caller.tenant}\n{caller.owner}" if caller.tenant else caller.owner,
            prefix=destination.prefix,
            template=destination.key_template,
        )
    method = announcement.method or destination.method_for(size)
    request_id = caller.session and caller.session.file_request_id
    if caller.session and caller.session.is_link:
        raise UploadSessionExhausted(
            "The token of a request's link uploads nothing by itself: open a session with it, by "
            "POST /v1/requests/open, and use its token."
        )
    if request_id and size is None:
        raise size_required()
    if caller.session and not caller.session.unsized and size is None and method != "post":
        raise size_required()
    integrity = None if destination.integrity == "off" else destination.integrity
    in_one = integrity is not None and method != "multipart"
    if in_one and announcement.checksum_md5 is None:
        raise checksum_required("Announce the file again with `checksum_md5`, its MD5 in Base64.")
    in_known_parts = method == "multipart" and size is not None
    return File(
        id=file_id,
        owner=caller.owner,
        tenant=caller.tenant,
        session_id=caller.session and caller.session.id,
        destination=destination.name,
        bucket=destination.bucket,
        key=key,
        url=object_url(destination.stored_endpoint, destination.bucket, key),
        filename=name.display,
        content_type=normalize_content_type(content_type),
        detected_type=None,
        size=size,
        checksum_sha256=announcement.checksum_sha256,
        checksum_verified=False,
        method=method,
        state=State.PENDING.value,
        reason=None,
        etag=None,
        version_id=None,
        created_at=now,
        expires_at=now,
        confirmed_at=None,
        ended_at=None,
        claimed_until=None,
        store_upload_id=None,
        part_size=lay_out(size or 0, destination.part_size).part_size if in_known_parts else None,
        sealed=Seal.NO.value,
        attachments=0,
        part_count=None,
        announced_type=None,
        charset=None,
        look_at=look_at(destination, file_id, method, size, now),
        self_confirmed=False,
        path=announcement.path,
        metadata=announcement.metadata,
        reserved=destination.max_size if size is None else None,
        integrity=integrity,
        checksum_md5=announcement.checksum_md5 if in_one else None,
        file_request_id=request_id,
    )


def checksum_required(what_to_do: str) -> ChecksumRequired:
    """The problem of a client that announces no MD5 where every request needs one."""
    return ChecksumRequired(
        f"What is sent to this destination is held to its MD5 (`integrity`). {what_to_do}",
        integrity="md5",
    )


def look_at(
    destination: Destination, file_id: UUID, method: str, size: int | None, now: datetime
) -> datetime | None:
    """When the sweep looks whether the upload, signed for `now`, has arrived; None: it does not,
    where nothing is to confirm itself, or nobody could tell whether all parts are there.
    """
    if destination.unconfirmed == "delete" or (method == "multipart" and size is None):
        return None
    return first_look(file_id, now, size)


def check_rules(
    destination: Destination, name: Filename, content_type: str, size: int | None
) -> None:
    """Raises ContentTypeNotAllowed, ExtensionNotAllowed, SizeNotAllowed."""
    if not destination.takes_type(content_type):
        raise ContentTypeNotAllowed(
            f"Destination {destination.name} takes {in_kinds(destination.content_types)}; "
            f"this file is {content_type}.",
            allowed=list(destination.content_types),
        )
    check_extension(destination, name)
    if size is not None and (objection := destination.size_objection(size)):
        raise SizeNotAllowed(
            f"{objection}.",
            min_size=destination.min_size,
            max_size=destination.max_size,
        )


def _check_max_size(
    session: SessionBounds | None, size: int | None, destination: Destination
) -> None:
    if session and session.max_size is not None and (size or 0) > session.max_size:
        has, most = two_sizes(size or 0, session.max_size)
        raise SizeNotAllowed(
            f"The file has {has}, and no more than {most} may be sent here.",
            min_size=destination.min_size,
            max_size=session.max_size,
        )


def check_extension(destination: Destination, name: Filename) -> None:
    """Raises ExtensionNotAllowed where the destination takes no names that end like this one."""
    if not destination.takes_extension(name.extension):
        raise ExtensionNotAllowed(
            f"Destination {destination.name} takes files whose names end with "
            f"{in_list([f'.{one}' for one in destination.extensions])}; this one "
            + (f"ends with .{name.extension}." if name.extension else "has no such ending."),
            allowed=list(destination.extensions),
        )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def size_required() -> SizeRequired:
    """The problem of an upload session that takes nothing whose length cannot be signed."""
    return SizeRequired(
        "This upload session takes no files of unknown size: have the page say the size, in Uppy "
        "with `uppy.setFileMeta(file.id, { size: file.size })`, or have the session made with "
        "`unsized: true`."
    )


def object_headers(destination: Destination, file: File) -> dict[str, str]:
    """Headers or form fields of an upload, which its object is stored with."""
    return {
        "content-type": file.content_type,
        **destination.object_headers(file.method),
        f"x-amz-meta-{ID_METADATA}": str(file.id),
    }


async def bytes_left(res: Resources, file: File) -> int | None:
    """How many bytes the session of an upload has left that was announced without a size.

    None: no session pays for it, or it has paid as it was announced.
    """
    if file.session_id is None or file.size is not None:
        return None
    async with res.db.connection() as db:
        return await db_credentials.bytes_left(db, file.session_id)


async def largest(res: Resources, destination: Destination, file: File) -> int:
    """The most bytes that an upload of unknown size may have: the destination's limit, or fewer if
    its session has fewer left. Raises UploadSessionExhausted if no file fits.
    """
    left = await bytes_left(res, file)
    if left is None:
        return destination.max_size
    if left < max(1, destination.min_size):
        raise UploadSessionExhausted(
            f"The upload session has {in_bytes(left)} left (`max_bytes`), too little for any file."
        )
    return min(left, destination.max_size)


async def store(
    res: Resources,
    caller: Principal,
    files: Sequence[File],
    kept: Sequence[IdempotencyKey] = (),
    *,
    paid: bool = False,
) -> set[UUID]:
    """The ids of those files that were stored, maybe among others; not there: its key is taken.

    The idempotency keys of those are stored with them. An upload session pays for them all before
    any is stored, unless they are `paid` for already. Raises UploadSessionExhausted, QuotaExceeded
    and RequestUnderWay, and then none was stored.
    """
    if caller.session is None or paid:
        return await res.inserts.insert(files, kept)
    bounds = caller.session
    if res.settings.quota:
        stored = await _store_in_room(res, bounds, files, kept)
    else:
        async with res.db.connection() as db:
            stored = await db_credentials.insert_files_of_session(
                db, bounds, files, res.clock(), kept
            )
    if stored is not None:
        return stored
    payer: UploadSession | FileRequest | None
    async with res.db.connection() as db:
        if bounds.file_request_id is not None:
            payer = await db_file_requests.get_file_request(db, bounds.file_request_id)
        else:
            payer = await db_credentials.get_session(db, bounds.id)
    raise exhausted(payer, files, res.clock())


async def _store_in_room(
    res: Resources, session: SessionBounds, files: Sequence[File], kept: Sequence[IdempotencyKey]
) -> set[UUID] | None:
    """Store files for which owner and tenant have room, at the session's expense; None: it has too
    little left. Raises QuotaExceeded.
    """
    # Loaded late, by who keeps limits (`app.db.inserts`).
    from app.db.reserve import reserve_for_one

    try:
        async with res.db.transaction() as db:
            stored = await reserve_for_one(db, files, kept, res.settings.quota)
            if not await db_credentials.spend(db, session, files, res.clock()):
                raise _NotPaid
    except _NotPaid:
        return None
    return stored


class _NotPaid(Exception):
    """Rolls back what the session does not pay for."""


def exhausted(
    payer: UploadSession | FileRequest | None, files: Sequence[File], now: datetime
) -> UploadSessionExhausted:
    """The problem of a session, or of the request for files that opened it, that does not pay for
    these files, none of which was announced.
    """
    if isinstance(payer, FileRequest):
        noun, hint = "request", ""
    else:
        noun = "upload session"
        hint = " Whoever makes the session sets its `max_files`, which is 1 by default."
    if payer is None or payer.revoked_at is not None or payer.expires_at <= now:
        return UploadSessionExhausted(f"The {noun} has ended: ask for a new one.")
    if payer.used_files + len(files) > payer.max_files:
        return UploadSessionExhausted(
            f"The {noun} takes {_files(payer.max_files)}, and {payer.used_files} "
            f"{'was' if payer.used_files == 1 else 'were'} announced before.{hint}"
        )
    left = payer.max_bytes - payer.used_bytes
    takes, has = two_sizes(sum(f.size or 0 for f in files), left)
    return UploadSessionExhausted(
        f"The {noun} has {has} of its {in_bytes(payer.max_bytes)} left, and "
        f"{'this takes' if len(files) == 1 else 'these take'} {takes}."
    )
