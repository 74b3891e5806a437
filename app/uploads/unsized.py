"""Parts of unknown size at an upload session's expense: no more are signed than fit into it.

Such a part's URL takes any length. So a part that is signed and has not arrived counts with the
least that a part may have, and one that has arrived with what it is. They are counted in the bucket
each time before more are signed, those of the session's other uploads included.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

from app.access import api_keys, upload_sessions
from app.access.makers import Made
from app.core.destination import Destination
from app.core.parts import fitting_parts
from app.core.principal import Principal
from app.db import sweep as db_sweep
from app.db import unsized as db_unsized
from app.errors import Problem, SizeNotAllowed, UploadSessionExhausted
from app.logs.audit import audit_file
from app.logs.metrics import count_upload
from app.models.credentials import UnsizedUpload, UploadSession
from app.models.files import File
from app.runtime.resources import Resources
from app.uploads.remove import LEASE, remove_upload
from app.uploads.rules import exhausted, size_required

# Uploads of one session whose parts are counted in the bucket before one more is signed.
_COUNTED: Final = 50
# Seconds after which parts that are under way may have arrived.
_RETRY: Final = 5
# Uploads that are dropped together, and seconds that whoever ends a session waits for them.
_BATCH: Final = 8
_DROP_SECONDS: Final = 10.0


async def note_unsized(res: Resources, file: File) -> None:
    """Note that the upload's session, if there is one, pays for it later."""
    if file.session_id is not None:
        async with res.db.connection() as db:
            await db_unsized.note_unsized(db, file)


async def admit_parts(
    res: Resources, destination: Destination, file: File, part_numbers: Sequence[int]
) -> datetime | None:
    """Take parts from what the upload's session has left, before they are signed; the session's
    end, which no URL may outlive. None where no session pays for the upload later.

    Raises UploadSessionExhausted, SizeRequired, SizeNotAllowed, BucketRefused, BucketUnavailable.
    """
    if file.session_id is None or file.size is not None:
        return None
    async with res.db.connection() as db:
        in_flight = await db_unsized.uploads_in_flight(db, file.session_id, _COUNTED + 1)
    uploads = {one.id: one for one in in_flight} | {file.id: file}
    if len(uploads) > _COUNTED + 1:
        raise UploadSessionExhausted(
            f"Parts of more than {_COUNTED} files of unknown size are under way in this upload "
            "session: finish or cancel some of them first.",
            retry_after=_RETRY,
        )
    lists = await asyncio.gather(
        *(res.bucket_of(one).list_parts(one.store_upload_id) for one in uploads.values())
    )
    counted = {
        file_id: (len(parts or ()), sum(part.size for part in parts or ()))
        for file_id, parts in zip(uploads, lists, strict=True)
    }
    async with res.db.transaction() as db:
        session = await db_unsized.lock_session(db, file.session_id)
        now = res.clock()
        if session is None or session.revoked_at is not None or session.expires_at <= now:
            raise exhausted(session, [file], now)
        if not session.unsized:
            raise size_required()
        await db_unsized.note_unsized(db, file)
        await db_unsized.note_arrived(db, counted)
        own = await db_unsized.get_unsized(db, file)
        wanted = own._replace(signed=max(own.signed, *part_numbers))
        totals = await db_unsized.get_totals(db, file.session_id)
        more = _in_flight(wanted) - _in_flight(own)
        _require_left(session, totals.arrived_bytes, totals.in_flight + more)
        _require_fitting(destination, wanted)
        await db_unsized.note_signed(db, file, wanted.signed)
    return session.expires_at


def _in_flight(upload: UnsizedUpload) -> int:
    return max(0, upload.signed - upload.arrived)


def _require_fitting(destination: Destination, upload: UnsizedUpload) -> None:
    left = destination.max_size - upload.arrived_bytes
    if left < 0 or _in_flight(upload) > fitting_parts(left):
        raise SizeNotAllowed(
            f"{upload.signed} parts are more than the {destination.max_size} bytes that "
            f"destination {destination.name} takes.",
            min_size=destination.min_size,
            max_size=destination.max_size,
        )


def _require_left(session: UploadSession, arrived_bytes: int, in_flight: int) -> None:
    left = session.max_bytes - session.used_bytes - arrived_bytes
    if left < 0 or in_flight > fitting_parts(left):
        raise UploadSessionExhausted(
            f"The upload session has {max(0, left)} of its {session.max_bytes} bytes left "
            "(`max_bytes`), which parts that are under way may need: send this part when they "
            "have arrived, if there is room for it then.",
            retry_after=_RETRY,
        )


async def end_session(res: Resources, caller: Principal, session_id: UUID) -> None:
    """Revoke the session, and drop at once what came with it in parts of unknown size.

    Raises UploadSessionNotFound. What the bucket does not drop now is left to the sweep.
    """
    await upload_sessions.revoke(res, caller, session_id)
    await drop_unsized(res, [session_id])


async def end_key(
    res: Resources, caller: Principal, key_id: UUID, *, revoke_made: bool = False
) -> Made:
    """Revoke the key (`api_keys.revoke`), and end the sessions that end with it as `end_session`
    does. Raises ApiKeyNotFound.
    """
    made = await api_keys.revoke(res, caller, key_id, revoke_made=revoke_made)
    await drop_unsized(res, made.sessions)
    return made


async def drop_unsized(res: Resources, ended: Sequence[UUID]) -> None:
    """Drop what came in parts of unknown size with these sessions, which have ended.

    It waits but for so long, and the rest is done behind it.
    """
    if ended:
        # It goes on when its caller stops waiting.
        await asyncio.wait({res.background.start(_drop_all(res, ended))}, timeout=_DROP_SECONDS)


async def _drop_all(res: Resources, session_ids: Sequence[UUID]) -> None:
    started = res.clock()
    while True:
        now = res.clock()
        async with res.db.connection() as db:
            uploads = await db_sweep.claim_ended(
                db, now, started - LEASE, now + LEASE, _BATCH, session_ids=session_ids
            )
        if not uploads:
            return
        await asyncio.gather(*(_try_to_drop(res, upload) for upload in uploads))


async def _try_to_drop(res: Resources, upload: File) -> None:
    # After a failure the removal is the sweep's to finish.
    with suppress(Problem):
        await drop_ended(res, upload)


async def drop_ended(res: Resources, upload: File) -> bool:
    """Drop an upload of unknown size whose session has ended; False if another was first."""
    if not await remove_upload(res, upload):
        return False
    count_upload(upload.destination, "expired")
    audit_file("upload.expired", upload)
    return True
