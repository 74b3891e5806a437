"""Waits for locks, as the database sees them."""

import asyncio

import asyncpg


async def waiting(db: asyncpg.Connection, count: int) -> None:
    """Until so many connections wait for a lock; not in a transaction, which sees no change."""
    blocked = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    for _ in range(6000):
        if await db.fetchval(blocked) >= count:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError
