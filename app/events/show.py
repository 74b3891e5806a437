"""Events as JSON, for the feed and whoever else shows them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, get_args, get_type_hints
from uuid import UUID

from pydantic_core import from_json

from app.core.metadata import read_metadata
from app.files.seals import seals_of
from app.models.events import Event, EventType
from app.models.files import File
from app.models.records import Record
from app.records.fields import etag_of
from app.runtime.resources import Resources
from app.turns import Turn

_Row = TypeVar("_Row", File, Record)
# Of the columns that JSON has as text.
_READERS: Final[dict[Any, Callable[[Any], Any]]] = {
    UUID: UUID,
    datetime: lambda text: datetime.fromisoformat(text).astimezone(UTC),
}
_OF_FILES: Final = ("file.", "upload.")
_FILE_SHOWN: Final = ("url", "filename", "content_type", "size")


async def events_json(res: Resources, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The JSON of each event (`app.routers.events.EventBody`), in order."""
    files: dict[int, File] = {}
    turn = Turn()
    for n, event in enumerate(events):
        if event.type.startswith(_OF_FILES):
            files[n] = _row(File, event.data)
            await turn.over()
    seals = dict(zip(files, await seals_of(res, list(files.values())), strict=True))
    shown = []
    for n, event in enumerate(events):
        data = event.data
        if n in files:
            data = _file_json(files[n], seals[n])
        elif event.type == EventType.RECORD_CHANGED:
            data = _record_json(res, data)
        shown.append(
            {
                "id": event.event_id,
                "type": event.type,
                "created_at": event.created_at,
                "tenant": event.tenant,
                "data": data,
            }
        )
        await turn.over()
    return shown


def _row(made: type[_Row], row: Mapping[str, Any]) -> _Row:
    """The row that an event has kept. A column that it does not have was NULL, or is newer."""
    values = [row.get(name) and read(row[name]) for name, read in _COLUMNS[made]]
    return made._make(values)


def _columns(made: type[tuple[Any, ...]]) -> list[tuple[str, Callable[[Any], Any]]]:
    found = []
    for name, hint in get_type_hints(made).items():
        kinds = {hint, *get_args(hint)} & _READERS.keys()
        found.append((name, _READERS[kinds.pop()] if kinds else lambda value: value))
    return found


_COLUMNS: Final = {made: _columns(made) for made in (File, Record)}


def _file_json(file: File, seal: str) -> dict[str, Any]:
    return {
        "id": file.id,
        "state": file.state,
        "reason": file.reason,
        "owner": file.owner,
        "destination": file.destination,
        "key": file.key,
        "url": file.url,
        "filename": file.filename,
        "path": file.path,
        "metadata": read_metadata(file.metadata),
        "file_request_id": file.file_request_id,
        "content_type": file.content_type,
        "announced_type": file.announced_type or file.content_type,
        "detected_type": file.detected_type,
        "image": file.image and from_json(file.image),
        "archive": file.archive and from_json(file.archive),
        "size": file.size,
        "checksum_sha256": file.checksum_sha256,
        "checksum_verified": file.checksum_verified,
        "parts_verified": bool(file.parts_verified),
        "etag": file.etag,
        "version_id": file.version_id,
        "sealed": seal,
        "scan": file.scan,
        "scan_reason": file.scan_reason,
        "scanned_at": file.scanned_at,
        "links_end_at": file.links_end_at,
        "created_at": file.created_at,
        "confirmed_at": file.confirmed_at,
    }


def _record_json(res: Resources, row: Mapping[str, Any]) -> dict[str, Any]:
    record, held = _row(Record, row), row["fields"]
    fields = {}
    # As they are declared now, or not at all any more: then the record is shown without fields.
    for name, field in res.settings.records.get(record.type, {}).items():
        shown = [
            {"file_id": file["id"], **{key: file[key] for key in _FILE_SHOWN}}
            for file in held.get(name, ())
        ]
        fields[name] = shown if field.many else shown[0] if shown else None
    return {
        "type": record.type,
        "id": record.id,
        "owner": record.owner,
        "etag": etag_of(record),
        "fields": fields,
    }
