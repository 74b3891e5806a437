"""Very many events by two workers: each arrives once, in order, in little memory.

How fast is printed (`-s`), beside a bare client that posts to such a receiver. The two take turns,
some seconds each, so that both have the same machine whatever else it does. The workers' rate is
that of tries, from the first until four of five events are there: meanwhile events are put in
order, fail and are tried again. What comes later is mostly pauses between tries.
"""

import asyncio
import os
import signal
import statistics
import sys
import time
from collections import defaultdict
from operator import truediv
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web

from app.runtime.resources import Resources
from tests.events.steps import confirm, hook
from tests.support.receiver import Receiver, receiver
from tests.support.service import as_set

EVENTS = int(os.environ.get("TEST_EVENTS", "100000"))
BARE_POSTS = 2_000
TURN = 8  # seconds of the workers
MOST_MEMORY = 130 * 2**20

# Posts whenever it is told, and tells the seconds that it took.
BARE = """
import asyncio, sys, time, aiohttp
url, count = sys.argv[1], int(sys.argv[2])
async def main():
    body = b'{"a": "' + b"x" * 900 + b'"}'
    async with aiohttp.ClientSession() as client:
        async def post(left):
            for _ in left:
                async with client.post(url, data=body) as answer:
                    await answer.read()
        while await asyncio.to_thread(sys.stdin.readline):
            began, left = time.monotonic(), iter(range(count))
            await asyncio.gather(*(post(left) for _ in range(32)))
            print(time.monotonic() - began, flush=True)
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
    async with receiver(EverySeventh()) as ear, receiver(EverySeventh()) as other:
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
        bare = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BARE, other.url, str(BARE_POSTS)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await posts(bare)  # and it has started
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
            rates, bare_rates, most = [], [], 0
            await ear.has_taken(1)
            while len(ear.taken) < EVENTS * 4 // 5:
                began, asked = time.monotonic(), ear.asked
                await asyncio.sleep(TURN)
                rates.append((ear.asked - asked) / (time.monotonic() - began))
                most = max(most, *(resident(each.pid) for each in workers))
                for each in workers:
                    each.send_signal(signal.SIGSTOP)
                bare_rates.append(BARE_POSTS / await posts(bare))
                for each in workers:
                    each.send_signal(signal.SIGCONT)
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
            bare.kill()
            await bare.wait()
            output.close()
        assert await db.fetchval("SELECT count(*) FROM deliveries WHERE state = 'pending'") == 0
        seen: dict[str, list[str]] = defaultdict(list)
        for payload in ear.taken:
            seen[payload["data"]["id"]].append(payload["type"])
        orders = {tuple(kinds) for kinds in seen.values()}
        assert orders <= {("file.confirmed", "file.released"), ("file.confirmed",)}
        assert len(set(ear.ids)) == len(ear.ids)
        ratio = statistics.median(map(truediv, rates, bare_rates))
        print(  # noqa: T201
            f"\n{EVENTS} events: {statistics.median(rates):.0f}/s, bare client "
            f"{statistics.median(bare_rates):.0f}/s, in {len(rates)} turns {ratio:.2f} of it, most "
            f"memory {most / 2**20:.0f} MiB"
        )
        assert most < MOST_MEMORY


async def posts(bare: asyncio.subprocess.Process) -> float:
    """The seconds that the bare client's posts take now."""
    assert bare.stdin is not None
    assert bare.stdout is not None
    bare.stdin.write(b"\n")
    return float(await bare.stdout.readline())


def resident(pid: int) -> int:
    """Bytes that the process holds in memory (proc(5), VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
