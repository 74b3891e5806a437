"""Steps of tests of webhooks: files that are confirmed, and deliveries of them."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from app.core.principal import DEV
from app.db import moves
from app.events import webhooks
from app.events.deliver import delivering
from app.models.files import File, State
from app.models.webhooks import Webhook
from app.runtime.resources import Resources
from tests.support.receiver import Receiver
from tests.support.rows import insert, new_file
from tests.support.service import as_set


async def hook(res: Resources, ear: Receiver, **values: Any) -> Webhook:
    """A webhook that leads there; the receiver verifies with its secret from now on."""
    webhook, ear.secret = await webhooks.create(res, DEV, url=ear.url, **values)
    return webhook


async def confirm(res: Resources, count: int = 1, **values: Any) -> list[File]:
    """So many confirmed files, with the events of their confirmation."""
    files = [new_file(State.PENDING, **values) for _ in range(count)]
    found = []
    async with res.db.connection() as db:
        await insert(db, *files)
        for file in files:
            row = await moves.mark_confirmed(db, file._replace(confirmed_at=res.clock()))
            assert row is not None
            found.append(row)
    return found


async def release(res: Resources, *files: File) -> None:
    async with res.db.connection() as db:
        for file in files:
            assert await moves.mark_released(db, file, res.clock())


async def deliver(res: Resources) -> Counter[str]:
    """One round: what is due now."""
    async with delivering(res) as deliverer:
        return await deliverer.run_once(asyncio.Event())


async def states(db: asyncpg.Connection, webhook: Webhook) -> Counter[str]:
    rows = await db.fetch("SELECT state FROM deliveries WHERE webhook_id = $1", webhook.id)
    return Counter(row["state"] for row in rows)


def heard(ear: Receiver) -> list[tuple[str, str]]:
    """Type and file of each payload that was taken, in order."""
    return [(each["type"], each["data"]["id"]) for each in ear.taken]


async def ended(db: asyncpg.Connection, webhook_id: UUID) -> str | None:
    found: str | None = await db.fetchval("SELECT ended FROM webhooks WHERE id = $1", webhook_id)
    return found


@asynccontextmanager
async def worker(environ: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`claimcheck worker` as a process of its own, killed at the end of the block."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "worker"),
            env=as_set(environ),
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


DAY = timedelta(days=1)
