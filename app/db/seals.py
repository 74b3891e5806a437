"""The SQL of what the doctor has proved of each bucket: which seals hold there."""

from collections.abc import Iterable

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from app.db.statements import arguments, write
from app.models.seals import ProvenSeal, proven_seals

_c = proven_seals.c
_INSERT = insert(proven_seals).values(arguments(proven_seals, ProvenSeal._fields))
_REMEMBER = write(
    _INSERT.on_conflict_do_update(
        index_elements=["store", "bucket", "seal"],
        set_={name: _INSERT.excluded[name] for name in ("holds", "tried_at")},
    )
)
_HOLDING = write(sa.select(_c.store, _c.bucket, _c.seal).where(_c.holds))


async def remember(db: asyncpg.Connection, found: Iterable[ProvenSeal]) -> None:
    """Keep what was found, in place of what was found before."""
    # In one order, so that two who write at once do not wait for each other in a circle.
    for each in sorted(found):
        await _REMEMBER.run(db, **each._asdict())


async def holding(db: asyncpg.Connection) -> frozenset[tuple[str, str, str]]:
    """Store, bucket and seal of every seal that holds."""
    return frozenset((row[0], row[1], row[2]) for row in await _HOLDING.rows(db))
