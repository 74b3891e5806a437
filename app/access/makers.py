"""Keys, upload sessions and requests for files end with the credential that has made them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.access.idempotency import kept
from app.core.idempotency import RequestKey
from app.core.principal import KEY_CREDENTIAL, REQUEST_CREDENTIAL, SESSION_CREDENTIAL, Principal
from app.db import idempotency as db_idempotency
from app.db import makers as db_makers
from app.db.connections import Connection
from app.errors import InvalidToken
from app.logs.audit import IDS_A_LINE, audit
from app.models.credentials import ApiKey, FileRequest, UploadSession
from app.runtime.resources import Resources

# So many keys are listed of those that a credential has made.
MAX_LISTED: Final = 100


class Made(NamedTuple):
    """All that a credential had made which has ended.

    `keys` are those that still work, at most one more than MAX_LISTED; or, where they were revoked,
    all that worked until then. `sessions` have ended with it, and so have `requests` for files.
    """

    keys: Sequence[ApiKey]
    keys_revoked: bool
    sessions: Sequence[UUID]
    requests: Sequence[UUID] = ()


def end_of_child(res: Resources, caller: Principal, wanted: datetime | None) -> datetime | None:
    """When a key or session that was wanted until then (None: for ever) ends.

    No later than the credential that makes it, unless the settings say otherwise. Raises
    InvalidToken where that has ended.
    """
    end = caller.ends_at
    if end is None or res.settings.outlive_maker:
        return wanted
    if end <= res.clock():
        raise InvalidToken("The token has expired.")
    return end if wanted is None else min(wanted, end)


async def store_made(
    res: Resources, row: ApiKey | UploadSession | FileRequest, once: RequestKey | None = None
) -> None:
    """Store a new key, session or request for files, and with it the idempotency key of whoever
    wants it.

    Raises InvalidToken where its maker has been revoked, and RequestUnderWay.
    """
    if once is None:
        async with res.db.connection() as db:
            is_stored = await db_makers.insert_made(db, row)
    else:
        async with res.db.transaction() as db:
            is_stored = await db_makers.insert_made(db, row)
            if is_stored:
                await db_idempotency.keep(db, kept(once, row.id, row.created_at))
    if not is_stored:
        raise InvalidToken("The credential that asks for another one was revoked.")


async def keys_made(res: Resources, maker: str) -> Sequence[ApiKey]:
    """Keys that work and were made with the credential, or with one of those, newest first.

    At most one more than MAX_LISTED.
    """
    async with res.db.connection() as db:
        return await db_makers.keys_made(db, maker, res.clock(), MAX_LISTED + 1)


async def end_made(
    db: Connection, maker: str, now: datetime, *, revoke_keys: bool, keep_requests: bool = False
) -> Made:
    """End the sessions that a credential minted, close its requests for files unless they are kept,
    and revoke its keys or find them.

    In the transaction that ends the credential itself, after that; `forget` goes with it.
    """
    ended = [maker]
    if revoke_keys:
        keys: Sequence[ApiKey] = await db_makers.revoke_keys_made(db, maker, now)
        ended += [f"{KEY_CREDENTIAL}:{key.id}" for key in keys]
    else:
        keys = await db_makers.keys_made(db, maker, now, MAX_LISTED + 1)
    requests = [] if keep_requests else await db_makers.close_requests_made(db, ended, now)
    ended += [f"{REQUEST_CREDENTIAL}:{request_id}" for request_id in requests]
    sessions = await db_makers.end_sessions_made(db, ended, now)
    return Made(keys, revoke_keys, sessions, requests)


def forget(res: Resources, maker: str, made: Made) -> None:
    """Once that is committed: this process believes none of them any more, and the log says so."""
    revoked = made.keys if made.keys_revoked else ()
    ended = {maker, *(f"{SESSION_CREDENTIAL}:{session_id}" for session_id in made.sessions)}
    ended |= {f"{KEY_CREDENTIAL}:{key.id}" for key in revoked}
    ended |= {f"{REQUEST_CREDENTIAL}:{request_id}" for request_id in made.requests}
    res.known_tokens.forget(lambda known: known.credential in ended)
    for key in revoked:
        audit("key.revoked", key_id=key.id, name=key.name, key_owner=key.owner, made_with=maker)
    for request_id in made.requests:
        audit("request.closed", file_request_id=request_id, made_with=maker)
    for start in range(0, len(made.sessions), IDS_A_LINE):
        ids = [str(session_id) for session_id in made.sessions[start : start + IDS_A_LINE]]
        audit("session.revoked", count=len(ids), session_ids=ids, made_with=maker)
