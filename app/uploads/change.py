"""Change what is said of a confirmed file: its name and its metadata, never its bytes or key."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from app.core.destination import Destination
from app.core.key_normalizer import InvalidName, clean_filename
from app.core.metadata import Value, merge_metadata
from app.core.principal import Principal
from app.db import files as db_files
from app.errors import FileNotFound, InvalidFilename, ValidationFailed
from app.logs.audit import audit_file
from app.models.files import File
from app.runtime.resources import Resources
from app.uploads.objections import is_archive_by_name, name_objection
from app.uploads.rules import check_extension


@dataclass(frozen=True, slots=True)
class FileChange:
    """A new name, and changes of the metadata as `merge_metadata` takes them; None: none.

    `replaces`: all of the metadata are to be those.
    """

    filename: str | None = None
    metadata: Mapping[str, Value | None] | None = None
    replaces: bool = False


async def change_file(res: Resources, caller: Principal, file_id: UUID, change: FileChange) -> File:
    """Change the file, and give it as it is then. Links that were made before keep the old name.

    Raises FileNotFound, also for everybody else's, InvalidFilename, ExtensionNotAllowed, and
    ValidationFailed for metadata past its limits.
    """
    async with res.db.transaction() as db:
        file = await db_files.lock_confirmed(db, file_id, caller)
        if file is None:
            raise FileNotFound("No file of yours has this id.")
        changed = _changed(res, file, change)
        if changed != file:
            await db_files.change_file(db, changed)
    named = [
        name for name in ("filename", "metadata") if getattr(changed, name) != getattr(file, name)
    ]
    if named:
        audit_file("file.changed", changed, changed=named)
    return changed


def _changed(res: Resources, file: File, change: FileChange) -> File:
    changed = file
    if change.filename is not None:
        try:
            name = clean_filename(change.filename)
        except InvalidName as error:
            raise InvalidFilename(str(error)) from None
        if name.display != file.filename:
            destination = res.bucket_of(file).destination
            check_extension(destination, name)
            changed = changed._replace(filename=name.display)
            _check_ending(destination, file, changed)
    if change.metadata is not None or change.replaces:
        before = None if change.replaces else file.metadata
        try:
            written = merge_metadata(before, change.metadata or {})
        except ValueError as error:
            raise ValidationFailed(
                f"metadata: {error}.", errors=[{"loc": ["metadata"], "message": str(error)}]
            ) from None
        changed = changed._replace(metadata=written)
    return changed


def _check_ending(destination: Destination, file: File, changed: File) -> None:
    """Hold another extension to the contents, as at confirm. Raises InvalidFilename."""
    before, after = (one.filename.rpartition(".")[2].lower() for one in (file, changed))
    if before == after or file.detected_type is None or destination.name != file.destination:
        return
    objection = name_objection(destination, changed, file.detected_type)
    # Nobody has looked for a directory in what was not called an archive.
    is_judged = file.archive is not None or destination.archives is None
    if objection is None and not is_judged and is_archive_by_name(changed):
        objection = f"It was not judged as an archive; the name ends in .{after}."
    if objection is not None:
        raise InvalidFilename(objection)
