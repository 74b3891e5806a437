"""The counts of owners and tenants, compared with the sums of their files."""

from app.db import usage as db_usage
from app.db.usage import Difference
from app.runtime.resources import Resources


async def compare(res: Resources, *, mend: bool) -> list[Difference]:
    """The owners and tenants (owner "") whose counts are not the sums of their files, of the levels
    that are counted; with `mend` they become so, in spite of all that is moved meanwhile.

    Raises DatabaseUnavailable.
    """
    found: list[Difference] = []
    async with res.db.connection() as db:
        for level, is_counted in (await db_usage.read_levels(db)).items():
            if is_counted:
                found += await db_usage.compare_usage(db, level, mend=mend)
    return found
