"""Whether the store tells of objects that arrive, and the service hears it."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from app.db import arrivals as db_arrivals
from app.db import files as db_files
from app.db.connections import Database
from app.doctor.examination import CONTENT, CONTENT_TYPE, SIGNED_FOR, Examination
from app.errors import DatabaseUnavailable
from app.models.files import File, Seal, State
from app.settings.model import Settings
from app.store.look import ID_METADATA

_CHECK: Final = "events"
# Nobody's: no key, token or session is of this tenant.
_NOBODY: Final = "claimcheck-doctor"
# How long it may take from the object to the note in the database, and how often that is read.
_WITHIN: Final = 15.0
_EVERY: Final = 0.2


def hears_events(settings: Settings) -> bool:
    """Whether the settings let a store tell anything."""
    return bool(
        settings.bucket_events_token
        or settings.bucket_events_networks
        or settings.bucket_events_queue
    )


async def check_events(examination: Examination, settings: Settings) -> None:
    """Announce an upload for nobody, write its object, and wait until the service has noted that it
    arrived. The row is deleted, and the object with those of the other checks.
    """
    db = Database(settings)
    try:
        file = _upload(examination)
        async with db.connection() as connection:
            await db_files.insert_files(connection, [file])
        try:
            await _put(examination, file)
            noted = await _is_noted(db, file)
        finally:
            async with db.connection() as connection:
                await db_arrivals.delete_probe(connection, file.id)
    except (DatabaseUnavailable, ClientError, BotoCoreError, OSError):
        # Other checks say so.
        return
    finally:
        await db.close()
    examination.findings.ok_or_warn(
        noted,
        _CHECK,
        "The store tells of objects that arrive, and the service hears it.",
        f"Nothing told the service within {_WITHIN:.0f} s of an object that arrived: uploads whose "
        "browser has gone wait for the sweep.",
        "Have the web processes (for a queue: the worker) run with these settings, run `claimcheck "
        "bucket apply`, and see that the store reaches CLAIMCHECK_BUCKET_EVENTS_URL.",
    )


def _upload(examination: Examination) -> File:
    destination, now = examination.destination, examination.clock()
    values: dict[str, Any] = (
        dict.fromkeys(File._fields)
        | File._field_defaults
        | {
            "id": examination.new_id(),
            "owner": _NOBODY,
            "tenant": _NOBODY,
            "destination": destination.name,
            "bucket": destination.bucket,
            "key": examination.new_key(),
            "url": "",
            "filename": _NOBODY,
            "content_type": CONTENT_TYPE,
            "size": len(CONTENT),
            "checksum_verified": False,
            "method": "put",
            "state": State.PENDING,
            "created_at": now,
            # If this process dies the sweep takes it away.
            "expires_at": now + timedelta(seconds=SIGNED_FOR),
            "sealed": Seal.NO,
            "attachments": 0,
            "self_confirmed": False,
        }
    )
    return File(**values)


async def _put(examination: Examination, file: File) -> None:
    client = await examination.client()
    await client.put_object(
        Bucket=file.bucket,
        Key=file.key,
        Body=CONTENT,
        ContentType=CONTENT_TYPE,
        Metadata={ID_METADATA: str(file.id)},
    )


async def _is_noted(db: Database, file: File) -> bool:
    loop = asyncio.get_running_loop()
    end = loop.time() + _WITHIN
    while loop.time() < end:
        async with db.connection() as connection:
            found = await db_files.get_again(connection, file)
        if found is None or found.look_at is not None or found.state != State.PENDING:
            return True
        await asyncio.sleep(_EVERY)
    return False
