"""Completion: the bucket joins the parts of a multipart upload, and the upload becomes a file.

Parts are joined as the bucket lists them, never as a client says. The completion is claimed in the
row before the bucket is asked, with a lease that is extended while the bucket works; after a crash
the lease ends, and the next confirm takes over. Joining the same parts twice does no harm.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from app.core.parts import gaps
from app.db import files as db_files
from app.db import moves
from app.errors import (
    BucketRefused,
    BucketUnavailable,
    DatabaseUnavailable,
    Problem,
    SigningUnavailable,
    UploadNotArrived,
)
from app.models.files import File, State
from app.records.writing import Attachment
from app.runtime.resources import Resources
from app.store.objects import PartsTooSmall, StoredPart
from app.uploads.integrity import other_parts
from app.uploads.objections import size_objection, too_small_parts
from app.uploads.rules import bytes_left
from app.uploads.verify import After, reject, verify

UNDER_WAY: Final = frozenset({State.PENDING, State.COMPLETING})
_LEASE: Final = timedelta(seconds=60)
_EXTEND_EVERY: Final = 20.0  # seconds
# Before a complete is repeated whose outcome is not known, in seconds.
_RETRY_DELAYS: Final = (1.0, 4.0)
# Between two reads of the row while another is at work, in seconds: at first, and at most.
_MIN_POLL: Final = 0.25
_MAX_POLL: Final = 2.0
_MISSING_NAMED: Final = 100


async def complete(
    res: Resources,
    file: File,
    wait_seconds: float | None,
    part_count: int | None = None,
    attachment: Attachment | None = None,
    *,
    by_itself: bool = False,
) -> After:
    """Complete a multipart upload, or wait while another call does.

    After `wait_seconds` the row is returned as it is, and the work goes on. Of an upload whose
    size is not known `part_count` parts are joined; None: as many as the call that claimed it said.
    Raises UploadNotArrived (parts are missing, or their number is not known), BucketRefused,
    BucketUnavailable.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    deadline = None if wait_seconds is None else started + wait_seconds
    after = After(file, by_us=False)
    while (now := after.file) is not None and now.state in UNDER_WAY:
        left = None if deadline is None else deadline - loop.time()
        if left is not None and left <= 0:
            break
        if _is_free(res, now):
            # A task: it goes on when its caller stops waiting or disconnects.
            work = res.background.start(_attempt(res, now, part_count, attachment, by_itself))
            await asyncio.wait({work}, timeout=left)
            if work.done():
                after = work.result()
                continue
        else:
            pause = poll_delay(loop.time() - started)
            await asyncio.sleep(pause if left is None else min(pause, left))
        async with res.db.connection() as db:
            after = After(await db_files.get_again(db, file), by_us=False)
    return after


def poll_delay(waited: float) -> float:
    """Seconds until the row is read again, after waiting `waited` seconds: a quarter of them.

    So a caller learns of the end soon, and a hundred that wait long cause few queries.
    """
    return min(max(_MIN_POLL, waited / 4), _MAX_POLL)


def _is_free(res: Resources, file: File) -> bool:
    """Whether no other call has the completion."""
    return file.state == State.PENDING or (
        file.claimed_until is not None and file.claimed_until < res.clock()
    )


async def _attempt(
    res: Resources,
    file: File,
    part_count: int | None,
    attachment: Attachment | None,
    by_itself: bool,
) -> After:
    """Check which parts have arrived, claim the completion, have them joined, and verify."""
    handle = res.bucket_of(file)
    arrived = await handle.list_parts(file.store_upload_id)
    if arrived is None:
        return await verify(res, file, attachment, by_itself=by_itself)
    if file.state == State.COMPLETING:
        # The same parts as before; by now there may be more.
        part_count = file.part_count
    parts = _complete_list(file, arrived, part_count)
    size, left = sum(part.size for part in parts), await bytes_left(res, file)
    reason = size_objection(handle.destination, file, size, left)
    now = res.clock()
    async with res.db.connection() as db:
        claimed = await moves.claim_completion(
            db, file, parts[0].size, now, now + _LEASE, part_count
        )
        if claimed is None:
            return After(await db_files.get_again(db, file), by_us=False)
    if reason:
        work = _refuse(res, claimed, reason)
    else:
        work = _join(res, claimed, parts, attachment, by_itself)
    return await _keep_lease(res, claimed, asyncio.ensure_future(work))


