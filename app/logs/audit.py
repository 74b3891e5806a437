"""The audit trail: who did what to which file, record, key or session, and when.

Lines of the logger `claimcheck.audit`, each written once what it says has been committed; the
events are in docs/logging.md. Who it was is known from `app.logs.log.current_actor`, so that what
goes on after a request, or in the sweep, says so too.
"""

from collections.abc import Sequence
from typing import Any, Final

from app.logs.log import current_actor, get_logger
from app.models.files import File, Readable

_log: Final = get_logger("audit")
# A line stays below the 10,000 bytes at which Heroku's log router cuts it.
IDS_A_LINE: Final = 200


def audit(event: str, **fields: Any) -> None:
    """Write that the actor has done this. A field is never a secret, nor anything signed."""
    actor = current_actor.get()
    if actor is None:
        _log.info(event, **fields)
    else:
        _log.info(event, client=actor.client, **actor.fields(), **fields)


def audit_file(event: str, file: File, **fields: Any) -> None:
    """Write that the actor has done this to one file, which need not be their own."""
    audit(
        event,
        # As text: a UUID costs the JSON writer fifty times as much.
        file_id=str(file.id),
        file_owner=file.owner,
        destination=file.destination,
        bucket=file.bucket,
        key=file.key,
        **fields,
    )


def audit_files(event: str, files: Sequence[File | Readable], **fields: Any) -> None:
    """Write that the actor has done this to the files: a line for each 200 ids, none for none."""
    for start in range(0, len(files), IDS_A_LINE):
        ids = [str(file.id) for file in files[start : start + IDS_A_LINE]]
        audit(event, count=len(ids), file_ids=ids, **fields)
