"""Uploads: announce, renew, confirm. Each function is the whole story of one request."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from app.core.content_types import guess_content_type
from app.core.destination import MAX_SINGLE_UPLOAD, Destination
from app.core.key_normalizer import InvalidName, check_client_key, clean_filename, suggest_key
from app.core.parts import Layout
from app.core.principal import Principal
from app.core.record_field import FieldPath
from app.db import files as db_files
from app.db import moves
from app.errors import (
    ClientKeysNotAllowed,
    InvalidObjectKey,
    KeyExhausted,
    KeyTaken,
    Problem,
    UploadNotArrived,
)
from app.files.urls import check_host, destination_named, parse_url
from app.logs.audit import audit_file, audit_files
from app.logs.metrics import count_upload
from app.models.files import File, State
from app.records import fields as records
from app.runtime.resources import Resources
from app.store.signer import Presigned, PresignedPost
from app.uploads import parts as multipart
from app.uploads import remove
from app.uploads.join import complete
from app.uploads.parts import FIRST_PARTS, SignedParts
from app.uploads.rules import (
    Announcement,
    announced_file,
    check_rules,
    largest,
    object_headers,
    pending_file,
    store,
)
from app.uploads.verify import get_upload, require_confirmed, require_pending, verify

_KEY_TRIES: Final = 5
# Part URLs in the answer to a whole batch.
_BATCH_PARTS: Final = 1000
# How long a confirm waits for the bucket to join parts, in seconds: routers give up after 30.
PATIENCE: Final = 20.0
_UNDER_WAY: Final = frozenset({State.PENDING, State.COMPLETING})


@dataclass(frozen=True, slots=True)
class PartInstructions:
    """How a file is cut into parts, and where to send the first of them."""

    layout: Layout
    signed: SignedParts

    @property
    def expires_at(self) -> datetime:
        return self.signed.expires_at


Instructions = Presigned | PresignedPost | PartInstructions


@dataclass(frozen=True, slots=True)
class Announced:
    """The stored upload, and what its client must send to the bucket.

    None: nothing, for `file` is a confirmed one with the same bytes.
    """

    file: File
    instructions: Instructions | None


async def announce(
    res: Resources, caller: Principal, announcements: Sequence[Announcement]
) -> list[Announced | Problem]:
    """Store the uploads with one statement and sign them; answers in order, problems among them.

    A key that is taken is made anew with a later timestamp, a few times.
    """
    answers: list[Announced | Problem | None] = [None] * len(announcements)
    begin: list[tuple[int, File]] = []
    pending: list[File] = []
    for attempt in range(_KEY_TRIES):
        now = res.clock()
        new: dict[int, tuple[Destination, File]] = {}
        for index, announcement in enumerate(announcements):
            if answers[index] is None:
                # Distinct moments, so that one batch may hold the same name a hundred times.
                moment = now + timedelta(microseconds=index + attempt * len(announcements))
                try:
                    new[index] = announced_file(res, caller, announcement, moment)
                except Problem as problem:
                    answers[index] = problem
        for index, answer in (await _same_bytes(res, new)).items():
            answers[index] = answer
        made: dict[UUID, tuple[int, Announced]] = {}
        for index, (destination, file) in new.items():
            if answers[index] is None:
                try:
                    made[file.id] = index, await _prepare(res, destination, file)
                except Problem as problem:
                    answers[index] = problem
        if not made:
            break
        stored = await store(res, caller, [a.file for _, a in made.values()], paid=attempt > 0)
        if isinstance(stored, Problem):
            for index, _ in made.values():
                answers[index] = stored
            break
        for file_id, (index, announced) in made.items():
            if file_id not in stored:
                continue
            answers[index] = announced
            pending.append(announced.file)
            count_upload(announced.file.destination, "announced")
            if announced.file.method == "multipart":
                begin.append((index, announced.file))
    audit_files("upload.announced", pending)
    if begin:
        first = min(FIRST_PARTS, max(1, _BATCH_PARTS // len(begin)))
        begun = await asyncio.gather(*(_begin(res, file, first) for _, file in begin))
        for (index, _), answer in zip(begin, begun, strict=True):
            answers[index] = answer
    return [answer or _exhausted() for answer in answers]


def _exhausted() -> KeyExhausted:
    return KeyExhausted("No free key was found for this name; try again.", retry_after=1)


async def _prepare(res: Resources, destination: Destination, file: File) -> Announced:
    """The row to store, and the signed instructions. Parts cannot be signed yet."""
    if file.method == "multipart":
        return Announced(multipart.with_lifetime(destination, file), None)
    instructions = await _sign(res, destination, file)
    return Announced(file._replace(expires_at=instructions.expires_at), instructions)


async def _same_bytes(
    res: Resources, new: Mapping[int, tuple[Destination, File]]
) -> dict[int, Announced | Problem]:
    """Those that need not be sent: a confirmed file has bytes that the bucket verified as theirs.

    It is asked whether it still has that file; where it does not answer, that is the problem.
    """
    like = {
        index: file
        for index, (destination, file) in new.items()
        if destination.allow_existence_optimization and file.checksum_sha256 is not None
    }
    if not like:
        return {}
    sameness = attrgetter(*db_files.SAME)
    async with res.db.connection() as db:
        found = await db_files.confirmed_by_checksum(db, list(like.values()))
    files = {sameness(file): file for file in found}

    async def kept(destination: Destination, file: File) -> Announced | Problem | None:
        if file.bucket != destination.bucket:
            return None
        try:
            there = await res.object_at(destination, file.key).head()
        except Problem as problem:
            return problem
        return Announced(file, None) if there is not None and there.etag == file.etag else None

    same = {index: files[sameness(file)] for index, file in like.items() if sameness(file) in files}
    answers = await asyncio.gather(*(kept(new[index][0], file) for index, file in same.items()))
    return {index: answer for index, answer in zip(same, answers, strict=True) if answer}


async def _begin(res: Resources, file: File, parts: int) -> Announced | Problem:
    """Begin a stored multipart upload at the bucket, and sign its first parts."""
    try:
        return await _first_parts(res, await multipart.begin(res, file), parts)
    except Problem as problem:
        return problem


async def _first_parts(res: Resources, file: File, parts: int = FIRST_PARTS) -> Announced:
    layout = file.layout
    assert layout is not None
    numbers = range(1, min(parts, layout.count) + 1)
    file, signed = await multipart.signed_parts(res, file, numbers)
    return Announced(file, PartInstructions(layout, signed))


async def _sign(res: Resources, destination: Destination, file: File) -> Presigned | PresignedPost:
    """Presign the upload so that nothing but the announced bytes' contents is left open.

    PUT signs the exact length and `If-None-Match: *`; POST pins every field and the length range.
    The length of a PUT whose size nobody said is left open, for confirm to judge.
    """
    high = file.size
    if high is None:
        high = min(await largest(res, destination, file), MAX_SINGLE_UPLOAD)
    headers = object_headers(destination, file)
    if file.checksum_sha256 is not None:
        headers["x-amz-checksum-sha256"] = file.checksum_sha256
    address, expires_in = destination.address, destination.upload_expires_in
    if file.method == "put":
        headers["if-none-match"] = "*"
        if file.size is not None:
            headers["content-length"] = str(file.size)
        signed = await res.signer.presign(
            "PUT", address, file.key, expires_in=expires_in, headers=headers
        )
        # Every client sends the length by itself, and browsers forbid setting it.
        sent = {name: value for name, value in signed.headers.items() if name != "content-length"}
        return dataclasses.replace(signed, headers=sent)
    if file.checksum_sha256 is not None:
        headers["x-amz-checksum-algorithm"] = "SHA256"
    return await res.signer.presign_post(
        address,
        file.key,
        expires_in=expires_in,
        fields={**headers, "success_action_status": "201"},
        size_range=(destination.min_size if file.size is None else file.size, high),
    )


async def announce_key(res: Resources, caller: Principal, key: str) -> Announced:
    """The upload form for a key that the client chose, where a destination allows that.

    The size is not known: the form carries the destination's range.
    """
    open_to_clients = [
        d for d in res.settings.destinations.values() if d.allow_client_keys and d.admits(caller)
    ]
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
    check_rules(destination, name, content_type)
    now = res.clock()
    file = pending_file(
        res.new_id(now),
        caller,
        destination,
        key,
        method="post",
        filename=name.display,
        content_type=content_type,
        size=None,
        checksum_sha256=None,
        pending_cap=res.settings.max_pending_uploads,
        now=now,
    )
    taken = KeyTaken(f"There is a file or an object with the key {key} already.")
    if await res.object_at(destination, key).is_used():
        raise taken
    instructions = await _sign(res, destination, file)
    file = file._replace(expires_at=instructions.expires_at)
    stored = await store(res, caller, [file])
    if isinstance(stored, Problem):
        raise stored
    if file.id not in stored:
        raise taken
    audit_files("upload.announced", [file])
    return Announced(file, instructions)


async def renew(res: Resources, caller: Principal, upload_id: UUID) -> Announced:
    """Fresh instructions for the same key, while the upload is pending."""
    file = require_pending(await get_upload(res, caller, upload_id))
    if file.method == "multipart":
        return await _first_parts(res, file)
    instructions = await _sign(res, res.bucket_of(file).destination, file)
    async with res.db.connection() as db:
        renewed = await moves.renew_upload(db, file, instructions.expires_at)
        # Lost a race against confirm or cancel: say where it is now.
        file = renewed or require_pending(await db_files.get_again(db, file))
    audit_file("upload.renewed", file)
    return Announced(file, instructions)


async def confirm(
    res: Resources,
    caller: Principal,
    upload_id: UUID,
    *,
    patience: float | None = PATIENCE,
    part_count: int | None = None,
    attach_to: FieldPath | None = None,
) -> File:
    """Ask the bucket whether the announced bytes are there, and make the upload a file.

    However often and however concurrently it is called, one call makes the change and all give
    the same file. A multipart upload is completed; where that takes more than `patience` seconds
    (None: it may take as long as it likes) the upload is given as it is, and the work goes on.
    `part_count` is how many parts a client has sent that never said a size.

    With `attach_to` the file goes into that field of a record in the same transaction: raises
    UnknownRecordField, WrongDestination, TooManyFiles, RecordNotFound, and then nothing is moved.
    A file that was confirmed before goes nowhere: its record may have been changed since.
    """
    async with res.db.connection() as db:
        file = await db_files.get_file(db, upload_id, caller)
    return await confirm_file(
        res, caller, file, patience=patience, part_count=part_count, attach_to=attach_to
    )


async def confirm_url(
    res: Resources, caller: Principal, url: str, *, attach_to: FieldPath | None = None
) -> File:
    """Confirm for a client that keeps its object's URL. Raises UrlNotOurs."""
    name = parse_url(res.settings, url)
    async with res.db.connection() as db:
        file = await db_files.get_file_by_key(db, name.bucket, name.key, caller)
    check_host(res.settings, name, file)
    return await confirm_file(res, caller, file, attach_to=attach_to)


