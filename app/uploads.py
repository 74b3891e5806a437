"""Uploads: announce, renew, confirm, cancel. Each function is the whole story of one request."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app import queries
from app.bucket import StoredObject
from app.core.content_types import guess_content_type, normalize_content_type
from app.core.destination import Destination
from app.core.key_normalizer import (
    Filename,
    InvalidName,
    check_client_key,
    clean_filename,
    normalize_key,
    suggest_key,
)
from app.core.object_url import object_url
from app.core.principal import Principal
from app.errors import (
    ClientKeysNotAllowed,
    ContentTypeNotAllowed,
    ExtensionNotAllowed,
    InvalidFilename,
    InvalidObjectKey,
    KeyExhausted,
    KeyTaken,
    Problem,
    SizeNotAllowed,
    UploadNotArrived,
    UploadNotFound,
    UploadNotPending,
    UploadRejected,
)
from app.locate import check_host, destination_named, parse_url
from app.models import File, State
from app.resources import Resources
from app.signer import Presigned, PresignedPost

# The object carries this and nothing else of ours: whoever holds a link can read metadata.
ID_HEADER: Final = "x-amz-meta-claimcheck-id"
_ID_METADATA: Final = "claimcheck-id"
_KEY_TRIES: Final = 5

Instructions = Presigned | PresignedPost


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a client says it will upload: `size` in bytes, `checksum_sha256` in base64."""

    destination: str
    filename: str
    content_type: str | None
    size: int
    checksum_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Announced:
    """The stored upload, and what its client must send to the bucket."""

    file: File
    instructions: Instructions


async def announce(
    res: Resources, caller: Principal, announcements: Sequence[Announcement]
) -> list[Announced | Problem]:
    """Store the uploads with one statement and sign them; answers in order, problems among them.

    A key that is taken is made anew with a later timestamp, a few times.
    """
    answers: list[Announced | Problem | None] = [None] * len(announcements)
    for attempt in range(_KEY_TRIES):
        now = res.clock()
        made: dict[UUID, tuple[int, Announced]] = {}
        for index, announcement in enumerate(announcements):
            if answers[index] is None:
                # Distinct moments, so that one batch may hold the same name a hundred times.
                moment = now + timedelta(microseconds=index + attempt * len(announcements))
                try:
                    announced = await _prepare(res, caller, announcement, moment)
                except Problem as problem:
                    answers[index] = problem
                else:
                    made[announced.file.id] = index, announced
        if not made:
            break
        stored = await res.inserts.insert([a.file for _, a in made.values()])
        for file_id in stored & made.keys():
            index, announced = made[file_id]
            answers[index] = announced
    exhausted = KeyExhausted("No free key was found for this name; try again.", retry_after=1)
    return [answer or exhausted for answer in answers]


async def _prepare(
    res: Resources, caller: Principal, announcement: Announcement, now: datetime
) -> Announced:
    """The row to store and the signed instructions, if the destination's rules allow the file."""
    destination = destination_named(res.settings, announcement.destination)
    name = _clean(announcement.filename)
    content_type = announcement.content_type or guess_content_type(name.extension)
    _check_rules(destination, name, content_type)
    if not destination.takes_size(announcement.size):
        raise SizeNotAllowed(
            f"{announcement.size} bytes are not between the {destination.min_size} and "
            f"{destination.max_size} bytes that destination {destination.name} takes.",
            min_size=destination.min_size,
            max_size=destination.max_size,
        )
    file_id = res.new_id(now)
    key = normalize_key(
        name,
        now=now,
        unique=file_id,
        owner=caller.owner,
        prefix=destination.prefix,
        template=destination.key_template,
    )
    file = _pending(
        file_id,
        caller,
        destination,
        key,
        filename=name.display,
        content_type=normalize_content_type(content_type),
        size=announcement.size,
        checksum_sha256=announcement.checksum_sha256,
        now=now,
    )
    instructions = await _sign(res, destination, file)
    return Announced(file._replace(expires_at=instructions.expires_at), instructions)


def _clean(filename: str) -> Filename:
    try:
        return clean_filename(filename)
    except InvalidName as error:
        raise InvalidFilename(str(error)) from None


def _check_rules(destination: Destination, name: Filename, content_type: str) -> None:
    if not destination.takes_type(content_type):
        raise ContentTypeNotAllowed(
            f"Destination {destination.name} does not take {content_type}; "
            f"it takes: {', '.join(destination.content_types)}.",
            allowed=list(destination.content_types),
        )
    if not destination.takes_extension(name.extension):
        raise ExtensionNotAllowed(
            f"Destination {destination.name} does not take the extension {name.extension!r}; "
            f"it takes: {', '.join(destination.extensions)}.",
            allowed=list(destination.extensions),
        )


