"""Take a released file back, whose object is still what was confirmed."""

from uuid import UUID

from app.core.principal import Principal
from app.db import files as db_files
from app.db import moves
from app.db.usage import adding
from app.errors import FileNotFound
from app.logs.audit import audit_file
from app.models.files import File, State
from app.runtime.resources import Resources


async def restore_file(res: Resources, caller: Principal, file_id: UUID) -> File:
    """Confirmed again, as it was; repeating it is no error.

    Raises FileNotFound, also where the object is gone from the bucket, or another is there now.
    """
    async with res.db.connection() as db:
        file = await db_files.get_file(db, file_id, caller)
    if file is not None and file.state == State.CONFIRMED:
        return file
    if file is None or file.state != State.RELEASED:
        raise FileNotFound("No released file of yours has this id.")
    handle = res.bucket_of(file)
    found = await handle.head(file.version_id)
    if found is None:
        raise FileNotFound("Its object is gone from the bucket.")
    if (found.size, found.etag) != (file.size, file.etag):
        raise FileNotFound("Its object is not the one that was confirmed any more.")
    # One that was released before its destination had files scanned has no verdict yet.
    waits = file.scan is None and handle.destination.is_scanned_by_worker
    async with res.db.transaction() as db, adding(db, [file], res.settings.quota):
        restored = await moves.mark_restored(db, file, res.clock() if waits else None)
    if restored is None:
        # Somebody else was first.
        raise FileNotFound("No released file of yours has this id.")
    audit_file("file.restored", restored)
    return restored
