"""Look up a caller's upload, and require a state of it."""

from typing import Any
from uuid import UUID

from app.core.principal import Principal
from app.db import files as db_files
from app.errors import UploadNotFound, UploadNotPending, UploadRejected
from app.models.files import File, State
from app.runtime.resources import Resources


async def get_upload(res: Resources, caller: Principal, upload_id: UUID) -> File:
    """The upload in whatever state it is. Raises UploadNotFound, also for one that was removed
    unless it was rejected before.
    """
    async with res.db.connection() as db:
        file = await db_files.get_file(db, upload_id, caller)
    if file is not None and file.reason is not None:
        # It stays rejected for its client when its object has been removed since.
        return file._replace(state=State.REJECTED)
    if file is None or file.state in {State.RELEASED, State.REMOVED}:
        raise UploadNotFound("No upload of yours has this id.")
    return file


def require_pending(file: File | None) -> File:
    """The upload if it is pending. Raises UploadNotPending, UploadNotFound."""
    if file is None or file.state in {State.RELEASED, State.REMOVED}:
        raise UploadNotFound("No upload of yours has this id.")
    if file.state != State.PENDING:
        raise UploadNotPending(f"The upload is {file.state}, no longer pending.", state=file.state)
    return file


def require_confirmed(file: File | None) -> File:
    """The file if it is confirmed. Raises UploadRejected, UploadNotFound, UploadNotPending."""
    if file is not None and file.reason is not None:
        # Also when its object has been removed since.
        types: dict[str, Any] = {}
        if file.detected_type is not None:
            types = {"content_type": file.content_type, "detected_type": file.detected_type}
        raise UploadRejected(file.reason, state=State.REJECTED, **types)
    if file is None or file.state in {State.RELEASED, State.REMOVED}:
        raise UploadNotFound("No upload of yours has this id or key.")
    if file.state != State.CONFIRMED:
        raise UploadNotPending(f"The upload is {file.state}.", state=file.state)
    return file
