"""Announce files, and renew their instructions."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from app.access import idempotency
from app.core.destination import Destination
from app.core.idempotency import RequestKey
from app.core.key_normalizer import (
    InvalidName,
    check_client_key,
    clean_filename,
    load_tables,
    suggest_key,
)
from app.core.parts import Layout, lay_out_as_uppy
from app.core.principal import Principal
from app.db import files as db_files
from app.errors import (
    AlreadyMade,
    ClientKeysNotAllowed,
    InvalidObjectKey,
    KeyExhausted,
    KeyTaken,
    PartsNotOffered,
    Problem,
    QuotaExceeded,
    UploadNotFound,
    UploadNotPending,
    UploadSessionExhausted,
)
from app.loading import load_once
from app.logs.audit import audit_file, audit_files
from app.logs.metrics import count_upload
from app.models.files import File, State
from app.models.idempotency import IdempotencyKey
from app.runtime.resources import Resources
from app.store.signer import Presigned, PresignedPost
from app.turns import Turn
from app.uploads.lookup import get_upload, require_pending
from app.uploads.parts import (
    FIRST_PARTS,
    SignedParts,
    begin,
    keep_until,
    signed_parts,
    with_lifetime,
)
from app.uploads.rules import Announcement, announced_file, largest, pending_file, store
from app.uploads.sign import sign_upload
from app.uploads.unsized import note_unsized

_KEY_TRIES: Final = 5
# Part URLs in the answer to a whole batch.
_BATCH_PARTS: Final = 1000


@dataclass(frozen=True, slots=True)
class PartInstructions:
    """How a file is cut into parts, and where to send the first of them."""

    layout: Layout
    signed: SignedParts
    # `md5`: no part is signed before its MD5 is announced.
    integrity: str | None = None

    @property
    def expires_at(self) -> datetime:
        return self.signed.expires_at


Instructions = Presigned | PresignedPost | PartInstructions


class Announced(NamedTuple):
    """The stored upload, and what its client must send to the bucket.

    None: nothing, for `file` is a confirmed one with the same bytes.
    """

    file: File
    instructions: Instructions | None


async def announce_files(
    res: Resources,
    caller: Principal,
    announcements: Sequence[Announcement | Problem],
    once: RequestKey | None = None,
) -> list[Announced | Problem]:
    """Store the uploads with one statement and sign them; answers in order, problems among them.

    A problem among the announcements is its own answer. Where a key is taken, another is made with
    a later timestamp, a few times. Where the request has an idempotency key, what it has made
    before is signed anew, and only the rest is announced; raises IdempotencyKeyReused and
    RequestUnderWay.
    """
    answers: dict[int, Announced | Problem] = {
        index: given for index, given in enumerate(announcements) if isinstance(given, Problem)
    }
    if once is not None:
        answers |= await _announced_before(res, caller, once)
    turn = Turn()
    pending: dict[int, File] = {}
    for attempt in range(_KEY_TRIES):
        now = res.clock()
        new: dict[int, tuple[Destination, File]] = {}
        for index, announcement in enumerate(announcements):
            if index not in answers and not isinstance(announcement, Problem):
                # Distinct moments, so that one batch may hold the same name a hundred times.
                moment = now + timedelta(microseconds=index + attempt * len(announcements))
                try:
                    new[index] = await announced_file(res, caller, announcement, moment)
                except Problem as problem:
                    answers[index] = problem
                await turn.over()
        answers |= await _same_bytes(res, new)
        signed: dict[int, Announced] = {}
        for index, (destination, file) in new.items():
            if index not in answers:
                try:
                    signed[index] = await _sign(res, destination, file)
                except Problem as problem:
                    answers[index] = problem
                await turn.over()
        if not signed:
            break
        kept: list[IdempotencyKey] = []
        if once is not None:
            kept = [idempotency.kept(once, a.file.id, now, index) for index, a in signed.items()]
        files = [announced.file for announced in signed.values()]
        try:
            stored = await store(res, caller, files, kept, paid=attempt > 0)
        except (QuotaExceeded, UploadSessionExhausted) as problem:
            answers |= dict.fromkeys(signed, problem)
            break
        for index, announced in signed.items():
            if announced.file.id in stored:
                answers[index], pending[index] = announced, announced.file
                count_upload(announced.file.destination, "announced")
    audit_files("upload.announced", list(pending.values()))
    for index, announcement in enumerate(announcements):
        answer = answers.get(index)
        if isinstance(announcement, Announcement) and isinstance(answer, Problem):
            _count_refusal(res, caller, announcement.destination, answer)
    in_parts = {index: file for index, file in pending.items() if file.method == "multipart"}
    if in_parts:
        first = _first_of(len(in_parts))
        results = await asyncio.gather(*(_begin(res, file, first) for file in in_parts.values()))
        answers |= zip(in_parts, results, strict=True)
    return [
        answers.get(index)
        or KeyExhausted("No free key was found for this name; try again.", retry_after=1)
        for index in range(len(announcements))
    ]


def _count_refusal(res: Resources, caller: Principal, destination: str, problem: Problem) -> None:
    # Names that clients make up are without number.
    if destination in res.settings.destinations:
        res.daily.refused(caller.tenant, destination, problem)


@contextmanager
def _refusals_counted(res: Resources, caller: Principal, destination: str) -> Iterator[None]:
    try:
        yield
    except Problem as problem:
        _count_refusal(res, caller, destination, problem)
        raise


def _first_of(count: int) -> int:
    """How many part URLs each of so many uploads in parts is answered with."""
    return min(FIRST_PARTS, max(1, _BATCH_PARTS // count))


async def _announced_before(
    res: Resources, caller: Principal, once: RequestKey
) -> dict[int, Announced | Problem]:
    """Answers to those announcements of the same request that have been stored before."""
    made = await idempotency.made_before(res, once)

    async def again(upload_id: UUID) -> Announced | Problem:
        try:
            file = await get_upload(res, caller, upload_id)
            if file.state == State.CONFIRMED:
                return Announced(file, None)
            return await _renewed(res, require_pending(file), _first_of(len(made)))
        except (UploadNotFound, UploadNotPending):
            return AlreadyMade(
                f"This request has announced upload {upload_id} already, for which nothing is "
                "signed any more: to send the file, announce it with another Idempotency-Key.",
                id=str(upload_id),
            )
        except Problem as problem:
            return problem

    return dict(zip(made, await asyncio.gather(*map(again, made.values())), strict=True))


async def _sign(res: Resources, destination: Destination, file: File) -> Announced:
    """The row to store, and the signed instructions. Parts cannot be signed yet: their row is not
    stored either while nothing can be.
    """
    if file.method == "multipart":
        await res.credentials.current()
        return Announced(with_lifetime(destination, file), None)
    instructions = await sign_upload(res, destination, file)
    return Announced(file.ending(instructions.expires_at), instructions)


async def _same_bytes(
    res: Resources, new: Mapping[int, tuple[Destination, File]]
) -> dict[int, Announced | Problem]:
    """Answers to those that need not be sent: a confirmed file has bytes of the same SHA-256.

    The bucket is asked whether it still has that file; where it does not answer, that is the
    problem.
    """
    like = {
        index: file
        for index, (destination, file) in new.items()
        if destination.allow_existence_optimization and file.checksum_sha256 is not None
    }
    if not like:
        return {}
    sameness = attrgetter(*db_files.SAME_BYTES_COLUMNS)
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
        return await _first_parts(res, await begin(res, file), parts)
    except Problem as problem:
        return problem


async def _first_parts(res: Resources, file: File, parts: int = FIRST_PARTS) -> Announced:
    layout = file.layout
    assert layout is not None
    numbers = range(1, min(parts, layout.count) + 1) if file.integrity is None else ()
    file, signed = await signed_parts(res, file, numbers)
    return Announced(file, PartInstructions(layout, signed, file.integrity))


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
        if not key.isascii():
            await load_once(load_tables)
        suggestion = suggest_key(key, destination.prefix)
        more: dict[str, Any] = {} if suggestion is None else {"suggestion": suggestion}
        raise InvalidObjectKey(str(error), **more) from None
    announcement = Announcement(destination.name, key, method="post")
    file = pending_file(res, caller, destination, name, announcement, res.clock(), key)
    taken = KeyTaken(f"There is a file or an object with the key {key} already.")
    if await res.object_at(destination, key).is_used():
        raise taken
    announced = await _sign(res, destination, file)
    if file.id not in await store(res, caller, [announced.file]):
        raise taken
    audit_files("upload.announced", [announced.file])
    return announced


async def renew_upload(res: Resources, caller: Principal, upload_id: UUID) -> Announced:
    """Fresh instructions for the same key, while the upload is pending."""
    return await _renewed(res, require_pending(await get_upload(res, caller, upload_id)))


async def _renewed(res: Resources, file: File, parts: int = FIRST_PARTS) -> Announced:
    if file.method == "multipart":
        if file.size is None:
            raise PartsNotOffered(
                "Nobody has announced this file's size, so nobody knows its parts: ask for the "
                f"URLs of those that you send with POST /v1/uploads/{file.id}/parts."
            )
        return await _first_parts(res, file, parts)
    instructions = await sign_upload(res, res.bucket_of(file).destination, file)
    file = await keep_until(res, file, instructions.expires_at, file.size)
    audit_file("upload.renewed", file)
    return Announced(file, instructions)


async def announce_unsized(
    res: Resources,
    caller: Principal,
    destination_name: str,
    filename: str,
    content_type: str | None,
    path: str | None = None,
    metadata: str | None = None,
) -> File:
    """Begin an upload for clients that announce no size: it is known once all parts are there.

    Its part URLs take any length; the destination's range, and what an upload session has left,
    hold for the sum, before completion. `path` and `metadata` are
    those of an Announcement. Raises PartsNotOffered and SizeRequired.
    """
    announcement = Announcement(
        destination_name, filename, content_type, method="multipart", path=path, metadata=metadata
    )
    with _refusals_counted(res, caller, destination_name):
        destination, file = await announced_file(res, caller, announcement, res.clock())
        if not destination.unsized_parts:
            raise PartsNotOffered(
                f"Destination {destination.name} takes no parts of a file whose size was not "
                "announced. In Uppy, say it with `uppy.setFileMeta(file.id, { size: file.size })`, "
                "or set `shouldUseMultipart: false`."
            )
        await largest(res, destination, file)
        return await _store_and_begin(res, caller, destination, file)


async def announce_as_uppy(
    res: Resources,
    caller: Principal,
    destination_name: str,
    filename: str,
    content_type: str | None,
    size: int,
    path: str | None = None,
    metadata: str | None = None,
) -> File:
    """Begin an upload of so many bytes in parts, cut as Uppy cuts them: each has its length signed.

    Raises SizeNotAllowed, among others, before anything is sent.
    """
    announcement = Announcement(
        destination_name,
        filename,
        content_type,
        size,
        method="multipart",
        path=path,
        metadata=metadata,
    )
    with _refusals_counted(res, caller, destination_name):
        destination, file = await announced_file(res, caller, announcement, res.clock())
        file = file._replace(part_size=lay_out_as_uppy(size).part_size)
        return await _store_and_begin(res, caller, destination, file)


async def _store_and_begin(
    res: Resources, caller: Principal, destination: Destination, file: File
) -> File:
    await res.credentials.current()
    file = with_lifetime(destination, file)
    if file.id not in await store(res, caller, [file]):
        raise KeyExhausted("The key for this name was taken; try again.", retry_after=1)
    if file.size is None:
        await note_unsized(res, file)
    count_upload(file.destination, "announced")
    return await begin(res, file)
