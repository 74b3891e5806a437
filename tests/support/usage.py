"""The rows of `usage`, against the files themselves."""

import asyncpg

from app.db import usage as db_usage
from app.models.usage import Level


async def switch_on(db: asyncpg.Connection, *levels: Level) -> None:
    """Have the levels kept and counted, as the start of a process does."""
    for level in levels:
        for step in (db_usage.keep_level, db_usage.count_level, db_usage.finish_level):
            async with db.transaction():
                await step(db, level)


async def pending(database_url: str) -> dict[str, int]:
    """Pending uploads by owner; all that is noted, of them and of files, is what there is."""
    connection = await asyncpg.connect(database_url)
    try:
        for level, counted in (await db_usage.read_levels(connection)).items():
            if counted:
                assert await db_usage.compare_usage(connection, level) == []
        rows = await connection.fetch(
            "SELECT owner, sum(pending)::int AS pending FROM ("
            "SELECT owner, pending FROM usage UNION ALL SELECT owner, pending FROM usage_changes"
            ") AS both_tables GROUP BY owner"
        )
        return {row["owner"]: row["pending"] for row in rows}
    finally:
        await connection.close()
