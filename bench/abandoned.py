"""Abandoned uploads of a build, swept by two of its sweepers at once: `--against`."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

import asyncpg

from bench.builds import Build
from bench.commands import run_command
from bench.outside import Site
from bench.servers import BenchError, tree_cpu_seconds

# One in so many had arrived whole: its browser was closed before the confirm.
WHOLE: Final = 10
# Columns that every build has had.
_ABANDON: Final = """
UPDATE files SET created_at = created_at - interval '5 hours',
  expires_at = expires_at - interval '5 hours' WHERE id = ANY($1)
"""

T = TypeVar("T")


def abandon(site: Site, build: Build, count: int) -> list[UUID]:
    """Ids of so many uploads, which their rows say were announced some hours ago.

    Nothing else is left in the database that a sweeper would look at.
    """

    async def empty(db: asyncpg.Connection) -> None:
        await db.execute("TRUNCATE files CASCADE")

    async def age(db: asyncpg.Connection) -> None:
        await db.execute(_ABANDON, ids)
        await db.execute("VACUUM ANALYZE files")

    _query(build, empty)
    ids = [UUID(one) for one in site.arrive(count, one_in=WHOLE)]
    _query(build, age)
    return ids


def sweep(build: Build, ids: list[UUID], scratch: Path, database_pid: int) -> tuple[float, float]:
    """Seconds until both sweepers have ended, and processor seconds that they and PostgreSQL spent.

    Raises BenchError unless each upload has come to its end: a file, if it had arrived.
    """
    spent = _children_seconds() + tree_cpu_seconds(database_pid)
    runs = run_command(scratch, ["sweep"], build.environ, processes=2, directory=build.tree)
    spent = _children_seconds() + tree_cpu_seconds(database_pid) - spent

    async def states(db: asyncpg.Connection) -> dict[str, int]:
        found = await db.fetch(
            "SELECT state, count(*) FROM files WHERE id = ANY($1) GROUP BY 1", ids
        )
        return {row[0]: row[1] for row in found}

    arrived = len(ids[::WHOLE])
    found = _query(build, states)
    if found != {"confirmed": arrived, "removed": len(ids) - arrived}:
        raise BenchError(f"{len(ids)} uploads, {arrived} of them whole, were swept to {found}.")
    return max(run.seconds for run in runs), spent


def _children_seconds() -> float:
    """Processor time of the processes that this one has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _query(build: Build, function: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await asyncpg.connect(build.environ["DATABASE_URL"])
        try:
            return await function(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
