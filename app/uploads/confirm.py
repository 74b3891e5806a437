"""Confirm an upload: by its id, its object's URL, or destination and key."""

from typing import Final
from uuid import UUID

from app.access.destinations import destination_named
from app.access.upload_sessions import principal_of_session
from app.core.principal import Principal
from app.core.record_field import FieldPath
from app.db import credentials as db_credentials
from app.db import files as db_files
from app.db import moves
from app.errors import RecordNotFound, TooManyFiles, UnknownRecordField, WrongDestination
from app.files.urls import check_host, parse_url
from app.logs.log import get_logger
from app.models.files import File, State
from app.records.writing import Attachment, attach, audit_change, lock_record, resolve_attachment
from app.runtime.resources import Resources
from app.uploads.join import UNDER_WAY, complete
from app.uploads.lookup import require_confirmed
from app.uploads.verify import After, verify

_log: Final = get_logger("confirm")
# How long a confirm waits for the bucket to join parts, in seconds: routers give up after 30.
ANSWER_SECONDS: Final = 20.0


async def confirm_upload(
    res: Resources,
    caller: Principal,
    upload_id: UUID,
    *,
    wait_seconds: float | None = ANSWER_SECONDS,
    part_count: int | None = None,
    attach_to: FieldPath | None = None,
) -> File:
    """Ask the bucket whether the announced bytes are there, and make the upload a file.

    However often and concurrently it is called, one call makes the change and all return the same
    file. A multipart upload is completed; where that takes more than `wait_seconds` (None: no
    limit) the upload is returned as it is, and the work goes on. `part_count` is how many parts a
    client has sent that announced no size.

    With `attach_to` the file goes into that field of a record in the same transaction: raises
    UnknownRecordField, WrongDestination, TooManyFiles, RecordNotFound, and then nothing is moved.
    A file that was confirmed before is not attached, for its record may have been changed since;
    but one that has confirmed itself is, by the first confirm of its client.
    """
    async with res.db.connection() as db:
        file = await db_files.get_file(db, upload_id, caller)
    return await confirm_file(
        res, caller, file, wait_seconds=wait_seconds, part_count=part_count, attach_to=attach_to
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
    wait_seconds: float | None = ANSWER_SECONDS,
    part_count: int | None = None,
    attach_to: FieldPath | None = None,
) -> File:
    """Confirm a row that was read already, as `confirm_upload` does; None: the caller has none."""
    if file is not None:
        attachment = resolve_attachment(res, caller, attach_to, file.destination)
        file = (await _end(res, file, wait_seconds, part_count, attachment)).file
        if file is not None and file.self_confirmed:
            file = await _take(res, file, attachment)
    if file is not None and file.method == "multipart" and file.state in UNDER_WAY:
        return file
    return require_confirmed(file)


async def end_by_itself(res: Resources, file: File) -> After:
    """Confirm or reject the upload for no client, with no limit of time; a file goes into the field
    of its upload session, if that has one.

    Where the field does not take it, as it is full or declared no more, it is a file nevertheless:
    its client's confirm is told why. Raises what `verify` does.
    """
    try:
        attachment = await _of_session(res, file)
        return await _end(res, file, None, attachment=attachment, by_itself=True)
    except (RecordNotFound, TooManyFiles, UnknownRecordField, WrongDestination) as problem:
        _log.warning("not_attached", file_id=file.id, problem=problem.slug(), detail=problem.detail)
        return await _end(res, file, None, by_itself=True)


async def _of_session(res: Resources, file: File) -> Attachment | None:
    if file.session_id is None:
        return None
    async with res.db.connection() as db:
        session = await db_credentials.get_session(db, file.session_id)
    if session is None or not session.attach_to:
        return None
    return resolve_attachment(res, principal_of_session(session), None, file.destination)


async def _end(
    res: Resources,
    file: File,
    wait_seconds: float | None,
    part_count: int | None = None,
    attachment: Attachment | None = None,
    *,
    by_itself: bool = False,
) -> After:
    """Confirm or reject the upload, unless it is neither pending nor completing any more."""
    if file.method == "multipart":
        return await complete(res, file, wait_seconds, part_count, attachment, by_itself=by_itself)
    if file.state == State.PENDING:
        return await verify(res, file, attachment, by_itself=by_itself)
    return After(file, by_us=False)


async def _take(res: Resources, file: File, attachment: Attachment | None) -> File:
    """Have a client's confirm do to a file that has confirmed itself what is left of it: put it
    into the record's field. Raises RecordNotFound, TooManyFiles, and then nothing is done.
    """
    change = None
    try:
        async with res.db.transaction() if attachment else res.db.connection() as db:
            # In the order of `verify`: so no two wait for each other.
            record = attachment and await lock_record(res, db, attachment)
            taken = await moves.take_confirmed(db, file)
            if taken is None:
                raise _TakenBefore
            if attachment and record:
                change = await attach(res, db, attachment, record, file.id)
    except _TakenBefore:
        return file
    if change:
        audit_change(change)
    return taken


class _TakenBefore(Exception):
    """Another confirm, or a record, has the file already: nothing is left to do."""
