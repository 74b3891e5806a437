"""Ids of new rows, as the driver makes those of rows that it reads.

Its UUID is one of Python's, made and written out in a tenth of the time, and sent as it is.
"""

from datetime import datetime
from uuid import UUID

from asyncpg.pgproto import pgproto

from app.core.ids import uuid7_bytes


def row_id(now: datetime, randomness: bytes) -> UUID:
    """The UUIDv7 of that moment and 8 random bytes."""
    made: UUID = pgproto.UUID(uuid7_bytes(now, randomness))
    return made
