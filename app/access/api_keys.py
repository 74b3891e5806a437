"""API keys, for back ends: make, list, revoke, and find out whose a token is."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.core.opaque_tokens import KEY_PREFIX, RANDOM_BYTES, hash_token, make_token
from app.core.principal import Principal, missing_scopes
from app.db import credentials as db_credentials
from app.errors import ApiKeyNotFound, InvalidToken, ScopeNotGrantable
from app.logs.audit import audit
from app.models.credentials import ApiKey
from app.runtime.resources import Resources

# For how long a process takes a key or an upload session that it has asked about to be good
# still. So long may one that another process revoked go on working.
STALENESS: Final = timedelta(seconds=5)
MAX_DAYS: Final = 3650
_END: Final = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Keys, newest first, and the cursor of the next page, None after the last."""

    keys: list[ApiKey]
    next_cursor: str | None


async def create(
    res: Resources,
    caller: Principal,
    *,
    name: str,
    owner: str,
    scopes: Iterable[str],
    lifetime: timedelta | None,
) -> tuple[ApiKey, str]:
    """The new key, in the caller's tenant, and its token, which nobody can have again.

    With no `lifetime` it works until it is revoked.
    Raises ScopeNotGrantable: scopes are never more than the caller's, and only who acts for the
    whole tenant may make a key for another owner.
    """
    lacking = missing_scopes(scopes, caller.scopes)
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
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        last_used_at=None,
        revoked_at=None,
    )
    async with res.db.connection() as db:
        await db_credentials.insert_api_key(db, key)
    audit("key.created", key_id=key.id, name=name, key_owner=owner, key_scopes=key.scopes)
    return key, token


async def list_keys(
    res: Resources, caller: Principal, *, cursor: str | None, limit: int
) -> KeyPage:
    """The keys of the caller's tenant, newest first, expired and revoked ones too."""
    scope = f"api keys of {caller.tenant}"
    end = _END
    if cursor is not None:
        end = res.read_cursor(scope, cursor)
    async with res.db.connection() as db:
        keys = await db_credentials.list_api_keys(db, caller.tenant, end, limit + 1)
    if len(keys) <= limit:
        return KeyPage(keys, None)
    keys = keys[:limit]
    return KeyPage(keys, res.make_cursor(scope, keys[-1].id))


async def get_key(res: Resources, caller: Principal, key_id: UUID) -> ApiKey:
    """One key of the caller's tenant; ApiKeyNotFound."""
    async with res.db.connection() as db:
        key = await db_credentials.get_api_key(db, key_id, caller.tenant)
    if key is None:
        raise _not_found()
    return key


async def revoke(res: Resources, caller: Principal, key_id: UUID) -> None:
    """End the key: here at once, in other processes within STALENESS. Repeating it is no error."""
    async with res.db.connection() as db:
        key = await db_credentials.revoke_api_key(db, key_id, caller.tenant, res.clock())
    if key is None:
        raise _not_found()
    credential = _credential(key)
    res.known_tokens.forget(lambda known: known.credential == credential)
    audit("key.revoked", key_id=key.id, name=key.name, key_owner=key.owner)


async def principal_of(res: Resources, token_hash: bytes) -> tuple[Principal, datetime]:
    """Who holds the key, and until when that need not be asked again. Raises InvalidToken."""
    now = res.clock()
    async with res.db.connection() as db:
        key = await db_credentials.use_api_key(db, token_hash, now)
    if key is None:
        raise InvalidToken("There is no such API key.")
    if key.revoked_at is not None:
        raise InvalidToken("The API key was revoked.")
    if key.expires_at is not None and key.expires_at <= now:
        raise InvalidToken("The API key has expired.")
    principal = Principal(
        owner=key.owner,
        tenant=key.tenant,
        scopes=frozenset(key.scopes),
        credential=_credential(key),
    )
    return principal, min(now + STALENESS, key.expires_at or now + STALENESS)


def _not_found() -> ApiKeyNotFound:
    return ApiKeyNotFound("Your tenant has no API key with this id.")


def _credential(key: ApiKey) -> str:
    return f"key:{key.id}"