async def confirm_key(
    res: Resources,
    caller: Principal,
    destination: str,
    key: str,
    *,
    attach_to: FieldPath | None = None,
) -> File:
    """Confirm for a client that knows destination and key."""
    bucket = destination_named(res.settings, destination).bucket
    async with res.db.connection() as db:
        file = await db_files.get_file_by_key(db, bucket, key, caller)
    return await confirm_file(res, caller, file, attach_to=attach_to)


async def confirm_file(
    res: Resources,
    caller: Principal,
    file: File | None,
    *,
    patience: float | None = PATIENCE,
    part_count: int | None = None,
    attach_to: FieldPath | None = None,
) -> File:
    """Confirm a row that was read already; None: it is not there for the caller. See `confirm`."""
    to = file and records.attachment(res, caller, attach_to, file.destination)
    if file is not None and file.state in _UNDER_WAY:
        if file.method == "multipart":
            file = await complete(res, file, patience, part_count, to)
            if file is not None and file.state in _UNDER_WAY:
                return file
        else:
            file = await verify(res, file, to)
            if file is None:
                raise UploadNotArrived(
                    "The bucket does not hold the object yet: finish sending the bytes, then "
                    "confirm.",
                    retry_after=1,
                )
    if file is not None:
        # A rejected object goes where its destination says so.
        await remove.clear_rejected(res, file)
    return require_confirmed(file)
