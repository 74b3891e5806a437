"""Requests for files: links through which people without an account send files.

Whoever has the link opens an upload session with it (`app.access.upload_sessions`), one for each
browser, and uploads with that: so each sees what they have sent themselves, and nothing else. The
request pays for all of them, so its limits hold however many there are.
"""

import os
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from app.access import makers
from app.access.api_keys import END, STALENESS, check_alive
from app.access.destinations import destination_for
from app.access.idempotency import require_first
from app.core.idempotency import RequestKey
from app.core.opaque_tokens import (
    RANDOM_BYTES,
    REQUEST_PREFIX,
    SESSION_PREFIX,
    hash_token,
    make_token,
)
from app.core.principal import REQUEST_CREDENTIAL, Principal, Scope, SessionBounds, SessionField
from app.db import credentials as db_credentials
from app.db import file_requests as db_file_requests
from app.db import makers as db_makers
from app.db.file_requests import Sent
from app.errors import FileRequestNotFound, InvalidToken, ScopeNotGrantable, UploadSessionExhausted
from app.logs.audit import audit
from app.models.credentials import FileRequest, UploadSession
from app.runtime.resources import Resources

MAX_FILES = 1000
_MAX_BYTES = (1 << 63) - 1


class Sender(NamedTuple):
    """Who sends files, by what they say of themselves; nobody has verified it."""

    name: str | None = None
    email: str | None = None


class Opened(NamedTuple):
    """A request as whoever has its link sees it: what is left of it, and what they have sent."""

    request: FileRequest
    sender: Sender
    sent: list[Sent]


async def create(
    res: Resources,
    caller: Principal,
    *,
    note: str,
    destination: str,
    owner: str | None,
    max_files: int,
    max_size: int | None,
    max_bytes: int | None,
    expires_in: int,
    attach_to: SessionField | None = None,
    once: RequestKey | None = None,
) -> tuple[FileRequest, str]:
    """The new request, in the caller's tenant, and its token, which cannot be read again.

    The files belong to `owner`, by default to the caller. `max_size` (bytes of one file) is no more
    than the destination's; `max_bytes`, over all files, is by default as many as so many files can
    have. `expires_in` is in seconds. Files that are confirmed go into `attach_to`, which has been
    checked (`app.records.fields.session_field`). It ends no later than the caller's credential, see
    `makers.end_of_child`.
    Raises UnknownDestination, DestinationForbidden, InvalidToken, ScopeNotGrantable: only a caller
    who acts for the whole tenant may ask for files that will be another's; and for a request that
    has an idempotency key as `require_first` does.
    """
    await require_first(res, once)
    found = destination_for(res.settings, caller, destination)
    owner = owner or caller.owner
    if owner != caller.owner and not caller.sees_tenant:
        raise ScopeNotGrantable("A request for another owner takes a credential with files:all.")
    token = make_token(REQUEST_PREFIX, os.urandom(RANDOM_BYTES))
    now = res.clock()
    size = min(found.max_size, found.max_size if max_size is None else max_size)
    expires_at = makers.end_of_child(res, caller, now + timedelta(seconds=expires_in))
    assert expires_at is not None
    request = FileRequest(
        id=res.new_id(now),
        token_hash=hash_token(token),
        owner=owner,
        tenant=caller.tenant,
        destination=found.name,
        attach_to=attach_to and list(attach_to),
        note=note,
        max_files=max_files,
        max_size=size,
        max_bytes=min(size * max_files, _MAX_BYTES) if max_bytes is None else max_bytes,
        used_files=0,
        used_bytes=0,
        senders=0,
        created_by=caller.owner,
        made_with=caller.credential,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
    )
    await makers.store_made(res, request, once)
    audit(
        "request.made",
        file_request_id=request.id,
        request_owner=owner,
        destination=found.name,
        max_files=request.max_files,
        max_bytes=request.max_bytes,
        expires_at=request.expires_at,
    )
    return request, token


async def get(res: Resources, caller: Principal, request_id: UUID) -> FileRequest:
    """The request, ended or not, for whoever made it. Raises FileRequestNotFound."""
    async with res.db.connection() as db:
        return _found(await db_file_requests.get_made(db, request_id, caller))


async def list_requests(
    res: Resources, caller: Principal, *, cursor: str | None, limit: int
) -> tuple[list[FileRequest], str | None]:
    """The requests that the caller made, newest first, ended ones too; see `get`.

    And the cursor of the next page, None after the last. Raises InvalidCursor.
    """
    scope = repr(("file requests", *caller.identity, caller.sees_tenant))
    end = END if cursor is None else res.read_cursor(scope, cursor)
    async with res.db.connection() as db:
        found = await db_file_requests.list_made(db, caller, end, limit + 1)
    return res.cut_page(scope, found, limit)


async def list_sent(
    res: Resources, caller: Principal, request_id: UUID, *, cursor: str | None, limit: int
) -> tuple[list[Sent], str | None]:
    """Files that were sent by a request of the caller's and by whom, newest first, also those that
    are under way or were rejected.

    And the cursor of the next page, None after the last. Raises FileRequestNotFound and
    InvalidCursor.
    """
    scope = repr(("sent", str(request_id), *caller.identity))
    end = END if cursor is None else res.read_cursor(scope, cursor)
    async with res.db.connection() as db:
        request = _found(await db_file_requests.get_made(db, request_id, caller))
        found = await db_file_requests.list_sent(db, request.id, None, end, limit + 1)
    return res.cut_page(scope, found, limit)


