"""What the doctor has proved of each bucket: which seals keep the bytes of confirmed files."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.models.seals import ProvenSeal, proven_seals


async def remember(db: AsyncConnection, found: Iterable[ProvenSeal]) -> None:
    """Keep what was found, in place of what was found before."""
    for each in found:
        statement = insert(proven_seals).values(each._asdict())
        await db.execute(
            statement.on_conflict_do_update(
                index_elements=["store", "bucket", "seal"],
                set_={name: statement.excluded[name] for name in ("holds", "tried_at")},
            )
        )


async def holding(db: AsyncConnection) -> frozenset[tuple[str, str, str]]:
    """Store, bucket and seal of every seal that holds."""
    place = (proven_seals.c.store, proven_seals.c.bucket, proven_seals.c.seal)
    rows = await db.execute(sa.select(*place).where(proven_seals.c.holds))
    return frozenset((row.store, row.bucket, row.seal) for row in rows)
