"""`claimcheck sweep`, and `claimcheck worker`, which repeats it."""

import argparse
import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from app.commands.parser import Subparsers, add_command
from app.commands.progress import progress_line
from app.commands.with_resources import with_resources
from app.errors import Problem
from app.events.deliver import delivering
from app.logs.log import get_logger
from app.runtime.resources import Resources
from app.settings.checks import requires_scans
from app.settings.model import require_stores
from app.upkeep.sweep import Outcome, Sweep

FAILED_STATUS: Final = 2
_LINE_EVERY: Final = 1000
# Seconds between two sweeps.
_SWEEP_EVERY: Final = 60.0
# Seconds between two looks for uploads that nobody confirms: one statement, where none is due.
_LOOK_EVERY: Final = 10.0
_log: Final = get_logger("worker")


def add(commands: Subparsers) -> None:
    purpose = "end unfinished work: uploads never confirmed, removals and completions cut short; "
    purpose += "and deliver the webhooks that are due"
    status = f"Exit status {FAILED_STATUS} if the store failed for some; a later sweep goes on."
    add_command(commands, "sweep", _sweep, purpose, status=status)
    purpose = "sweep again and again, deliver webhooks, and read the queue of the bucket's events, "
    purpose += "until stopped"
    add_command(commands, "worker", _worker, purpose).add_argument(
        "--every",
        type=_seconds,
        default=_SWEEP_EVERY,
        metavar="SECONDS",
        help="from the end of one sweep to the beginning of the next (default: %(default).0f)",
    )


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 < seconds <= 86_400:
        raise ValueError(value)
    return seconds


def _sweep(_: argparse.Namespace) -> None:
    async def sweep(res: Resources) -> Counter[Outcome]:
        with _stop_event() as stopping:
            with _progress() as report:
                counts = await Sweep(res, report, stopping).run()
            async with delivering(res) as deliverer:
                tries = await deliverer.run_once(stopping)
            await _scan_once(res, stopping)
            if tries:
                said = ", ".join(f"{count:,} {what}" for what, count in sorted(tries.items()))
                sys.stderr.write(f"webhooks: {said}\n")
            return counts

    if with_resources(require_stores, sweep)[Outcome.FAILED]:
        sys.exit(FAILED_STATUS)


async def _scan_once(res: Resources, stopping: asyncio.Event) -> None:
    if requires_scans(res.settings):
        from app.scans.work import Scanner

        counts = await Scanner(res).run_once(stopping)
        said = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items()))
        sys.stderr.write(f"scanned: {said or 'nothing to do'}\n")


def _worker(options: argparse.Namespace) -> None:
    async def until_signalled(res: Resources) -> None:
        with _stop_event() as stopping:
            await work(res, stopping, options.every)

    with_resources(require_stores, until_signalled)


async def work(res: Resources, stopping: asyncio.Event, every: float = _SWEEP_EVERY) -> None:
    """All that a worker does, until `stopping` is set; `every`: seconds between two sweeps."""
    async with delivering(res) as deliverer, asyncio.TaskGroup() as group:
        group.create_task(deliverer.run(stopping))
        group.create_task(_repeat(res, Sweep.run, every, stopping))
        group.create_task(_repeat(res, Sweep.look, _LOOK_EVERY, stopping))
        if requires_scans(res.settings):
            # Loaded late, as is what it needs.
            from app.scans.work import Scanner

            group.create_task(Scanner(res).run(stopping))
        if (queue := res.settings.bucket_events_queue) is not None:
            # Loaded late, with its library.
            from app.upkeep.queue import read_queue

            group.create_task(read_queue(res, queue, stopping))


async def _repeat(
    res: Resources,
    once: Callable[[Sweep], Awaitable[Counter[Outcome]]],
    every: float,
    stopping: asyncio.Event,
) -> None:
    while not stopping.is_set():
        await _try(once(Sweep(res, stopping=stopping)))
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await stopping.wait()


async def _try(sweeping: Awaitable[Counter[Outcome]]) -> None:
    try:
        counts = await sweeping
    except Problem as problem:
        # Database or bucket are away for a while: the next sweep tries again.
        _log.warning(
            "sweep_failed",
            problem=problem.slug(),
            detail=problem.detail,
            reason=problem.reason,
        )
    else:
        if counts:
            _log.info("swept", **{str(outcome): n for outcome, n in counts.items()})


@contextmanager
def _stop_event() -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set, so that work under way ends in order."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    signals = signal.SIGTERM, signal.SIGINT
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@contextmanager
def _progress() -> Iterator[Callable[[Outcome], None]]:
    """Yield a function that takes the outcome of each row, and shows how many there are of each."""
    counts: Counter[Outcome] = Counter()
    with progress_line("swept") as show:

        def count(outcome: Outcome) -> None:
            counts[outcome] += 1
            show(f"swept: {_summary(counts)}", counts.total() % _LINE_EVERY == 0)

        yield count
    sys.stderr.write(f"swept: {_summary(counts)}\n")


def _summary(counts: Counter[Outcome]) -> str:
    """`3 confirmed, 120 removed`, in the order of the outcomes."""
    return ", ".join(f"{counts[o]:,} {o}" for o in Outcome if counts[o]) or "nothing to do"
