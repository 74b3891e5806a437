"""Upload sessions: short-lived, narrow tokens that a back end makes for a browser.

With one a browser announces, sends, confirms and sees that session's own uploads to one
destination, so many files and bytes of them and no more, until it ends.
"""

import os
from datetime import datetime, timedelta
from uuid import UUID

from app.access import makers
from app.access.api_keys import END, STALENESS, check_alive
from app.access.destinations import destination_for
from app.access.idempotency import require_first
from app.core.idempotency import RequestKey
from app.core.opaque_tokens import RANDOM_BYTES, SESSION_PREFIX, hash_token, make_token
from app.core.principal import SESSION_CREDENTIAL, Principal, Scope, SessionBounds, SessionField
from app.db import credentials as db_credentials
from app.errors import InvalidToken, UploadSessionNotFound
from app.logs.audit import audit
from app.models.credentials import UploadSession
from app.runtime.resources import Resources

_MAX_BYTES = (1 << 63) - 1


async def mint(
    res: Resources,
    caller: Principal,
    *,
    destination: str,
    owner: str,
    max_files: int,
    max_bytes: int | None,
    expires_in: int,
    attach_to: SessionField | None = None,
    unsized: bool = False,
    once: RequestKey | None = None,
) -> tuple[UploadSession, str]:
    """The new session, in the caller's tenant, and its token, which cannot be read again.

    The uploads belong to `owner`. `max_bytes`, over all files, is by default as many as so many
    files of the destination can have. `expires_in` is in seconds. Files that are confirmed go into
    `attach_to`, which has been checked (`app.records.fields.session_field`). Only with `unsized` it
    takes parts, and PUTs, of files whose size nobody announced: their length cannot be signed.
    It ends no later than the caller's credential, see `makers.end_of_child`.
    Raises UnknownDestination, DestinationForbidden and InvalidToken, and for a request that has an
    idempotency key as `require_first` does.
    """
    await require_first(res, once)
    found = destination_for(res.settings, caller, destination)
    token = make_token(SESSION_PREFIX, os.urandom(RANDOM_BYTES))
    now = res.clock()
    if max_bytes is None:
        max_bytes = min(found.max_size * max_files, _MAX_BYTES)
    expires_at = makers.end_of_child(res, caller, now + timedelta(seconds=expires_in))
    assert expires_at is not None
    session = UploadSession(
        id=res.new_id(now),
        token_hash=hash_token(token),
        owner=owner,
        tenant=caller.tenant,
        destination=found.name,
        max_files=max_files,
        max_bytes=max_bytes,
        used_files=0,
        used_bytes=0,
        created_by=caller.owner,
        made_with=caller.credential,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        attach_to=attach_to and list(attach_to),
        unsized=unsized,
        max_size=None,
        file_request_id=None,
        sender_name=None,
        sender_email=None,
    )
    await makers.store_made(res, session, once)
    audit(
        "session.minted",
        session_id=session.id,
        session_owner=owner,
        destination=found.name,
        max_files=max_files,
        max_bytes=max_bytes,
        expires_at=session.expires_at,
        unsized=unsized,
    )
    return session, token


async def get(res: Resources, caller: Principal, session_id: UUID) -> UploadSession:
    """The session, ended or not, for whoever made it. Raises UploadSessionNotFound."""
    async with res.db.connection() as db:
        return _found(await db_credentials.get_upload_session(db, session_id, caller))


async def list_sessions(
    res: Resources, caller: Principal, *, cursor: str | None, limit: int
) -> tuple[list[UploadSession], str | None]:
    """The sessions that the caller made, newest first, ended ones too; see `get`.

    And the cursor of the next page, None after the last. Raises InvalidCursor.
    """
    scope = repr(("upload sessions", *caller.identity, caller.sees_tenant))
    end = END if cursor is None else res.read_cursor(scope, cursor)
    async with res.db.connection() as db:
        found = await db_credentials.list_upload_sessions(db, caller, end, limit + 1)
    return res.cut_page(scope, found, limit)


async def revoke(res: Resources, caller: Principal, session_id: UUID) -> None:
    """End the session: it announces nothing from now on, and in this process does nothing else.

    In other processes the rest ends within STALENESS. Instructions work until they expire, but
    the session's token no longer confirms their uploads. Repeating it is no error.
    """
    async with res.db.connection() as db:
        revoked = await db_credentials.revoke_upload_session(db, session_id, caller, res.clock())
    session = _found(revoked)
    credential = _credential(session)
    res.known_tokens.forget(lambda known: known.credential == credential)
    audit("session.revoked", session_id=session.id, session_owner=session.owner)


async def principal_of(res: Resources, token_hash: bytes) -> tuple[Principal, datetime]:
    """The session's principal, and until when that need not be asked again. Raises InvalidToken."""
    now = res.clock()
    async with res.db.connection() as db:
        session = await db_credentials.upload_session_by_hash(db, token_hash)
    if session is None:
        raise InvalidToken("There is no such upload session.")
    check_alive(session, now, "upload session")
    return principal_of_session(session), min(now + STALENESS, session.expires_at)


def principal_of_session(session: UploadSession) -> Principal:
    """Who uploads with the session, whether or not it has ended."""
    return Principal(
        owner=session.owner,
        tenant=session.tenant,
        scopes=frozenset({Scope.UPLOADS_WRITE}),
        session=SessionBounds(
            session.id,
            session.destination,
            SessionField._make(session.attach_to) if session.attach_to else None,
            session.unsized,
            session.max_size,
            session.file_request_id,
        ),
        credential=_credential(session),
    )


def _found(session: UploadSession | None) -> UploadSession:
    if session is None:
        raise UploadSessionNotFound("No upload session of yours has this id.")
    return session


def _credential(session: UploadSession) -> str:
    return f"{SESSION_CREDENTIAL}:{session.id}"