def _complete_list(
    file: File, arrived: Sequence[StoredPart], part_count: int | None
) -> list[StoredPart]:
    """The parts that make up the file, in order. Raises UploadNotArrived if any is not there."""
    sizes = {part.part_number: part.size for part in arrived}
    layout = file.layout
    if layout is not None:
        count, missing = layout.count, layout.missing(sizes)
    elif part_count is None:
        # Any number of parts makes a file, and only its client knows when all are there.
        raise UploadNotArrived(
            "Nobody has said how many parts this file has: its client completes the upload, as "
            "Uppy does by itself. Confirm it then.",
            retry_after=1,
        )
    else:
        count = part_count
        missing = gaps(sizes, count)
    if missing or not arrived:
        some = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
        parts, them = ("part", "it") if len(missing) == 1 else ("parts", "them")
        raise UploadNotArrived(
            f"The bucket lacks {len(missing) or 'all'} {parts} of the file{some and f': {some}'}. "
            f"Send {them}, then confirm.",
            retry_after=1,
            missing_count=len(missing),
            missing_parts=missing[:_MISSING_NAMED],
        )
    # Whatever lies beyond the last part is no part of the file; the store drops it.
    return [part for part in arrived if part.part_number <= count]


def _differing(numbers: Sequence[int]) -> UploadNotArrived:
    return UploadNotArrived(
        f"Part {numbers[0]} is not in the bucket as it was announced: its MD5 differs. Send it "
        "again, then confirm.",
        retry_after=1,
        missing_count=len(numbers),
        missing_parts=numbers[:_MISSING_NAMED],
    )


async def _refuse(res: Resources, file: File, reason: str) -> After:
    """Drop the parts, and reject the upload; after a failure the next call tries both again."""
    await res.bucket_of(file).abort_uploads(file.store_upload_id)
    return await reject(res, file, reason)


async def _keep_lease(res: Resources, file: File, joining: asyncio.Future[After]) -> After:
    """Extend the lease for as long as the bucket works, and give it back after a failure."""
    try:
        while not (await asyncio.wait({joining}, timeout=_EXTEND_EVERY))[0]:
            file = await _extend(res, file)
        return joining.result()
    except _NothingJoined as nothing:
        async with res.db.connection() as db:
            await moves.abandon_completion(db, file)
        raise nothing.problem from None
    except BaseException:
        joining.cancel()
        # The parts may have been joined. The lease ends well in the past, for another replica's
        # clock may be behind ours.
        async with res.db.connection() as db:
            await moves.move_lease(db, file, res.clock() - _LEASE)
        raise


class _NothingJoined(Exception):
    """The bucket refused to join the parts, so the upload is as it was before."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


async def _extend(res: Resources, file: File) -> File:
    try:
        async with res.db.connection() as db:
            return await moves.move_lease(db, file, res.clock() + _LEASE) or file
    except DatabaseUnavailable:
        # The next time may be early enough; and if another takes over, no harm is done.
        return file


async def _join(
    res: Resources,
    file: File,
    parts: list[StoredPart],
    attachment: Attachment | None,
    by_itself: bool,
) -> After:
    """Have the bucket join the parts, again while the outcome is not known, and verify."""
    assert file.store_upload_id is not None
    handle = res.bucket_of(file)
    if file.integrity is not None and (others := await other_parts(res, file, parts)):
        raise _NothingJoined(_differing(others))
    unknown = False
    for delay in (*_RETRY_DELAYS, None):
        try:
            try:
                await handle.complete_upload(file.store_upload_id, parts)
            except PartsTooSmall:
                return await _refuse(res, file, too_small_parts(parts))
            except (UploadNotArrived, BucketRefused, SigningUnavailable) as problem:
                if unknown:
                    raise
                raise _NothingJoined(problem) from problem
            return await verify(res, file, attachment, by_itself=by_itself)
        except BucketUnavailable:
            # Perhaps only the answer was lost: then the store knows no such upload any more.
            unknown = True
            if delay is None:
                raise
            await asyncio.sleep(delay)
    raise AssertionError("the last try returns or raises")
