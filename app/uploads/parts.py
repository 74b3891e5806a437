"""Multipart uploads: begin them at the store, sign and list their parts.

The row is stored first, then the upload begun at the store, then its id noted in the row. A row
that has none after a crash is looked for among the key's uploads, which no other row shares.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Final
from uuid import UUID

from app.core.destination import Destination
from app.core.integrity import from_base64
from app.core.parts import MAX_PARTS
from app.core.principal import Principal
from app.db import files as db_files
from app.db import moves, part_digests
from app.errors import PartDiffers, UnknownPart, UploadExpired, UploadNotMultipart
from app.models.files import File, State
from app.records.writing import resolve_attachment
from app.runtime.resources import Resources
from app.turns import Turn
from app.uploads.integrity import vouched_for
from app.uploads.lookup import get_upload, require_confirmed, require_pending
from app.uploads.rules import checksum_required, look_at, object_headers
from app.uploads.unsized import admit_parts
from app.uploads.verify import verify

# Parts that an announcement answers with.
FIRST_PARTS: Final = 100
# Parts that a problem names at most.
_NAMED: Final = 100


@dataclass(frozen=True, slots=True)
class SignedPart:
    """Where to PUT a part of `size` bytes; None: as many as the client likes.

    With the `headers` that were signed for it; None: it has none of its own.
    """

    part_number: int
    url: str
    size: int | None
    headers: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SignedParts:
    """Parts to send, and when their URLs end (UTC)."""

    parts: list[SignedPart]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A part that arrived: its size in bytes, and its ETag while the store still tells it.

    `checksum_md5`: in base64, of its bytes; None where nothing vouches for them.
    """

    part_number: int
    size: int
    etag: str | None
    checksum_md5: str | None = None


@dataclass(frozen=True, slots=True)
class KnownParts:
    """The parts of an upload that arrived; size in bytes and count are None if not announced.

    `integrity` as in its file.
    """

    part_size: int | None
    part_count: int | None
    parts: list[KnownPart]
    integrity: str | None


def with_lifetime(destination: Destination, file: File) -> File:
    """The row of a multipart upload as it is stored: with the end of its life."""
    lives = min(destination.upload_expires_in, destination.multipart_expires_in)
    # Whole seconds, as in everything that is signed.
    return file.ending(file.created_at.replace(microsecond=0) + timedelta(seconds=lives))


async def begin(res: Resources, file: File, *, new: bool = True) -> File:
    """Begin a pending upload at the store, unless that was done: the row with the store's id.

    Unless it is `new`, an upload whose id was not noted is looked for. Raises UploadNotPending,
    UploadNotFound, BucketRefused, BucketUnavailable.
    """
    if file.store_upload_id is not None:
        return file
    handle = res.bucket_of(file)
    found = [] if new else await handle.find_uploads()
    upload_id = (
        found[0] if found else await handle.create_upload(object_headers(handle.destination, file))
    )
    async with res.db.connection() as db:
        if learnt := await moves.learn_upload(db, file, upload_id):
            return learnt
        now = await db_files.get_again(db, file)
    # Another request was first, or the upload is no longer pending.
    if now is None or now.store_upload_id != upload_id:
        await handle.abort_upload(upload_id)
    return require_pending(now)


async def sign_parts(
    res: Resources,
    caller: Principal,
    upload_id: UUID,
    part_numbers: Sequence[int],
    checksums: Sequence[str] | None = None,
) -> SignedParts:
    """URLs for these parts, in order, each for a PUT of exactly the part's size.

    `checksums`, their MD5s in base64, are needed where the upload has `integrity`, and count there
    alone. The upload is kept for as long as they live, up to `multipart_expires_in` of its
    destination. Raises UnknownPart, UploadExpired, UploadNotMultipart, ChecksumRequired,
    PartDiffers, and as `admit_parts` does.
    """
    file = require_pending(_require_multipart(await get_upload(res, caller, upload_id)))
    if file.integrity is None:
        checksums = ()
    elif not checksums:
        raise checksum_required(
            "Ask for parts with `checksums_md5`: the MD5 of each, in Base64, in the order of "
            "`part_numbers`."
        )
    _, signed = await signed_parts(res, file, part_numbers, checksums)
    return signed