def _pending(
    file_id: UUID,
    caller: Principal,
    destination: Destination,
    key: str,
    *,
    filename: str,
    content_type: str,
    size: int | None,
    checksum_sha256: str | None,
    now: datetime,
) -> File:
    return File(
        id=file_id,
        owner=caller.owner,
        tenant=caller.tenant,
        session_id=caller.session and caller.session.id,
        destination=destination.name,
        bucket=destination.bucket,
        key=key,
        url=object_url(destination.stored_endpoint, destination.bucket, key),
        filename=filename,
        content_type=content_type,
        size=size,
        checksum_sha256=checksum_sha256,
        checksum_verified=False,
        method=destination.method,
        state=State.PENDING,
        reason=None,
        etag=None,
        version_id=None,
        created_at=now,
        expires_at=now,
        confirmed_at=None,
        ended_at=None,
        claimed_until=None,
    )


async def _sign(res: Resources, destination: Destination, file: File) -> Instructions:
    """Presign the upload so that nothing but the announced bytes' contents is left open.

    PUT signs the exact length and `If-None-Match: *`; POST pins every field and the length range.
    """
    headers = {
        "content-type": file.content_type,
        **destination.object_headers(file.method),
        ID_HEADER: str(file.id),
    }
    if file.checksum_sha256 is not None:
        headers["x-amz-checksum-sha256"] = file.checksum_sha256
    address, expires_in = destination.address, destination.upload_expires_in
    if file.method == "put":
        headers |= {"content-length": str(file.size), "if-none-match": "*"}
        signed = await res.signer.presign(
            "PUT", address, file.key, expires_in=expires_in, headers=headers
        )
        # Every client sends the length by itself, and browsers forbid setting it.
        sent = {name: value for name, value in signed.headers.items() if name != "content-length"}
        return dataclasses.replace(signed, headers=sent)
    if file.checksum_sha256 is not None:
        headers["x-amz-checksum-algorithm"] = "SHA256"
    low, high = destination.min_size, destination.max_size
    return await res.signer.presign_post(
        address,
        file.key,
        expires_in=expires_in,
        fields={**headers, "success_action_status": "201"},
        size_range=(low, high) if file.size is None else (file.size, file.size),
    )


async def announce_key(res: Resources, caller: Principal, key: str) -> Announced:
    """The upload form for a key that the client chose, where a destination allows that.

    The size is not known: the form carries the destination's range.
    """
    open_to_clients = [d for d in res.settings.destinations.values() if d.allow_client_keys]
    destination = next((d for d in open_to_clients if key.startswith(d.prefix)), None)
    if destination is None:
        prefixes = ", ".join(d.prefix or "(any)" for d in open_to_clients) or "none"
        raise ClientKeysNotAllowed(
            f"The key lies in no prefix where clients choose keys; there are: {prefixes}."
        )
    try:
        check_client_key(key, [destination.prefix])
        name = clean_filename(key)
    except InvalidName as error:
        suggestion = suggest_key(key, destination.prefix)
        more: dict[str, Any] = {} if suggestion is None else {"suggestion": suggestion}
        raise InvalidObjectKey(str(error), **more) from None
    content_type = guess_content_type(name.extension)
    _check_rules(destination, name, content_type)
    now = res.clock()
    file = _pending(
        res.new_id(now),
        caller,
        destination,
        key,
        filename=name.display,
        content_type=content_type,
        size=None,
        checksum_sha256=None,
        now=now,
    )
    taken = KeyTaken(f"There is a file or an object with the key {key} already.")
    if await res.buckets.head(destination, destination.bucket, key) is not None:
        raise taken
    instructions = await _sign(res, destination, file)
    file = file._replace(expires_at=instructions.expires_at)
    async with res.db.connection() as db:
        if not await queries.insert_files(db, [file]):
            raise taken
    return Announced(file, instructions)


async def get_upload(res: Resources, caller: Principal, upload_id: UUID) -> File:
    """The upload in whatever state it is; removed ones are gone."""
    async with res.db.connection() as db:
        file = await queries.get_file(db, upload_id, caller)
    if file is None or file.state in {State.RELEASED, State.REMOVED}:
        raise UploadNotFound("No upload of yours has this id.")
    return file


