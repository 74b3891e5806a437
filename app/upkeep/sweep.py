"""The sweep: finish what clients and processes left unfinished.

Uploads that nobody confirmed become files if they have arrived whole, else they go; removals
and completions whose process died are finished; tombstones are looked at until nothing that was
signed for their keys can still work. Any number of sweeps may run at once: rows are claimed, and
the claim committed, before the bucket is asked. A killed sweep leaves the rest to the next one.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from app.core.deadlines import CONFIRM_WITHIN, KEEP_IDEMPOTENCY_KEYS, KEEP_PARTS, NO_REQUEST_AFTER
from app.core.ids import first_uuid7
from app.db import arrivals as db_arrivals
from app.db import idempotency as db_idempotency
from app.db import moves
from app.db import sweep as db_sweep
from app.db.sweep import Place
from app.errors import DatabaseUnavailable, Problem, UploadNotArrived
from app.events.purge import purge_events
from app.files.finding import take_all_changes
from app.logs.audit import audit_file
from app.logs.log import Actor, current_actor, get_logger
from app.logs.metrics import count_upload
from app.models.files import File, State
from app.runtime.resources import Resources
from app.upkeep.reconcile import longest_upload
from app.upkeep.replays import remove_replays
from app.uploads.arrive import confirm_arrived, may_be_whole
from app.uploads.confirm import end_by_itself
from app.uploads.remove import LEASE, LOOK_AFTER, delete_object, remove_claimed, remove_upload
from app.uploads.unsized import drop_ended
from app.uploads.verify import JOINING, After

_log: Final = get_logger("sweep")

# The lease of uploads and tombstones. It outlasts the slowest handling of a batch, and a row whose
# store did not answer is not tried again before it ends.
_LONG_LEASE: Final = timedelta(minutes=15)
# Rows that are under way at once; that are claimed at once; and how long those that have ended wait
# for others to end, in seconds, so that the next are claimed together. None waits for a slow one.
_AT_ONCE: Final = 32
_BATCH: Final = 8
_GATHER_SECONDS: Final = 0.05
# Seconds that rows under way have to end after a stop: SIGKILL comes after 30 (Heroku Dev Center,
# dyno-shutdown-behavior; Kubernetes), and the rest has to be tidied up.
_STOP_SECONDS: Final = 20.0
# After so many failures in a row the other rows of the place are left to a later sweep.
_MAX_FAILURES: Final = _BATCH
# In the totals, beside the outcomes: how many sweeps there were, and when the last one ended; and
# until which moment's files replays have been looked for.
RUN: Final = "run"
REPLAYS: Final = "replays until"
# How long replays of a file are looked for in a store that fails; then they are `reconcile`'s.
_REPLAYS_TRIED: Final = timedelta(days=1)


class Outcome(StrEnum):
    """The outcome of a row."""

    CONFIRMED = "confirmed"  # had arrived whole, and is a file now
    REJECTED = "rejected"  # what has arrived is not what was announced
    REMOVED = "removed"  # gone from the bucket; a tombstone stays
    CHECKED = "looked at"  # a tombstone that stays for now
    PURGED = "purged"  # a tombstone that is gone
    REPLAYED = "replayed"  # a version of a confirmed file's key that is gone, made by a replay
    MOVED = "moved"  # somebody else was first
    AWAITED = "awaited"  # looked for, and not there yet
    FAILED = "failed"  # bucket or database did not do their part; a later sweep tries again


Handler = Callable[[Resources, File], Awaitable[Outcome]]
# Claims as many rows at most.
Claim = Callable[[int], Awaitable[list[File]]]


@dataclass
class Sweep:
    """One run over everything there is to do at its start.

    `report` is called with the outcome of each row. The run ends early, between batches, once
    `stopping` is set; rows that then take too long are let go, and their claims given back.
    """

    res: Resources
    report: Callable[[Outcome], None] = lambda _: None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    counts: Counter[Outcome] = field(default_factory=Counter)
    _failed_in_a_row: Counter[Place] = field(default_factory=Counter)

    async def run(self) -> Counter[Outcome]:
        """Sweep; the number of rows by outcome. Raises DatabaseUnavailable if it can claim none."""
        return await self._run_noted(self._run, {RUN: 1})

    async def look(self) -> Counter[Outcome]:
        """Only look for uploads that may have arrived, as `run` does too: it is cheap, and may be
        done every few seconds.
        """
        return await self._run_noted(self._look, {})

    async def _run_noted(
        self, work: Callable[[], Awaitable[None]], more: dict[str, int]
    ) -> Counter[Outcome]:
        before = current_actor.set(Actor(name="sweep"))
        try:
            await self._run_until_stopped(work)
        finally:
            current_actor.reset(before)
            await self._note(more)
        return self.counts

    async def _note(self, more: dict[str, int]) -> None:
        """Add the outcomes to the totals that the web processes' /metrics shows."""
        counts = {outcome.value: count for outcome, count in self.counts.items()} | more
        if not counts:
            return
        # A run whose totals cannot be added has done its work nevertheless.
        with suppress(DatabaseUnavailable):
            async with self.res.db.connection() as db:
                await db_sweep.add_totals(db, counts, self.res.clock())

    async def _run_until_stopped(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(None) as limit:
                watching = asyncio.create_task(self._set_limit(limit))
                try:
                    await work()
                finally:
                    watching.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
            _log.warning("sweep_cut_short")

    async def _set_limit(self, limit: asyncio.Timeout) -> None:
        await self.stopping.wait()
        limit.reschedule(asyncio.get_running_loop().time() + _STOP_SECONDS)

    async def _run(self) -> None:
        from app.usage.levels import look_after_usage  # loaded late, by who sweeps

        started = self.res.clock()
        # A failure ends its lease a minute in the past (`uploads.remove`): with a cutoff before
        # that no row comes twice in one run, so that every run ends.
        lapsed = started - LEASE
        await self._drain(self._stalled(started - JOINING), _complete, at_once=_BATCH)
        await self._drain(partial(self._lapsed, State.REMOVING, lapsed, LEASE), _finish)
        await self._drain(partial(self._lapsed, State.REJECTED, lapsed, LEASE), _clear)
        await self._drain(partial(self._ended, lapsed), _drop)
        await self._drain(partial(self._abandoned, started, lapsed), _end)
        await self._look()
        await self._drain(
            partial(self._lapsed, State.REMOVED, lapsed, _LONG_LEASE), _check_tombstone
        )
        async with self.res.db.connection() as db:
            await db_sweep.forget_closed(db)
            before, more = started - KEEP_IDEMPOTENCY_KEYS, True
            while more and not self.stopping.is_set():
                more = await db_idempotency.purge(db, before)
        await purge_events(self.res)
        await take_all_changes(self.res)
        await look_after_usage(self.res, self.stopping)
        await self._look_for_replays(started)

    async def _look(self) -> None:
        await self._drain(partial(self._due, self.res.clock()), _look_for)

    async def _look_for_replays(self, started: datetime) -> None:
        """Once for each file, when nothing that was signed for it can work any more.

        Files are walked in the order of their ids, which is that of time. Two sweeps at once may
        look at the same ones, which does no harm.
        """
        end = started - longest_upload(self.res.settings.destinations.values())
        async with self.res.db.connection() as db:
            totals = {total.outcome: total for total in await db_sweep.totals(db)}
        if REPLAYS in totals:
            since = totals[REPLAYS].changed_at
        else:
            # Where sweeps ran before they looked for any, old ones are left to `reconcile`.
            since = end if RUN in totals else datetime.min.replace(year=1971, tzinfo=UTC)
        after = first_uuid7(since)
        while not self.stopping.is_set():
            async with self.res.db.connection() as db:
                rows = await db_sweep.ended_between(db, after, first_uuid7(end), _BATCH)
            done = await asyncio.gather(*(self._remove_replays(file) for file in rows))
            if not all(done) and rows[-1].created_at > end - _REPLAYS_TRIED:
                return
            until = rows[-1].created_at if rows else max(since, end)
            async with self.res.db.connection() as db:
                await db_sweep.add_totals(db, {REPLAYS: 0}, until)
            if not rows:
                return
            after = rows[-1].id

    async def _remove_replays(self, file: File) -> bool:
        """Whether bucket and database did their part."""
        try:
            outcomes = [Outcome.REPLAYED] * await remove_replays(self.res, file)
        except Problem as problem:
            _log_failure(file, problem)
            outcomes = [Outcome.FAILED]
        for outcome in outcomes:
            self.counts[outcome] += 1
            self.report(outcome)
        return Outcome.FAILED not in outcomes

    async def _drain(self, claim: Claim, handle: Handler, at_once: int = _AT_ONCE) -> None:
        under_way: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as group:
                while not self.stopping.is_set() and (
                    rows := await claim(at_once - len(under_way))
                ):
                    for file in rows:
                        task = group.create_task(self._handle(handle, file))
                        under_way.add(task)
                        task.add_done_callback(under_way.discard)
                    await _room_for_more(under_way, at_once)
        except ExceptionGroup as failures:
            first = failures.exceptions[0]
            raise first from first.__cause__

    @property
    def _skipped_places(self) -> list[Place]:
        """Places whose store is in trouble: the rows of other places do not wait for them."""
        return [place for place, count in self._failed_in_a_row.items() if count >= _MAX_FAILURES]

    async def _handle(self, handle: Handler, file: File) -> None:
        try:
            outcome = await handle(self.res, file)
        except Problem as problem:
            _log_failure(file, problem)
            outcome = Outcome.FAILED
        except Exception:
            # A failure of one row is none of the others'.
            _log.exception("not_swept", file_id=file.id, key=file.key)
            outcome = Outcome.FAILED
        place = Place(file.bucket, file.destination)
        failed = self._failed_in_a_row[place] + 1 if outcome is Outcome.FAILED else 0
        self._failed_in_a_row[place] = failed
        if failed == _MAX_FAILURES:
            _log.warning("store_skipped", bucket=file.bucket, destination=file.destination)
        self.counts[outcome] += 1
        self.report(outcome)

    async def _ended(self, lapsed: datetime, limit: int) -> list[File]:
        now = self.res.clock()
        async with self.res.db.connection() as db:
            return await db_sweep.claim_ended(
                db, now, lapsed, now + _LONG_LEASE, min(limit, _BATCH), self._skipped_places
            )

    async def _abandoned(self, started: datetime, lapsed: datetime, limit: int) -> list[File]:
        until = self.res.clock() + _LONG_LEASE
        async with self.res.db.connection() as db:
            return await db_sweep.claim_abandoned(
                db,
                started - CONFIRM_WITHIN,
                started - KEEP_PARTS,
                lapsed,
                until,
                min(limit, _BATCH),
                self._skipped_places,
            )

    async def _due(self, started: datetime, limit: int) -> list[File]:
        destinations = self.res.settings.destinations.values()
        lifetime = timedelta(seconds=max(each.upload_expires_in for each in destinations))
        async with self.res.db.connection() as db:
            return await db_arrivals.claim_looks(
                db, started, self.res.clock(), lifetime, min(limit, _BATCH), self._skipped_places
            )

    async def _lapsed(
        self, state: State, lapsed: datetime, lease: timedelta, limit: int
    ) -> list[File]:
        until = self.res.clock() + lease
        async with self.res.db.connection() as db:
            return await db_sweep.claim_lapsed(
                db, state, lapsed, until, min(limit, _BATCH), self._skipped_places
            )

    def _stalled(self, lapsed: datetime) -> Claim:
        after = datetime.min.replace(tzinfo=UTC)

        async def claim(limit: int) -> list[File]:
            nonlocal after
            async with self.res.db.connection() as db:
                rows = await db_sweep.stalled_completions(
                    db, after, lapsed, min(limit, _BATCH), self._skipped_places
                )
            if rows:
                # They are not claimed here, so that the next ones are found behind the last.
                assert rows[-1].claimed_until is not None
                after = rows[-1].claimed_until + timedelta(microseconds=1)
            return rows

        return claim


async def _room_for_more(under_way: set[asyncio.Task[None]], at_once: int) -> None:
    """Wait until there is room for a batch, or for fewer rows where others take their time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_GATHER_SECONDS):
            while at_once - len(under_way) < _BATCH:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    if len(under_way) == at_once:
        await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)


def _log_failure(file: File, problem: Problem) -> None:
    _log.warning(
        "not_swept", file_id=file.id, key=file.key, problem=problem.slug(), detail=problem.detail
    )


async def _confirm(res: Resources, file: File) -> Outcome:
    """Confirm for the client that did not. Raises UploadNotArrived."""
    return _outcome(await end_by_itself(res, file))


def _outcome(after: After) -> Outcome:
    if not after.by_us or after.file is None:
        return Outcome.MOVED
    return Outcome.CONFIRMED if after.file.state == State.CONFIRMED else Outcome.REJECTED


async def _look_for(res: Resources, file: File) -> Outcome:
    """Confirm an upload that has arrived, though nobody has said so."""
    try:
        return _outcome(await confirm_arrived(res, file))
    except UploadNotArrived:
        return Outcome.AWAITED


async def _complete(res: Resources, file: File) -> Outcome:
    """Go on where the process that was completing the upload ended."""
    try:
        return await _confirm(res, file)
    except UploadNotArrived:
        # The parts that it was to be joined from are gone: its client may send them again.
        async with res.db.connection() as db:
            await moves.abandon_completion(db, file)
        return Outcome.MOVED


async def _finish(res: Resources, file: File) -> Outcome:
    """Finish a removal."""
    return Outcome.REMOVED if await remove_claimed(res, file) else Outcome.MOVED


async def _clear(res: Resources, file: File) -> Outcome:
    """Take away the object of a rejected upload, whose process died before it did."""
    return Outcome.REMOVED if await remove_upload(res, file) else Outcome.MOVED


async def _drop(res: Resources, file: File) -> Outcome:
    """Take away parts of unknown size that came with an upload session that has ended."""
    return Outcome.REMOVED if await drop_ended(res, file) else Outcome.MOVED


async def _end(res: Resources, file: File) -> Outcome:
    """Make a file of an abandoned upload if all of it is there, else remove what is."""
    destination = res.bucket_of(file).destination
    nothing_there = False
    if destination.unconfirmed == "confirm" and await may_be_whole(res, file):
        try:
            # The lease of a pending upload counts among sweeps alone, and not for the confirm.
            return await _confirm(res, file._replace(claimed_until=None))
        except UploadNotArrived:
            # What is hidden by a delete marker goes with the tombstone's first look.
            nothing_there = file.method != "multipart"
    if not await remove_upload(res, file, nothing_there=nothing_there):
        return Outcome.MOVED
    count_upload(file.destination, "expired")
    audit_file("upload.expired", file)
    return Outcome.REMOVED


async def _check_tombstone(res: Resources, file: File) -> Outcome:
    """Delete what has arrived at a tombstone's key; forget the tombstone once nothing can."""
    await delete_object(res, file)
    now = res.clock()
    ended = file.ended_at or now
    last = max(ended, file.expires_at) + NO_REQUEST_AFTER
    async with res.db.connection() as db:
        if now >= last:
            return Outcome.PURGED if await db_sweep.purge(db, file) else Outcome.MOVED
        # Twice as long after its end each time: so few looks for a URL that lives for a week.
        again = now + max(LOOK_AFTER, now - ended)
        is_ours = await db_sweep.look_again(db, file, min(again, last))
    return Outcome.CHECKED if is_ours else Outcome.MOVED
