"""A bucket that is full already becomes files: `claimcheck adopt` beside bare HEADs of its objects.

By prefix, a quarter of the objects at a time, in turns with a program that asks for each of them
and does nothing else; then all of them at once, killed halfway and called again.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
from typing import Final

import asyncpg

from app.settings.model import load_settings
from bench.commands import Made, own_gateway, run_command, send
from bench.rows import empty
from bench.servers import BenchError, inherited_environ
from bench.stack import Stack

SECTION: Final = "objects adopted"
_PARALLEL: Final = 32
_TURNS: Final = 4


def adopt(stack: Stack) -> None:
    """Each object is to become one file, whatever the command is interrupted by."""
    count = stack.plan.adopted
    with own_gateway(stack, SECTION) as environ:
        if environ is None:
            return
        settings = load_settings(environ)
        turns = [_objects(turn, count // _TURNS) for turn in range(_TURNS)]
        stack.say(f"{SECTION}: sending {count:,} objects")
        made = [one for objects in turns for one in objects]
        asyncio.run(send(settings, made))
        ours, bare = [], []
        for turn, objects in enumerate(turns):
            stack.say(f"{SECTION}: turn {turn + 1} of {_TURNS}, load {os.getloadavg()[0]:.1f}")
            # Whoever is first finds the store cold.
            for who in ("heads", "adopt") if turn % 2 else ("adopt", "heads"):
                if who == "heads":
                    bare.append(len(objects) / _heads(stack, objects, environ))
                else:
                    [run] = run_command(stack.scratch, _command(f"files/{turn}/"), environ)
                    _require_each_once(stack, (turn + 1) * len(objects))
                    ours.append(len(objects) / run.seconds)
        stack.query(empty)
        stack.say(f"{SECTION}: all, killed halfway")
        command = _command("files/")
        [killed] = run_command(stack.scratch, command, environ, killed_after=len(made) // 2)
        [resumed] = run_command(stack.scratch, command, environ)
        _require_each_once(stack, len(made))
        stack.say(f"{SECTION}: comparing")
        [compared] = run_command(stack.scratch, ["reconcile"], environ)
        if compared.output:
            raise BenchError(f"reconcile found {len(compared.output)} differences of adopted files")
    add = stack.results.add
    add(SECTION, "claimcheck adopt", statistics.median(ours), "objects/s")
    add(SECTION, "bare HEADs", statistics.median(bare), "objects/s")
    stack.results.compare(SECTION, "claimcheck adopt", "bare HEADs")
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    add(SECTION, "rate, times that of bare HEADs", statistics.median(ratios), "")
    add(SECTION, "peak memory", max(killed.memory, resumed.memory), "MiB")
    known = sum(json.loads(line)["outcome"] == "known" for line in resumed.output)
    add(SECTION, "known after the kill, and not asked for again", known, "objects")


def _objects(turn: int, count: int) -> list[Made]:
    return [Made(None, f"files/{turn}/{n:06}/Notes of the meeting.txt") for n in range(count)]


def _command(prefix: str) -> list[str]:
    how = ("--concurrency", str(_PARALLEL), "--apply")
    return ["adopt", "--prefix", prefix, "--owner", "dev", *how]


def _heads(stack: Stack, objects: list[Made], environ: dict[str, str]) -> float:
    """Seconds that a HEAD of each takes, as many at once as `claimcheck adopt` sends."""
    keys = stack.scratch / "keys"
    keys.write_text("\n".join(one.key for one in objects))
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "bench.peers.heads", str(keys), str(_PARALLEL)],
        env=inherited_environ(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise BenchError(f"the HEADs failed:\n{run.stderr[-2000:]}")
    return float(json.loads(run.stdout)["seconds"])


def _require_each_once(stack: Stack, wanted: int) -> None:
    async def count(db: asyncpg.Connection) -> tuple[int, int]:
        rows, keys = await db.fetchrow("SELECT count(*), count(DISTINCT key) FROM files")
        return rows, keys

    found = stack.query(count)
    if found != (wanted, wanted):
        raise BenchError(f"{wanted:,} objects became {found[0]:,} files of {found[1]:,} keys")
