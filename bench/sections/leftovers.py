"""Uploads that everybody has abandoned, and a bucket beside its database: by the hundred thousand.

Each on a Ceph RGW of its own, whose objects lie in memory. The commands run as cron would run them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import aiohttp
import asyncpg
from yarl import URL

from app.core.ids import uuid7
from app.runtime.resources import open_resources, open_session
from app.settings.model import Settings, load_settings
from app.store.look import ID_METADATA
from app.store.setup.provision import apply
from app.store.signer import utc_now
from bench.rows import BUCKET, empty
from bench.servers import BenchError
from bench.stack import Stack
from tests.support.stores import rgw

SWEEP: Final = "abandoned uploads"
RECONCILE: Final = "bucket against database"
_DATA: Final = b"hello"
# One abandoned upload in so many had arrived whole: its browser was closed before the confirm.
_WHOLE: Final = 10
# One row in so many has lost its object, and as many say another size than the object has.
_DIFFERS: Final = 1000
_AT_ONCE: Final = 48
_SECONDS: Final = 3600

# Every move of every row, so that none can be counted that was made twice or not at all.
_WATCH: Final = """
CREATE TABLE bench_moves (id uuid, before text, after text);
CREATE FUNCTION bench_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO bench_moves VALUES (NEW.id, OLD.state, NEW.state); RETURN NULL; END $$;
CREATE TRIGGER bench_note AFTER UPDATE ON files FOR EACH ROW EXECUTE FUNCTION bench_note();
"""
_UNWATCH: Final = (
    "DROP TRIGGER bench_note ON files; DROP FUNCTION bench_note; DROP TABLE bench_moves"
)


@dataclass(frozen=True)
class Made:
    """An upload: with `version_id` if its object is in the bucket."""

    id: UUID
    key: str
    version_id: str | None = None


def sweep(stack: Stack) -> None:
    """Two sweepers at once; each upload is to be claimed once, and come to its end once."""
    count = stack.plan.abandoned
    with _store(stack, SWEEP) as environ:
        if environ is None:
            return
        settings = load_settings(environ)
        uploads = _uploads(count, utc_now() - timedelta(hours=5))
        whole = set(uploads[::_WHOLE])
        stack.say(f"{SWEEP}: sending {len(whole):,} objects")
        arrived = asyncio.run(_send(settings, list(whole)))
        stack.query(lambda db: _insert(db, uploads, settings, "pending"))
        stack.query(lambda db: db.execute(_WATCH))
        stack.say(f"{SWEEP}: two sweepers, {count:,} uploads")
        runs = _run(stack, ["sweep"], environ, processes=2)
        moves = stack.query(_moves)
        stack.query(lambda db: db.execute(_UNWATCH))
    wanted = {
        ("pending", "pending"): (count, count),  # claimed
        ("pending", "removing"): (count - len(arrived),) * 2,
        ("removing", "removed"): (count - len(arrived),) * 2,
        ("pending", "confirmed"): (len(arrived),) * 2,
    }
    # Of each move: more rows than uploads, or fewer, or moves that none should make.
    wrong = sum(
        abs(total - wanted.get(move, (0, 0))[0]) + abs(ids - wanted.get(move, (0, 0))[1])
        for move in wanted.keys() | moves.keys()
        for total, ids in [moves.get(move, (0, 0))]
    )
    add = stack.results.add
    seconds = max(run.seconds for run in runs)
    add(SWEEP, "uploads", count, "")
    add(SWEEP, "swept by two sweepers at once", count / seconds, "uploads/s")
    add(SWEEP, "all of them", seconds, "s")
    add(SWEEP, "moved twice or not at all", wrong, "uploads")
    add(SWEEP, "peak memory of a sweeper", max(run.memory for run in runs), "MiB")
    for number, run in enumerate(runs, 1):
        stack.say(f"{SWEEP}: sweeper {number}: {run.errors[-1]}")


def reconcile(stack: Stack) -> None:
    """As many objects as rows, a few of which differ: all of those are to be found."""
    count = stack.plan.compared
    with _store(stack, RECONCILE) as environ:
        if environ is None:
            return
        settings = load_settings(environ)
        lost = count // _DIFFERS
        files = _uploads(count + lost, utc_now() - timedelta(days=30))
        stack.say(f"{RECONCILE}: sending {count:,} objects")
        arrived = asyncio.run(_send(settings, files[lost:]))
        rows = [*files[:lost], *arrived]
        stack.query(lambda db: _insert(db, rows[: count + lost], settings, "confirmed"))
        stack.query(
            lambda db: db.execute(
                "UPDATE files SET size = size + 1 WHERE key IN "
                "(SELECT key FROM files WHERE version_id IS NOT NULL ORDER BY key LIMIT $1)",
                lost,
            )
        )
        stack.say(f"{RECONCILE}: comparing")
        [run] = _run(stack, ["reconcile", "--limit", str(count)], environ, status=2)
        kinds = [json.loads(line)["kind"] for line in run.output]
        if sorted(kinds) != ["missing"] * lost + ["size"] * lost:
            raise BenchError(f"reconcile found {len(kinds)} differences, not {2 * lost}")
    add = stack.results.add
    add(RECONCILE, "objects", count, "")
    add(RECONCILE, "compared", count / run.seconds, "objects/s")
    add(RECONCILE, "all of them", run.seconds, "s")
    add(RECONCILE, "peak memory", run.memory, "MiB")


@contextmanager
def _store(stack: Stack, section: str) -> Iterator[dict[str, str] | None]:
    """The environment of a service on an empty table and a gateway of its own; None without one.

    The gateway may use both cores, which its clients and the database share with it.
    """
    if missing := rgw.available():
        stack.results.skipped[section] = missing
        yield None
        return
    stack.query(empty)
    os.sched_setaffinity(0, {stack.cores.service, stack.cores.rest})
    try:
        with rgw.start_rgw(capacity=8 << 30) as gateway:
            keys = gateway.owner
            environ = stack.environ | {
                "AWS_ACCESS_KEY_ID": keys.access_key,
                "AWS_SECRET_ACCESS_KEY": keys.secret_key,
                "AWS_S3_ENDPOINT_URL": gateway.endpoint_url,
            }
            settings = load_settings(environ)
            asyncio.run(apply(open_session(settings), settings))
            yield environ
    finally:
        os.sched_setaffinity(0, {stack.cores.rest})
        stack.query(empty)


def _uploads(count: int, moment: datetime) -> list[Made]:
    return [
        Made(
            uuid7(moment + timedelta(microseconds=n), os.urandom(8)),
            f"files/{moment:%m-%d-%Y_%H-%M-%S}-{n:06}--notes-of-the-meeting.txt",
        )
        for n in range(count)
    ]


async def _send(settings: Settings, uploads: list[Made]) -> list[Made]:
    """Put their objects into the bucket; the same, with the versions that the store made."""
    destination, left, sent = settings.destinations["files"], iter(uploads), []
    async with open_resources(settings) as res, aiohttp.ClientSession() as web:

        async def lane() -> None:
            for upload in left:
                headers = {
                    "content-type": "text/plain",
                    f"x-amz-meta-{ID_METADATA}": str(upload.id),
                }
                signed = await res.signer.presign(
                    "PUT", destination.address, upload.key, expires_in=_SECONDS, headers=headers
                )
                url = URL(signed.url, encoded=True)
                async with web.put(url, headers=headers, data=_DATA) as answer:
                    if answer.status != 200:
                        raise BenchError(f"the store answered {answer.status} to a PUT")
                    version = answer.headers["x-amz-version-id"]
                    sent.append(Made(upload.id, upload.key, version))

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(lane())
    return sent


async def _insert(
    db: asyncpg.Connection, uploads: list[Made], settings: Settings, state: str
) -> None:
    endpoint = settings.destinations["files"].stored_endpoint
    created = utc_now() - timedelta(hours=5)
    rows = [
        {
            "id": upload.id,
            "owner": "dev",
            "destination": "files",
            "bucket": BUCKET,
            "key": upload.key,
            "url": f"{endpoint}/{BUCKET}/{upload.key}",
            "filename": "Notes of the meeting.txt",
            "content_type": "text/plain",
            "size": len(_DATA),
            "method": "post",
            "state": state,
            "version_id": upload.version_id,
            "created_at": created,
            "expires_at": created + timedelta(hours=1),
            "confirmed_at": created if state == "confirmed" else None,
        }
        for upload in uploads
    ]
    records = [tuple(row.values()) for row in rows]
    await db.copy_records_to_table("files", records=records, columns=list(rows[0]))
    await db.execute("VACUUM ANALYZE files")


async def _moves(db: asyncpg.Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """By the states before and after: how many moves, of how many rows."""
    found = await db.fetch(
        "SELECT before, after, count(*), count(DISTINCT id) FROM bench_moves GROUP BY 1, 2"
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in found}


@dataclass(frozen=True)
class _Run:
    """A command that has ended: seconds, MiB at its peak, its lines."""

    seconds: float
    memory: float
    output: list[str]
    errors: list[str]


def _run(
    stack: Stack, arguments: list[str], environ: dict[str, str], processes: int = 1, status: int = 0
) -> list[_Run]:
    """Run the command of the service, in so many processes at once; all are to end so."""
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "CLAIMCHECK_"))}
    logs = [stack.scratch / f"{arguments[0]}-{number}" for number in range(processes)]
    start = time.perf_counter()
    started = []
    for log in logs:
        with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
            started.append(
                subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", "app.cli", *arguments],
                    env={**inherited, **environ},
                    stdout=out,
                    stderr=err,
                )
            )
    ended: dict[int, tuple[float, float]] = {}
    memory = dict.fromkeys(range(processes), 0.0)
    while len(ended) < processes:
        time.sleep(0.1)
        for number, process in enumerate(started):
            # The peak, as the kernel keeps it (proc(5), VmHWM); gone once the process is.
            memory[number] = _peak(process.pid) or memory[number]
            if number not in ended and process.poll() is not None:
                ended[number] = (time.perf_counter() - start, memory[number])
    runs = []
    for number, (process, log) in enumerate(zip(started, logs, strict=True)):
        output = log.with_suffix(".out").read_text().splitlines()
        errors = log.with_suffix(".err").read_text().splitlines()
        if process.returncode != status:
            raise BenchError(f"{arguments[0]} ended with {process.returncode}: {errors[-20:]}")
        runs.append(_Run(*ended[number], output, errors))
    return runs


def _peak(pid: int) -> float | None:
    try:
        with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None
