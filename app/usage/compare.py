"""The counts of owners and tenants, compared with the sums of their files."""

from app.db import usage as db_usage
from app.db.usage import Difference
from app.runtime.resources import Resources
from app.usage.levels import fold


async def compare(res: Resources, *, mend: bool) -> list[Difference]:
    """The owners and tenants (owner "") whose counts are not the sums of their files, of the levels
    that are counted; with `mend` they become so, in spite of all that is moved meanwhile.

    Raises DatabaseUnavailable.
    """
    found: list[Difference] = []
    async with res.db.connection() as db:
        levels = await db_usage.read_levels(db)
    for level in [level for level, is_counted in levels.items() if is_counted]:
        # A connection each: behind a pooler it is a transaction, however long the next one takes.
        async with res.db.connection() as db:
            of_level = await db_usage.compare_usage(db, level, mend=mend)
        if mend:
            # At once, for announcements look at what is folded in alone.
            await fold(res, [(each.tenant, each.owner) for each in of_level])
        found += of_level
    return found
