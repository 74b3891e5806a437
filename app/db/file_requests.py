"""The SQL of requests for files and of what was sent by them, as functions of a connection.

They are stored in `app.db.makers`, and pay for files in `app.db.credentials`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa

from app.core.principal import Principal
from app.db.files import in_state
from app.db.statements import arguments, or_any, visible_to, write
from app.models.credentials import FileRequest, UploadSession, file_requests, upload_sessions
from app.models.files import File, State, files
from app.models.tables import MOMENT

# Upload sessions that a request opens. Each is somebody's browser.
MAX_SENDERS: Final = 1000

_r, _s, _c = file_requests.c, upload_sessions.c, files.c
_id = sa.bindparam("request_id", type_=sa.Uuid())
_now = sa.bindparam("now", type_=MOMENT)

_BY_HASH = write(
    sa.select(file_requests).where(_r.token_hash == sa.bindparam("token_hash")), FileRequest._make
)
_BY_ID = write(sa.select(file_requests).where(_r.id == _id), FileRequest._make)


async def file_request_by_hash(db: asyncpg.Connection, token_hash: bytes) -> FileRequest | None:
    """The request of that hash, in whatever state it is."""
    return await _BY_HASH.row(db, token_hash=token_hash)


async def get_file_request(db: asyncpg.Connection, request_id: UUID) -> FileRequest | None:
    """The request of that id, in whatever state it is, whoever made it."""
    return await _BY_ID.row(db, request_id=request_id)


_MADE = sa.and_(_r.id == _id, _r.tenant == sa.bindparam("tenant"), or_any(_r.created_by, "owner"))
_GET_MADE = write(sa.select(file_requests).where(_MADE), FileRequest._make)
_LIST = {
    whose: write(
        sa.select(file_requests)
        .where(_r.tenant == sa.bindparam("tenant"), _r.id < sa.bindparam("end", type_=sa.Uuid()))
        .where(*((_r.created_by == sa.bindparam("owner"),) if whose == "own" else ()))
        .order_by(_r.id.desc())
        .limit(sa.bindparam("limit", type_=sa.Integer())),
        FileRequest._make,
    )
    for whose in ("own", "all")
}
_CLOSE = write(
    sa.update(file_requests)
    .where(_MADE)
    .values(revoked_at=sa.func.coalesce(_r.revoked_at, _now))
    .returning(file_requests),
    FileRequest._make,
)


async def get_made(
    db: asyncpg.Connection, request_id: UUID, caller: Principal
) -> FileRequest | None:
    """The request, if the caller made it, or acts for its whole tenant."""
    return await _GET_MADE.row(db, request_id=request_id, **visible_to(caller))


async def list_made(
    db: asyncpg.Connection, caller: Principal, end: UUID, limit: int
) -> list[FileRequest]:
    """Those that the caller made, or, if they act for it, all of the tenant's: newest first, `end`
    excluded.
    """
    statement = _LIST["own" if caller.seen_owner is not None else "all"]
    return await statement.rows(db, end=end, limit=limit, **visible_to(caller))


async def close(
    db: asyncpg.Connection, request_id: UUID, caller: Principal, now: datetime
) -> FileRequest | None:
    """The request, closed now or before; None if it is not the caller's to close."""
    return await _CLOSE.row(db, request_id=request_id, now=now, **visible_to(caller))


_opened = (
    sa.update(file_requests)
    .where(
        _r.id == _id,
        _r.revoked_at.is_(None),
        _r.expires_at > _now,
        _r.senders < sa.bindparam("most", type_=sa.Integer()),
    )
    .values(senders=_r.senders + sa.literal_column("1", sa.Integer()))
    .returning(_r.id)
    .cte("opened")
)
_OPEN = write(
    sa.insert(upload_sessions)
    .from_select(
        UploadSession._fields,
        sa.select(*arguments(upload_sessions, UploadSession._fields).values()).where(
            sa.exists(sa.select(_opened.c.id))
        ),
    )
    .returning(_s.id)
)


async def open_session(db: asyncpg.Connection, session: UploadSession, now: datetime) -> bool:
    """Store an upload session that the request named in it opens; False where that has ended, or
    has opened as many as it may.
    """
    request_id = session.file_request_id
    opened = await _OPEN.value(
        db, **session._asdict(), request_id=request_id, now=now, most=MAX_SENDERS
    )
    return opened is not None


_NAME_SENDER = write(
    sa.update(upload_sessions)
    .where(_s.id == sa.bindparam("session_id"))
    .values(sender_name=sa.bindparam("name"), sender_email=sa.bindparam("email"))
)


async def name_sender(
    db: asyncpg.Connection, session_id: UUID, name: str | None, email: str | None
) -> None:
    """Store what whoever opened the session says of themselves."""
    await _NAME_SENDER.run(db, session_id=session_id, name=name, email=email)


class Sent(NamedTuple):
    """A file that was sent by a request, and who sent it: their session, and what they said."""

    file: File
    sender_name: str | None
    sender_email: str | None

    @property
    def id(self) -> UUID:
        return self.file.id


def _sent(row: Sequence[object]) -> Sent:
    return Sent(File._make(row[:-2]), *row[-2:])  # type: ignore[arg-type]


_SENT = write(
    sa.select(files, _s.sender_name, _s.sender_email)
    .join(upload_sessions, _c.session_id == _s.id)
    .where(
        _c.file_request_id == _id,
        or_any(_c.session_id),
        _c.id < sa.bindparam("end", type_=sa.Uuid()),
        in_state(State.PENDING, State.COMPLETING, State.CONFIRMED, State.REJECTED),
    )
    .order_by(_c.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    _sent,
)


async def list_sent(
    db: asyncpg.Connection, request_id: UUID, session_id: UUID | None, end: UUID, limit: int
) -> list[Sent]:
    """Files that were sent by the request, or with one of its sessions alone, that are neither
    cancelled nor removed: newest first, `end` excluded.
    """
    return await _SENT.rows(db, request_id=request_id, session_id=session_id, end=end, limit=limit)
