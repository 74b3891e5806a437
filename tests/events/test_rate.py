"""Very many events by two workers, beside a bare client that posts to the same receiver.

The rate is that of tries, from the first until four of five events are there: events are put in
order, fail and are tried again meanwhile. What comes later is mostly pauses between tries.
"""

import asyncio
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from app.runtime.resources import Resources
from tests.events.steps import confirm, hook
from tests.support.receiver import Receiver, receiver
from tests.support.service import as_set

EVENTS = int(os.environ.get("TEST_EVENTS", "100000"))
BARE_POSTS = 10_000
MOST_MEMORY = 130 * 2**20

BARE = """
import asyncio, sys, time, aiohttp
url, count = sys.argv[1], int(sys.argv[2])
async def main():
    body, left = b'{"a": "' + b"x" * 900 + b'"}', iter(range(count))
    async with aiohttp.ClientSession() as client:
        async def post():
            for _ in left:
                async with client.post(url, data=body) as answer:
                    await answer.read()
        began = time.monotonic()
        await asyncio.gather(*(post() for _ in range(32)))
        print(count / (time.monotonic() - began))
asyncio.run(main())
"""


class EverySeventh:
    """Fails each seventh request."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, request: web.Request, ear: Receiver) -> web.StreamResponse:
        self.asked += 1
        return web.Response(status=500 if self.asked % 7 == 0 else 204)


@pytest.mark.slow
async def test_rate_and_memory(
    res: Resources, db: asyncpg.Connection, environ: dict[str, str], tmp_path: Path
) -> None:
    async with receiver(EverySeventh()) as ear:
        await hook(res, ear)
        ear.secret = None  # verifying is other tests', and takes a receiver's time
        await confirm(res)
        # Two events of each file.
        await db.execute(
            "INSERT INTO events (event_id, type, tenant, owner, subject, destination, created_at, "
            "data) SELECT gen_random_uuid(), kind, tenant, owner, file, destination, created_at, "
            "jsonb_set(data, '{id}', to_jsonb(file)) FROM events, "
            "(SELECT gen_random_uuid()::text AS file FROM generate_series(1, $1)) AS files, "
            "unnest(ARRAY['file.confirmed', 'file.released']) WITH ORDINALITY AS kinds (kind, n) "
            "ORDER BY file, n",
            EVENTS // 2,
        )
        await db.execute("ANALYZE")
        bare_rates = [await bare_rate(ear)]
        ear.asked, ear.answer = 0, EverySeventh()
        output = (tmp_path / "log").open("ab")
        workers = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app.cli", "worker"),
                env=as_set(environ),
                stdout=output,
                stderr=output,
            )
            for _ in range(2)
        ]
        try:
            begun, most = None, 0
            while len(ear.taken) < EVENTS * 4 // 5:
                await asyncio.sleep(0.1)
                most = max(most, *(resident(each.pid) for each in workers))
                if begun is None and ear.taken:
                    begun = time.monotonic(), ear.asked
            assert begun is not None
            rate = (ear.asked - begun[1]) / (time.monotonic() - begun[0])
            while len(ear.taken) <= EVENTS:  # and the file that they were copied from
                # Five minutes and more pass for what has failed twice.
                await db.execute(
                    "UPDATE deliveries SET due_at = now() WHERE state = 'pending' AND failures > 1 "
                    "AND due_at > now() + interval '35 seconds'"
                )
                await asyncio.sleep(0.5)
                most = max(most, *(resident(each.pid) for each in workers))
        finally:
            for each in workers:
                each.terminate()
                await each.wait()
            output.close()
        assert await db.fetchval("SELECT count(*) FROM deliveries WHERE state = 'pending'") == 0
        seen: dict[str, list[str]] = defaultdict(list)
        for payload in ear.taken:
            seen[payload["data"]["id"]].append(payload["type"])
        orders = {tuple(kinds) for kinds in seen.values()}
        assert orders <= {("file.confirmed", "file.released"), ("file.confirmed",)}
        assert len(set(ear.ids)) == len(ear.ids)
        bare_rates.append(await bare_rate(ear))
        print(  # noqa: T201
            f"\n{EVENTS} events: {rate:.0f}/s, bare client {bare_rates[0]:.0f}/s before and "
            f"{bare_rates[1]:.0f}/s after, most memory {most / 2**20:.0f} MiB"
        )
        assert rate > sum(bare_rates) / 2 / 2
        assert most < MOST_MEMORY


async def bare_rate(ear: Receiver) -> float:
    """Posts in a second by a process that does nothing else."""
    ear.answer = EverySeventh()
    bare = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BARE, ear.url, str(BARE_POSTS)), stdout=asyncio.subprocess.PIPE
    )
    assert bare.stdout is not None
    rate = float(await bare.stdout.read())
    ear.taken.clear()
    ear.ids.clear()
    return rate


def resident(pid: int) -> int:
    """Bytes that the process holds in memory (proc(5), VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
