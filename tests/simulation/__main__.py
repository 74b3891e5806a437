"""`python -m tests.simulation --seeds 1000`: lives of the service, each decided by its seed.

Exit status 1 if one failed. A failing seed is told as a story, shrunk to what it needs.
"""

import argparse
import os
import secrets
import signal
import sys
import time
from itertools import count
from pathlib import Path
from typing import Final

from tests.simulation.jobs import Task, outcomes
from tests.simulation.plan import draw
from tests.simulation.run import Outcome, runner

# Sets of texts are gone through in another order otherwise.
_HASHES: Final = "PYTHONHASHSEED"


def main() -> int:
    if os.environ.get(_HASHES) != "0":
        os.execve(sys.executable, sys.orig_argv, {**os.environ, _HASHES: "0"})
    # As Ctrl-C: what was found is told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _options()
    if options.seed is not None:
        return _one(options)
    first = options.first
    if first is None:
        first = secrets.randbelow(10**9) if options.minutes else 0
    count_ = options.seeds if options.seeds or options.minutes else 100
    until = time.time() + options.minutes * 60 if options.minutes else float("inf")
    again = _kept(options.again) if options.again else None
    tasks: list[Task] = [
        {
            "seeds": None if again is None else again[number :: options.jobs],
            "first": first,
            "count": count_,
            "jobs": options.jobs,
            "number": number,
            "until": until,
        }
        for number in range(options.jobs)
    ]
    return _run(tasks, options, first)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, metavar="N", help="how many (100)")
    parser.add_argument("--from", type=int, dest="first", metavar="N", help="the first one")
    parser.add_argument("--minutes", type=float, metavar="N", help="go on for so long")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="add failing seeds to it")
    parser.add_argument("--again", type=Path, metavar="FILE", help="the seeds of such a file")
    parser.add_argument("--seed", type=int, metavar="N", help="this one alone, and its history")
    parser.add_argument("--explain", action="store_true", help="shrink it, and tell its story")
    parser.add_argument("--without", action="append", default=[], metavar="ITEM", help="leave out")
    return parser.parse_args()


def _one(options: argparse.Namespace) -> int:
    with runner() as each:
        outcome = each.live(draw(options.seed).without(options.without))
        if outcome.failures and options.explain:
            outcome = each.shrunk(outcome)
    print("\n".join(outcome.lines))
    if outcome.failures:
        print(_told(outcome, with_story=False))
    return int(bool(outcome.failures))


def _told(outcome: Outcome, *, with_story: bool = True) -> str:
    """A failure in words, and how to see it again."""
    again = f"python -m tests.simulation --seed {outcome.seed}"
    lines = [f"Seed {outcome.seed}: {failure}" for failure in outcome.failures[:5]]
    if with_story:
        lines += outcome.lines
    if outcome.left_out:
        faults = draw(outcome.seed).without(outcome.left_out)
        lines += [
            f"Fault {n}: {f}" for n, f in enumerate(faults.faults) if faults.keeps(f"fault {n}")
        ]
        lines.append(f"Left out: {', '.join(outcome.left_out)}")
    return "\n".join([*lines, f"Again: {again} --explain"])


def _kept(file: Path) -> list[int]:
    return [int(line.split()[0]) for line in file.read_text().splitlines() if line.strip()]


def _run(tasks: list[Task], options: argparse.Namespace, first: int) -> int:
    began, failed, seams = time.monotonic(), 0, 0
    done: set[int] = set()
    try:
        for outcome in outcomes(tasks):
            if outcome.seed in done:
                _line("")
                print(_told(outcome), flush=True)
                continue
            done.add(outcome.seed)
            seams += outcome.seams
            if outcome.failures:
                failed += 1
                _line("")
                print(_told(outcome, with_story=False), flush=True)
                if options.keep:
                    with options.keep.open("a") as file:
                        file.write(f"{outcome.seed} {outcome.failures[0]}\n")
            _line(_progress(len(done), failed, options.seeds, time.monotonic() - began))
    except KeyboardInterrupt:
        pass
    _line("")
    seconds = time.monotonic() - began
    following = next(n for n in count(first) if n not in done)
    print(
        f"{len(done):,} seeds, {failed} failed, {seams:,} steps in {seconds:.0f} s "
        f"({seams / seconds:.0f} a second). Go on: --from {following}"
    )
    return int(failed > 0)


def _progress(done: int, failed: int, of: int | None, seconds: float) -> str:
    share = f"{done:,} of {of:,} seeds" if of else f"{done:,} seeds"
    full = 30 * done // of if of else 0
    bar = f"[{'#' * full}{'.' * (30 - full)}] " if of else ""
    return f"{bar}{share}, {failed} failed, {seconds / done:.2f} s each"


def _line(text: str) -> None:
    """One line that is written over, where somebody looks."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
