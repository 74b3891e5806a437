"""Uploads that everybody has abandoned, a bucket beside its database: by the hundred thousand."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from app.commands.sweep import FAILED_STATUS
from app.core.ids import uuid7
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from bench.commands import DATA, Made, own_gateway, run_command, send
from bench.results import WRONG, WRONG_WHERE_SLOW
from bench.rows import BUCKET, empty
from bench.sections.uploads import counting_proxy
from bench.servers import BenchError
from bench.stack import Stack

SWEEP: Final = "abandoned uploads"
RECONCILE: Final = "bucket against database"
# One abandoned upload in so many had arrived whole: its browser was closed before the confirm.
_WHOLE: Final = 10
# Uploads for a store that is too slow: two sweepers have them all under way at once.
_SLOW: Final = 48
# One row in so many has lost its object, and as many say another size than the object has.
_DIFFERS: Final = 1000

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
# By the states before and after: so many uploads make the move, once each.
Moves = dict[tuple[str, str], int]
_CLAIMED: Final = ("pending", "pending")
# The leases of uploads, as when they have ended.
_LAPSE: Final = "UPDATE files SET claimed_until = claimed_until - interval '1 hour'"


def sweep(stack: Stack) -> None:
    """Two sweepers at once; each upload is to be claimed once, and come to its end once."""
    count = stack.plan.abandoned
    with own_gateway(stack, SWEEP) as environ:
        if environ is None:
            return
        settings = load_settings(environ)
        arrived = _abandon(stack, settings, count)
        stack.say(f"{SWEEP}: two sweepers, {count:,} uploads")
        runs = run_command(stack.scratch, ["sweep"], environ, processes=2)
        wrong = _wrong(stack, ended(count, arrived))
        wrong_slow = _sweep_slowly(stack, settings, environ)
    add = stack.results.add
    seconds = max(run.seconds for run in runs)
    add(SWEEP, "uploads", count, "")
    add(SWEEP, "swept by two sweepers at once", count / seconds, "uploads/s")
    add(SWEEP, "all of them", seconds, "s")
    add(SWEEP, WRONG, wrong, "uploads")
    add(SWEEP, WRONG_WHERE_SLOW, wrong_slow, f"of {_SLOW} uploads")
    add(SWEEP, "peak memory of a sweeper", max(run.memory for run in runs), "MiB")
    for number, run in enumerate(runs, 1):
        stack.say(f"{SWEEP}: sweeper {number}: {run.errors[-1]}")


def _sweep_slowly(stack: Stack, settings: Settings, environ: dict[str, str]) -> int:
    """Sweep where each answer of the store comes after the client's time-out, by two sweepers at
    once; then, when their leases have ended, as many of the store well again. How many moves were
    made twice, or not at all, or should not have been.
    """
    arrived = _abandon(stack, settings, _SLOW)
    stack.say(f"{SWEEP}: two sweepers, a store that answers later than the time-out")
    with counting_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        proxy.disturb("GET", "after", times=10**6)
        slow = environ | {"AWS_S3_ENDPOINT_URL": proxy.address}
        run_command(stack.scratch, ["sweep"], slow, processes=2, status=FAILED_STATUS)
    # Each is claimed, and nobody else takes it.
    wrong = _wrong(stack, {_CLAIMED: _SLOW})
    stack.query(lambda db: db.execute(_LAPSE))
    stack.say(f"{SWEEP}: two sweepers, the store well again")
    stack.query(lambda db: db.execute(_WATCH))
    run_command(stack.scratch, ["sweep"], environ, processes=2)
    return wrong + _wrong(stack, ended(_SLOW, arrived))


def _abandon(stack: Stack, settings: Settings, count: int) -> int:
    """Make so many abandoned uploads, and watch their moves; how many have arrived."""
    uploads = _uploads(count, utc_now() - timedelta(hours=5))
    whole = uploads[::_WHOLE]
    stack.say(f"{SWEEP}: sending {len(whole):,} objects")
    asyncio.run(send(settings, whole))
    stack.query(empty)
    stack.query(lambda db: _insert(db, uploads, settings, "pending"))
    stack.query(lambda db: db.execute(_WATCH))
    return len(whole)


def ended(count: int, arrived: int) -> Moves:
    """How many uploads make each move."""
    return {
        _CLAIMED: count,
        ("pending", "removing"): count - arrived,
        ("removing", "removed"): count - arrived,
        ("pending", "confirmed"): arrived,
    }


def _wrong(stack: Stack, wanted: Moves) -> int:
    """`count_wrong` of the moves that were watched, whose watch ends."""
    moves = stack.query(_moves)
    stack.query(lambda db: db.execute(_UNWATCH))
    return count_wrong(moves, wanted)


def count_wrong(moves: dict[tuple[str, str], tuple[int, int]], wanted: Moves) -> int:
    """Of each move, whose number and whose number of rows are given: how many more than wanted, or
    fewer; and all that none should make.
    """
    return sum(
        abs(total - wanted.get(move, 0)) + abs(ids - wanted.get(move, 0))
        for move in wanted.keys() | moves.keys()
        for total, ids in [moves.get(move, (0, 0))]
    )


def reconcile(stack: Stack) -> None:
    """As many objects as rows, a few of which differ: all of those are to be found."""
    count = stack.plan.compared
    with own_gateway(stack, RECONCILE) as environ:
        if environ is None:
            return
        settings = load_settings(environ)
        lost = count // _DIFFERS
        files = _uploads(count + lost, utc_now() - timedelta(days=30))
        stack.say(f"{RECONCILE}: sending {count:,} objects")
        arrived = asyncio.run(send(settings, files[lost:]))
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
        [run] = run_command(stack.scratch, ["reconcile", "--limit", str(count)], environ, status=2)
        kinds = [json.loads(line)["kind"] for line in run.output]
        if sorted(kinds) != ["missing"] * lost + ["size"] * lost:
            raise BenchError(f"reconcile found {len(kinds)} differences, not {2 * lost}")
    add = stack.results.add
    add(RECONCILE, "objects", count, "")
    add(RECONCILE, "compared", count / run.seconds, "objects/s")
    add(RECONCILE, "all of them", run.seconds, "s")
    add(RECONCILE, "peak memory", run.memory, "MiB")


def _uploads(count: int, moment: datetime) -> list[Made]:
    return [
        Made(
            uuid7(moment + timedelta(microseconds=n), os.urandom(8)),
            f"files/{moment:%m-%d-%Y_%H-%M-%S}-{n:06}--notes-of-the-meeting.txt",
        )
        for n in range(count)
    ]


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
            "size": len(DATA),
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
