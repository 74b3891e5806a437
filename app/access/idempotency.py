"""Requests that may be repeated: what one with the same idempotency key has made before."""

from datetime import datetime
from uuid import UUID

from app.core.deadlines import KEEP_IDEMPOTENCY_KEYS
from app.core.idempotency import RequestKey
from app.db import idempotency as db_idempotency
from app.errors import AlreadyMade, IdempotencyKeyReused
from app.models.idempotency import IdempotencyKey
from app.runtime.resources import Resources


async def made_before(res: Resources, once: RequestKey) -> dict[int, UUID]:
    """The ids of all that the same request has made, by their numbers in it; none at the first.

    Raises IdempotencyKeyReused where another request had this key.
    """
    async with res.db.connection() as db:
        rows = await db_idempotency.find(
            db, once.key_hash, before=res.clock() - KEEP_IDEMPOTENCY_KEYS
        )
    if any(row.request_hash != once.request_hash for row in rows):
        raise IdempotencyKeyReused(
            "This Idempotency-Key came with another request before: use a new key for this one."
        )
    return {row.number: row.made_id for row in rows}


async def require_first(res: Resources, once: RequestKey | None) -> None:
    """Refuse a repeat of a request that made something with a secret, which is told once.

    Raises AlreadyMade and IdempotencyKeyReused. Without a key each request is the first.
    """
    if once is not None and (made := await made_before(res, once)):
        raise AlreadyMade(
            f"This request has made {made[0]} already, whose secret is shown once: if that answer "
            "is lost, revoke or delete it, and ask again with another Idempotency-Key.",
            id=str(made[0]),
        )


def kept(once: RequestKey, made_id: UUID, now: datetime, number: int = 0) -> IdempotencyKey:
    """The row to store together with what the request has made."""
    return IdempotencyKey(once.key_hash, number, once.request_hash, made_id, now)
