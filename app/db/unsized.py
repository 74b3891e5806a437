"""The SQL of what upload sessions will pay for: their uploads in parts of unknown size."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.db.files import in_state
from app.db.statements import arguments, array, write
from app.models.credentials import UnsizedUpload, UploadSession, unsized_uploads, upload_sessions
from app.models.files import File, State, files

_u = unsized_uploads.c
_s = upload_sessions.c
_of_session = _u.session_id == sa.bindparam("session_id")
_with_files = sa.join(unsized_uploads, files, _u.file_id == files.c.id)


class Totals(NamedTuple):
    """Over a session's open uploads: bytes that have arrived, and parts that may be under way."""

    arrived_bytes: int
    in_flight: int


_NOTE = write(
    insert(unsized_uploads)
    .values(arguments(unsized_uploads, ["file_id", "session_id"]))
    .on_conflict_do_nothing()
)


async def note_unsized(db: asyncpg.Connection, file: File) -> None:
    """Note that a session will pay for the upload."""
    await _NOTE.run(db, file_id=file.id, session_id=file.session_id)


_IN_FLIGHT = write(
    sa.select(files)
    .select_from(_with_files)
    .where(_of_session, in_state(State.PENDING), _u.signed > _u.arrived)
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    File._make,
)


async def uploads_in_flight(db: asyncpg.Connection, session_id: UUID, limit: int) -> list[File]:
    """The session's pending uploads that have signed parts which nobody has seen arrive."""
    return await _IN_FLIGHT.rows(db, session_id=session_id, limit=limit)


_LOCK = write(
    sa.select(upload_sessions).where(_s.id == sa.bindparam("session_id")).with_for_update(),
    UploadSession._make,
)


async def lock_session(db: asyncpg.Connection, session_id: UUID) -> UploadSession | None:
    """The session; until the transaction ends nobody else signs at its expense, or pays."""
    return await _LOCK.row(db, session_id=session_id)


_counted = sa.select(
    array("ids", sa.Uuid()).label("id"),
    array("arrived", sa.Integer()).label("arrived"),
    array("arrived_bytes", sa.BigInteger()).label("bytes"),
).subquery("counted")
_COUNT = write(
    sa.update(unsized_uploads)
    .where(_u.file_id == _counted.c.id)
    .values(
        # Of two who count at once the later count holds, whoever is the first to write.
        arrived=sa.func.greatest(_u.arrived, _counted.c.arrived),
        arrived_bytes=sa.func.greatest(_u.arrived_bytes, _counted.c.bytes),
    )
)


async def note_arrived(db: asyncpg.Connection, counted: Mapping[UUID, tuple[int, int]]) -> None:
    """Note parts and bytes that the bucket has, by the upload's id."""
    await _COUNT.run(
        db,
        ids=list(counted),
        arrived=[parts for parts, _ in counted.values()],
        arrived_bytes=[size for _, size in counted.values()],
    )


_OWN = write(
    sa.select(unsized_uploads).where(_u.file_id == sa.bindparam("file_id")), UnsizedUpload._make
)
_TOTALS = write(
    sa.select(
        sa.cast(sa.func.sum(_u.arrived_bytes), sa.BigInteger()),
        sa.func.sum(sa.func.greatest(_u.signed - _u.arrived, sa.literal_column("0"))),
    )
    .select_from(_with_files)
    .where(_of_session, in_state(State.PENDING, State.COMPLETING)),
    Totals._make,
)


async def get_unsized(db: asyncpg.Connection, file: File) -> UnsizedUpload:
    """The upload's row, which `note_unsized` has made."""
    found = await _OWN.row(db, file_id=file.id)
    assert found is not None
    return found


async def get_totals(db: asyncpg.Connection, session_id: UUID) -> Totals:
    """Over the open uploads of the session, of which there is one at least."""
    found = await _TOTALS.row(db, session_id=session_id)
    assert found is not None
    return found


_SIGNED = write(
    sa.update(unsized_uploads)
    .where(_u.file_id == sa.bindparam("file_id"))
    .values(signed=sa.func.greatest(_u.signed, sa.bindparam("number", type_=sa.Integer())))
)


async def note_signed(db: asyncpg.Connection, file: File, number: int) -> None:
    """Note that URLs up to this part are given out."""
    await _SIGNED.run(db, file_id=file.id, number=number)
