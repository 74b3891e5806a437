"""The table of idempotency keys: what requests that had one have made."""

from datetime import datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.tables import KEY, table


class IdempotencyKey(NamedTuple):
    """A row of `idempotency_keys`: one upload, API key or other thing that a request has made.

    `number` is its place in a batch. Of the key and the request there are hashes
    (`app.core.idempotency.RequestKey`), and of what was made the id alone.
    """

    key_hash: Annotated[bytes, KEY]
    number: Annotated[int, KEY]
    request_hash: bytes
    made_id: UUID
    created_at: datetime


idempotency_keys: Final = table(
    "idempotency_keys",
    IdempotencyKey,
    sa.Index("ix_idempotency_keys_created_at", "created_at"),
)