async def close(res: Resources, caller: Principal, request_id: UUID) -> None:
    """Close the request: nothing is announced by it from now on, and in this process nothing else
    is done with the sessions that it opened.

    In other processes that ends within STALENESS. Repeating it is no error. Raises
    FileRequestNotFound.
    """
    now = res.clock()
    async with res.db.transaction() as db:
        request = _found(await db_file_requests.close(db, request_id, caller, now))
        ended = await db_makers.end_sessions_made(db, [_credential(request)], now)
    res.known_tokens.forget(
        lambda known: known.session is not None and known.session.file_request_id == request.id
    )
    audit("request.closed", file_request_id=request.id, sessions_ended=len(ended))


async def principal_of(res: Resources, token_hash: bytes) -> tuple[Principal, datetime]:
    """Whoever has the link, who may look at the request and open a session, but announces nothing
    before (`SessionBounds.is_link`); and until when that need not be asked again.

    Raises InvalidToken.
    """
    now = res.clock()
    async with res.db.connection() as db:
        request = await db_file_requests.file_request_by_hash(db, token_hash)
    if request is None:
        raise InvalidToken("There is no such request for files.")
    check_alive(request, now, "request for files")
    principal = Principal(
        owner=request.owner,
        tenant=request.tenant,
        scopes=frozenset({Scope.UPLOADS_WRITE}),
        session=SessionBounds(request.id, request.destination, file_request_id=request.id),
        credential=_credential(request),
    )
    return principal, min(now + STALENESS, request.expires_at)


async def look(res: Resources, caller: Principal) -> Opened:
    """The request that the caller, who has its link or a session of it, was sent."""
    bounds = _bounds(caller)
    async with res.db.connection() as db:
        request = await db_file_requests.get_file_request(db, _request_of(bounds))
        assert request is not None
        if bounds.is_link:
            return Opened(request, Sender(), [])
        session = await db_credentials.get_session(db, bounds.id)
        assert session is not None
        sent = await db_file_requests.list_sent(db, request.id, session.id, END, MAX_FILES)
    return Opened(request, Sender(session.sender_name, session.sender_email), sent)


async def open_session(
    res: Resources, caller: Principal, sender: Sender
) -> tuple[UploadSession, str]:
    """An upload session for whoever has the request's link, and its token.

    Raises UploadSessionExhausted, also where the request has opened as many as it may, and
    FileRequestNotFound for whoever has a session already.
    """
    bounds, now = _bounds(caller), res.clock()
    if not bounds.is_link:
        raise FileRequestNotFound("A session is opened with the token of the request's link.")
    token = make_token(SESSION_PREFIX, os.urandom(RANDOM_BYTES))
    async with res.db.transaction() as db:
        request = await db_file_requests.get_file_request(db, bounds.id)
        assert request is not None
        session = UploadSession(
            id=res.new_id(now),
            token_hash=hash_token(token),
            owner=request.owner,
            tenant=request.tenant,
            destination=request.destination,
            max_files=request.max_files,
            max_bytes=request.max_bytes,
            used_files=0,
            used_bytes=0,
            created_by=_credential(request),
            made_with=_credential(request),
            created_at=now,
            expires_at=request.expires_at,
            revoked_at=None,
            attach_to=request.attach_to,
            unsized=False,
            max_size=request.max_size,
            file_request_id=request.id,
            sender_name=sender.name,
            sender_email=sender.email,
        )
        is_open = await db_file_requests.open_session(db, session, now)
    if not is_open:
        raise UploadSessionExhausted(
            "The request opens no more sessions: it was closed, its time is over, or "
            f"{db_file_requests.MAX_SENDERS:,} browsers have opened it. Ask for a new link."
        )
    audit("request.opened", file_request_id=request.id, session_id=session.id)
    return session, token


async def name_sender(res: Resources, caller: Principal, sender: Sender) -> None:
    """Change what whoever opened a session says of themselves; for all that they send with it.

    Raises FileRequestNotFound where the caller has no session.
    """
    bounds = _bounds(caller)
    if bounds.is_link:
        raise FileRequestNotFound("Nobody has sent anything with this token: open a session first.")
    async with res.db.connection() as db:
        await db_file_requests.name_sender(db, bounds.id, *sender)


def _bounds(caller: Principal) -> SessionBounds:
    if caller.session is None or caller.session.file_request_id is None:
        raise FileRequestNotFound(
            "Your credential is of no request for files: send the token of its link, which stands "
            "behind the #, or of a session that was opened with it."
        )
    return caller.session


def _request_of(bounds: SessionBounds) -> UUID:
    assert bounds.file_request_id is not None
    return bounds.file_request_id


def _found(request: FileRequest | None) -> FileRequest:
    if request is None:
        raise FileRequestNotFound("No request for files of yours has this id.")
    return request


def _credential(request: FileRequest) -> str:
    return f"{REQUEST_CREDENTIAL}:{request.id}"
