"""Very many events by two workers, beside a bare client that posts to the same receiver."""

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
MOST_MEMORY = 130 * 2**20

BARE = """
import asyncio, sys, aiohttp
url, count = sys.argv[1], int(sys.argv[2])
async def main():
    body, left = b'{"a": "' + b"x" * 900 + b'"}', iter(range(count))
    async with aiohttp.ClientSession() as client:
        async def post():
            for _ in left:
                async with client.post(url, data=body) as answer:
                    await answer.read()
        await asyncio.gather(*(post() for _ in range(32)))
asyncio.run(main())
"""


class EverySeventh:
    """Fails each seventh request; notes what it took, by file, in order."""

    def __init__(self) -> None:
        self.asked = 0
        self.taken: dict[str, list[str]] = defaultdict(list)

    async def __call__(self, request: web.Request, ear: Receiver) -> web.StreamResponse:
        self.asked += 1
        return web.Response(status=500 if self.asked % 7 == 0 else 204)


@pytest.mark.slow
async def test_rate_and_memory(
    res: Resources, db: asyncpg.Connection, environ: dict[str, str], tmp_path: Path
) -> None:
    async with receiver(EverySeventh()) as ear:
        webhook = await hook(res, ear)
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
        started = time.monotonic()
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
            most, begun = 0, None
            while len(ear.taken) <= EVENTS:  # and the file that they were copied from
                await asyncio.sleep(0.5)
                if begun is None and ear.taken:
                    begun = time.monotonic(), ear.asked
                # Five minutes and more pass for what has failed.
                await db.execute(
                    "UPDATE deliveries SET due_at = now() WHERE state = 'pending' AND failures > 0 "
                    "AND due_at > now() + interval '35 seconds'"
                )
                most = max(most, *(resident(each.pid) for each in workers))
            assert begun is not None
            rate = (ear.asked - begun[1]) / (time.monotonic() - begun[0])
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
        count = min(EVENTS, 10_000)
        ear.answer = EverySeventh()
        began = time.monotonic()
        bare = await asyncio.create_subprocess_exec(sys.executable, "-c", BARE, ear.url, str(count))
        await bare.wait()
        bare_rate = count / (time.monotonic() - began)
        print(  # noqa: T201
            f"\n{EVENTS} events, from the start {time.monotonic() - started:.0f} s: {rate:.0f}/s, "
            f"bare client {bare_rate:.0f}/s, most memory {most / 2**20:.0f} MiB"
        )
        assert rate > bare_rate / 2
        assert most < MOST_MEMORY
        assert webhook.id


def resident(pid: int) -> int:
    """Bytes that the process holds in memory (proc(5), VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