async def renew(res: Resources, caller: Principal, upload_id: UUID) -> Announced:
    """Fresh instructions for the same key, while the upload is pending."""
    file = await get_upload(res, caller, upload_id)
    _require_pending(file)
    instructions = await _sign(
        res, res.settings.destination_of(file.destination, file.bucket), file
    )
    async with res.db.connection() as db:
        renewed = await queries.renew_upload(db, file, instructions.expires_at)
    if renewed is None:
        # Lost a race against confirm or cancel: say where it is now.
        _require_pending(await get_upload(res, caller, upload_id))
        raise UploadNotFound("No upload of yours has this id.")
    return Announced(renewed, instructions)


def _require_pending(file: File) -> None:
    if file.state != State.PENDING:
        raise UploadNotPending(f"The upload is {file.state}, no longer pending.", state=file.state)


async def confirm(res: Resources, caller: Principal, upload_id: UUID) -> File:
    """Ask the bucket for the object, compare it with the row, and move the row once.

    However often and however concurrently it is called, one call makes the change and all give
    the same file.
    """
    async with res.db.connection() as db:
        file = await queries.get_file(db, upload_id, caller)
    return await _confirm(res, file)


async def confirm_url(res: Resources, caller: Principal, url: str) -> File:
    """The same for a client that keeps its object's URL. Raises UrlNotOurs."""
    name = parse_url(res.settings, url)
    async with res.db.connection() as db:
        file = await queries.get_file_by_key(db, name.bucket, name.key, caller)
    check_host(res.settings, name, file)
    return await _confirm(res, file)


async def confirm_key(res: Resources, caller: Principal, destination: str, key: str) -> File:
    """The same for a client that knows destination and key."""
    bucket = destination_named(res.settings, destination).bucket
    async with res.db.connection() as db:
        file = await queries.get_file_by_key(db, bucket, key, caller)
    return await _confirm(res, file)


async def _confirm(res: Resources, file: File | None) -> File:
    if file is None or file.state != State.PENDING:
        return _settled(file)
    destination = res.settings.destination_of(file.destination, file.bucket)
    found = await res.buckets.head(destination, file.bucket, file.key)
    if found is None:
        raise UploadNotArrived(
            "The bucket does not hold the object yet: finish sending the bytes, then confirm.",
            retry_after=1,
        )
    reason = _mismatch(destination, file, found)
    now = res.clock()
    async with res.db.connection() as db:
        if reason is None:
            moved = await queries.confirm_upload(db, _as_found(file, found, now))
        else:
            moved = await queries.reject_upload(db, file, reason, now)
        # No row: another call made the move first, and its outcome is the answer.
        after = moved or await queries.get_again(db, file)
    return _settled(after)


def _settled(file: File | None) -> File:
    """The file if it is confirmed, else the problem that says what became of it."""
    if file is None or file.state in {State.RELEASED, State.REMOVED}:
        raise UploadNotFound("No upload of yours has this id or key.")
    if file.state == State.REJECTED:
        raise UploadRejected(file.reason or "The upload was rejected.", state=file.state)
    if file.state != State.CONFIRMED:
        raise UploadNotPending(f"The upload is {file.state}.", state=file.state)
    return file


def _mismatch(destination: Destination, file: File, found: StoredObject) -> str | None:
    """What the bucket holds otherwise than announced, in words, or None."""
    if found.metadata.get(_ID_METADATA) != str(file.id):
        return "The object at this key was not uploaded with the signed instructions."
    if file.size is not None and found.size != file.size:
        return f"The object has {found.size} bytes; {file.size} were announced."
    # Only where the form left the size open, and never by the rules of some other destination.
    if (
        file.size is None
        and destination.name == file.destination
        and not destination.takes_size(found.size)
    ):
        return (
            f"The object has {found.size} bytes; destination {destination.name} takes "
            f"{destination.min_size} to {destination.max_size}."
        )
    if normalize_content_type(found.content_type) != file.content_type:
        return f"The object is {found.content_type}; {file.content_type} was announced."
    if file.checksum_sha256 and found.checksum_sha256 not in {None, file.checksum_sha256}:
        return "The object's SHA-256 is not the one that was announced."
    return None


def _as_found(file: File, found: StoredObject, now: datetime) -> File:
    """The row with what the bucket said. A checksum is verified only if the bucket reports it."""
    return file._replace(
        size=found.size,
        etag=found.etag,
        version_id=found.version_id,
        checksum_sha256=found.checksum_sha256 or file.checksum_sha256,
        checksum_verified=found.checksum_sha256 is not None,
        confirmed_at=now,
    )
