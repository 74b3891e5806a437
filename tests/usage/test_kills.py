"""However processes end, what is counted is the sum of the files."""

import asyncio
import os
import random
import signal
import sys

import asyncpg
import pytest

from app.runtime.resources import open_resources
from app.settings.model import load_settings
from app.usage.compare import compare
from app.usage.levels import look_after_usage

# How many announcements and moves, by all; 100,000 to be thorough.
STEPS = int(os.environ.get("TEST_USAGE_STEPS", "2000"))
_AT_ONCE = 4
_STEPS_EACH = 400


@pytest.mark.slow
async def test_processes_are_killed_and_the_sums_hold(
    db: asyncpg.Connection, database_url: str
) -> None:
    """Four processes at a time; every second one is killed halfway, or loses its connection, while
    changes are folded in and sums compared.
    """
    chance = random.Random(1)
    stopping = asyncio.Event()
    limits = {f"CLAIMCHECK_QUOTA__{each}__FILES": "9" for each in ("OWNER", "TENANT")}
    begun = 0

    async def one_after_another() -> None:
        nonlocal begun
        while begun < STEPS // _STEPS_EACH:
            begun += 1
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.usage.steps"),
                *(database_url, str(begun), str(_STEPS_EACH)),
                stderr=asyncio.subprocess.DEVNULL,
            )
            if begun % 2:
                await asyncio.sleep(chance.uniform(1, 4))
                if chance.random() < 0.5 and process.returncode is None:
                    process.send_signal(signal.SIGKILL)
                else:
                    await db.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE pid != pg_backend_pid() AND application_name = '' "
                        "AND backend_type = 'client backend' ORDER BY random() LIMIT 1"
                    )
            await process.wait()

    async with open_resources(load_settings({"DATABASE_URL": database_url} | limits)) as res:
        await look_after_usage(res, stopping)
        living = asyncio.gather(*(one_after_another() for _ in range(_AT_ONCE)))
        while not living.done():
            await asyncio.wait({living}, timeout=1)
            await look_after_usage(res, stopping)
            assert await compare(res, mend=False) == []
        await living
        await look_after_usage(res, stopping)
        assert await compare(res, mend=False) == []
    assert await db.fetchval("SELECT count(*) FROM usage_changes") == 0
    assert await db.fetchval("SELECT count(*) FROM files") > STEPS / 10