async def signed_parts(
    res: Resources, file: File, part_numbers: Iterable[int], checksums: Sequence[str] = ()
) -> tuple[File, SignedParts]:
    """Sign parts of a pending upload, with the MD5 of each or none; the row as it is then."""
    destination = res.bucket_of(file).destination
    layout = file.layout
    count = MAX_PARTS if layout is None else layout.count
    sizes: list[tuple[int, int | None]] = []
    for number in part_numbers:
        if not 1 <= number <= count:
            raise UnknownPart(
                f"The upload has no part {number}; parts run from 1 to {count}.", part_count=count
            )
        sizes.append((number, None if layout is None else layout.size_of(number)))
    file = await begin(res, file, new=False)
    assert file.store_upload_id is not None
    end = file.created_at + timedelta(seconds=destination.multipart_expires_in)
    session_end = await admit_parts(res, destination, file, [number for number, _ in sizes])
    left = int((min(end, session_end or end) - res.clock()).total_seconds())
    if left < 1:
        raise UploadExpired(
            f"The upload began more than {destination.multipart_expires_in} seconds ago; announce "
            "the file anew."
        )
    res.buckets.require_clock(destination)
    urls, expires_at = await res.signer.presign_parts(
        destination.address,
        file.key,
        file.store_upload_id,
        sizes,
        expires_in=min(destination.upload_expires_in, left),
        checksums=checksums,
    )
    # With the last part, these are all that is still to come, as a rule.
    is_last = layout is not None and any(number == layout.count for number, _ in sizes)
    coming = sum(size or 0 for _, size in sizes) if is_last else file.size
    paired = zip(sizes, checksums, strict=True) if checksums else ()
    digests = [(number, from_base64(checksum)) for (number, _), checksum in paired]
    file = await keep_until(res, file, expires_at, coming, digests)
    parts = [
        SignedPart(number, url, size, None if checksum is None else {"content-md5": checksum})
        for (number, size), url, checksum in zip_longest(sizes, urls, checksums)
    ]
    return file, SignedParts(parts, expires_at)


async def keep_until(
    res: Resources,
    file: File,
    expires_at: datetime,
    size: int | None,
    digests: Sequence[tuple[int, bytes]] = (),
) -> File:
    """Note that something signed for the pending upload works until then; the row as it is then.

    It is looked for once `size` bytes could have come from now on, however old it is. The MD5s of
    parts by number are noted with it, or nothing is. Raises UploadNotPending or UploadNotFound if
    confirm or cancel was first, PartDiffers if a part has another MD5 already.
    """
    look = look_at(res.bucket_of(file).destination, file.id, file.method, size, res.clock())
    async with res.db.transaction() if digests else res.db.connection() as db:
        renewed = await moves.extend_upload(db, file, expires_at, look)
        if renewed is None:
            return require_pending(await db_files.get_again(db, file))
        if digests and (others := await part_digests.note(db, file, digests)):
            raise PartDiffers(
                f"Part {others[0]} of this upload was announced with another MD5: parts of two "
                "files are never put together. Announce this file by itself.",
                part_numbers=others[:_NAMED],
            )
    return renewed


async def list_parts(res: Resources, caller: Principal, upload_id: UUID) -> KnownParts:
    """The parts that the bucket has; after completion those that it had, without ETags.

    Raises UploadNotMultipart, UploadRejected, UploadNotPending.
    """
    file = _require_multipart(await get_upload(res, caller, upload_id))
    layout = file.layout
    size, count = (None, None) if layout is None else (layout.part_size, layout.count)
    if file.state in {State.COMPLETING, State.CONFIRMED} and layout is not None:
        joined = (KnownPart(n, layout.size_of(n), None) for n in range(1, layout.count + 1))
        return KnownParts(size, count, await _known(joined), file.integrity)
    if file.state != State.COMPLETING:
        require_pending(file)
    arrived = await res.bucket_of(file).list_parts(file.store_upload_id)
    if arrived is None:
        attachment = resolve_attachment(res, caller, None, file.destination)
        require_confirmed((await verify(res, file, attachment)).file)
        # It was completed meanwhile.
        return await list_parts(res, caller, upload_id)
    digests = await vouched_for(res, file, arrived) if file.integrity else {}
    parts = await _known(
        KnownPart(part.part_number, part.size, part.etag, digests.get(part.part_number))
        for part in arrived
    )
    return KnownParts(size, count, parts, file.integrity)


async def _known(parts: Iterable[KnownPart]) -> list[KnownPart]:
    """Up to 10,000 of them, made in turns with other requests."""
    known, turn = [], Turn()
    for part in parts:
        known.append(part)
        await turn.over()
    return known


def _require_multipart(file: File) -> File:
    if file.method != "multipart":
        raise UploadNotMultipart(f"The upload is one {file.method.upper()}; it has no parts.")
    return file
