"""`claimcheck sweep`, and `claimcheck worker`, which repeats it."""

import argparse
import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.errors import Problem
from app.logs.log import get_logger
from app.runtime.process import configure_logging
from app.runtime.resources import Resources, open_resources
from app.settings.model import load_settings, require_stores
from app.upkeep.sweep import Outcome, Sweep

if TYPE_CHECKING:
    from argparse import _SubParsersAction

FAILED_STATUS: Final = 2
_LINE_EVERY: Final = 1000
_log: Final = get_logger("worker")


def add(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add both commands to the parser."""
    what = "end unfinished work: uploads never confirmed, removals and completions cut short"
    status = f"Exit status {FAILED_STATUS} if the store failed for some; a later sweep goes on."
    sweeping = commands.add_parser("sweep", help=what, description=f"{what}. {status}")
    sweeping.set_defaults(run=_sweep)
    what = "sweep again and again, until it is stopped"
    worker = commands.add_parser("worker", help=what, description=what)
    worker.add_argument(
        "--every",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="from the end of one sweep to the beginning of the next (default: 60)",
    )
    worker.set_defaults(run=_worker)


def _seconds(value: str) -> float:
    seconds = float(value)
    if not 0 < seconds <= 86_400:
        raise ValueError(value)
    return seconds


def _sweep(_: argparse.Namespace) -> None:
    configure_logging()
    settings = load_settings()
    require_stores(settings)

    async def run() -> Counter[Outcome]:
        async with open_resources(settings) as res:
            with stopped_by_signals() as stopping, progress("swept") as report:
                return await Sweep(res, report, stopping).run()

    counts = asyncio.run(run())
    if counts[Outcome.FAILED]:
        sys.exit(FAILED_STATUS)


def _worker(options: argparse.Namespace) -> None:
    configure_logging()
    settings = load_settings()
    require_stores(settings)

    async def run() -> None:
        async with open_resources(settings) as res:
            with stopped_by_signals() as stopping:
                while not stopping.is_set():
                    await _swept(res, stopping)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), options.every)

    asyncio.run(run())


async def _swept(res: Resources, stopping: asyncio.Event) -> None:
    try:
        counts = await Sweep(res, stopping=stopping).run()
    except Problem as problem:
        # Database or bucket are away for a while: the next sweep tries again.
        _log.warning("sweep_failed", problem=problem.slug(), detail=problem.detail)
    else:
        if counts:
            _log.info("swept", **{str(outcome): n for outcome, n in counts.items()})


@contextmanager
def stopped_by_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set: work under way ends in order, no more is begun."""
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
def progress(verb: str) -> Iterator[Callable[[Outcome], None]]:
    """Report progress to standard error: a live line on a terminal, else a line each 1,000 rows."""
    console = Console(stderr=True)
    counts: Counter[Outcome] = Counter()
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(verb)

            def move(outcome: Outcome) -> None:
                counts[outcome] += 1
                bar.update(task, description=f"{verb}: {summary(counts)}")

            yield move
    else:

        def count(outcome: Outcome) -> None:
            counts[outcome] += 1
            if counts.total() % _LINE_EVERY == 0:
                sys.stderr.write(f"{verb}: {summary(counts)}\n")

        yield count
    sys.stderr.write(f"{verb}: {summary(counts)}\n")


def summary(counts: Counter[Outcome]) -> str:
    """`3 confirmed, 120 removed`, in the order of the outcomes."""
    return ", ".join(f"{counts[o]:,} {o}" for o in Outcome if counts[o]) or "nothing to do"
