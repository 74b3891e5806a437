"""Which seals keep the bytes of confirmed files: what was proved, remembered for each bucket."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.core.destination import Destination
from app.db import seals as db_seals
from app.db.connections import Database
from app.doctor.findings import Advice
from app.errors import DatabaseUnavailable
from app.models.seals import ProvenSeal
from app.settings.model import Settings


def proven_seals(
    destinations: Sequence[Destination], advice: Mapping[str, Advice], now: datetime
) -> list[ProvenSeal]:
    """The seals that the examinations of one bucket's destinations tried: one holds if it did
    wherever it was tried.
    """
    first, found = destinations[0], dict[str, bool]()
    for destination in destinations:
        if destination.name in advice:
            for seal, holds in advice[destination.name].abilities.proofs().items():
                found[seal] = holds and found.get(seal, True)
    return [
        ProvenSeal(first.store, first.bucket, seal, holds, now) for seal, holds in found.items()
    ]


async def remember_seals(settings: Settings, found: Sequence[ProvenSeal]) -> None:
    """Keep them in the database, if it answers: the report does not depend on it."""
    if settings.database_url is None:
        return
    db = Database(settings)
    try:
        async with db.transaction() as connection:
            await db_seals.remember(connection, found)
    except DatabaseUnavailable:
        # Said by the check of the database.
        return
    finally:
        await db.close()
