"""API keys, for back ends: make, list, revoke, and find a token's principal."""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.access import makers
from app.access.idempotency import require_first
from app.access.makers import Made
from app.core.idempotency import RequestKey
from app.core.opaque_tokens import KEY_PREFIX, RANDOM_BYTES, hash_token, make_token
from app.core.principal import KEY_CREDENTIAL, Principal, missing_scopes
from app.db import credentials as db_credentials
from app.errors import ApiKeyNotFound, InvalidToken, ScopeNotGrantable
from app.logs.audit import audit
from app.models.credentials import ApiKey, FileRequest, UploadSession
from app.runtime.resources import Resources

# How long a process takes a key or an upload session to be good without asking the database again.
# One that another process revoked may go on working as long.
STALENESS: Final = timedelta(seconds=5)
MAX_DAYS: Final = 3650
# Behind every id: where a list of the newest begins.
END: Final = UUID(int=(1 << 128) - 1)


async def create(
    res: Resources,
    caller: Principal,
    *,
    name: str,
    owner: str,
    scopes: Iterable[str],
    lifetime: timedelta | None,
    once: RequestKey | None = None,
) -> tuple[ApiKey, str]:
    """The new key, in the caller's tenant, and its token, which cannot be read again.

    With no `lifetime` it works until it is revoked; but never longer than the caller's credential,
    see `makers.end_of_child`.
    Raises ScopeNotGrantable: scopes are never more than the caller's, and only a caller who acts
    for the whole tenant may make a key for another owner. Raises InvalidToken, see `makers`, and
    for a request that has an idempotency key as `require_first` does.
    """
    await require_first(res, once)
    lacking = missing_scopes(scopes, caller.grantable)
    if lacking:
        raise ScopeNotGrantable(
            f"Your credential does not hold {', '.join(lacking)} itself.", scopes=lacking
        )
    if owner != caller.owner and not caller.sees_tenant:
        raise ScopeNotGrantable("A key for another owner takes a credential with files:all.")
    token = make_token(KEY_PREFIX, os.urandom(RANDOM_BYTES))
    now = res.clock()
    key = ApiKey(
        id=res.new_id(now),
        token_hash=hash_token(token),
        name=name,
        owner=owner,
        tenant=caller.tenant,
        scopes=sorted(set(scopes)),
        created_by=caller.owner,
        made_with=caller.credential,
        created_at=now,
        expires_at=makers.end_of_child(res, caller, None if lifetime is None else now + lifetime),
        last_used_at=None,
        revoked_at=None,
    )
    await makers.store_made(res, key, once)
    audit("key.created", key_id=key.id, name=name, key_owner=owner, key_scopes=key.scopes)
    return key, token


async def list_keys(
    res: Resources, caller: Principal, *, cursor: str | None, limit: int
) -> tuple[list[ApiKey], str | None]:
    """The keys of the caller's tenant, newest first, expired and revoked ones too.

    And the cursor of the next page, None after the last. Raises InvalidCursor.
    """
    scope = repr(("api keys", *caller.identity))
    end = END if cursor is None else res.read_cursor(scope, cursor)
    async with res.db.connection() as db:
        keys = await db_credentials.list_api_keys(db, caller.tenant, end, limit + 1)
    return res.cut_page(scope, keys, limit)


async def get_key(res: Resources, caller: Principal, key_id: UUID) -> ApiKey:
    """One key of the caller's tenant. Raises ApiKeyNotFound."""
    async with res.db.connection() as db:
        return _found(await db_credentials.get_api_key(db, key_id, caller.tenant))


async def revoke(
    res: Resources, caller: Principal, key_id: UUID, *, revoke_made: bool = False
) -> Made:
    """End the key: here at once, in other processes within STALENESS. Repeating it is no error.

    The upload sessions that it minted end with it; with `revoke_made` so do the keys that were made
    with it, and with them. Returns what it had made. Raises ApiKeyNotFound.
    """
    now = res.clock()
    async with res.db.transaction() as db:
        key = _found(await db_credentials.revoke_api_key(db, key_id, caller.tenant, now))
        made = await makers.end_made(db, _credential(key), now, revoke_keys=revoke_made)
    audit("key.revoked", key_id=key.id, name=key.name, key_owner=key.owner)
    makers.forget(res, _credential(key), made)
    return made


async def keys_made(res: Resources, key: ApiKey) -> Sequence[ApiKey]:
    """Keys that work and were made with this one, see `makers.keys_made`."""
    return await makers.keys_made(res, _credential(key))


async def principal_of(res: Resources, token_hash: bytes) -> tuple[Principal, datetime]:
    """The key's principal, and until when that need not be asked again. Raises InvalidToken."""
    now = res.clock()
    async with res.db.connection() as db:
        key = await db_credentials.use_api_key(db, token_hash, now)
    if key is None:
        raise InvalidToken("There is no such API key.")
    check_alive(key, now, "API key")
    principal = Principal(
        owner=key.owner,
        tenant=key.tenant,
        scopes=frozenset(key.scopes),
        credential=_credential(key),
        ends_at=key.expires_at,
    )
    return principal, min(now + STALENESS, key.expires_at or now + STALENESS)


def check_alive(credential: ApiKey | UploadSession | FileRequest, now: datetime, noun: str) -> None:
    """Raise InvalidToken if the credential was revoked or has expired."""
    if credential.revoked_at is not None:
        raise InvalidToken(f"The {noun} was revoked.")
    if credential.expires_at is not None and credential.expires_at <= now:
        raise InvalidToken(f"The {noun} has expired.")


def _found(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise ApiKeyNotFound("Your tenant has no API key with this id.")
    return key


def _credential(key: ApiKey) -> str:
    return f"{KEY_CREDENTIAL}:{key.id}"
