"""Jobs that live seeds side by side, each with a loop and a PostgreSQL of its own."""

import time
from collections.abc import Iterator
from itertools import count, islice
from multiprocessing import get_context
from queue import Empty
from typing import Any, Final, TypedDict

from tests.simulation.plan import draw
from tests.simulation.run import Outcome, runner

# Failures of one job that are shrunk, and for how many seconds each.
_SHRUNK: Final = 3
_SHRINK_SECONDS: Final = 120.0


class Task(TypedDict):
    """The part of one job: these `seeds`, or so many (None: without end) from `first` on; of them
    each `jobs`-th. No seed begins after `until`, in Unix time.
    """

    seeds: list[int] | None
    first: int
    count: int | None
    jobs: int
    number: int
    until: float


def outcomes(tasks: list[Task]) -> Iterator[Outcome]:
    """The outcome of each seed, as they end; of some that failed once more, when it is shrunk.

    Raises RuntimeError where a job itself breaks.
    """
    context = get_context("spawn")
    said = context.Queue()
    jobs = [context.Process(target=_work, args=(task, said), daemon=True) for task in tasks]
    for job in jobs:
        job.start()
    ended = 0
    try:
        while ended < len(jobs):
            try:
                outcome = said.get(timeout=5)
            except Empty:
                if any(job.exitcode for job in jobs):
                    raise RuntimeError("a job has broken; what it said is above") from None
                continue
            if outcome is None:
                ended += 1
            else:
                yield outcome
    finally:
        for job in jobs:
            job.join(1)
            job.terminate()


def _work(task: Task, said: Any) -> None:
    shrunk = 0
    with runner() as each:
        for seed in _seeds(task):
            if time.time() > task["until"]:
                break
            outcome = each.live(draw(seed))
            said.put(outcome)
            if outcome.failures and shrunk < _SHRUNK:
                shrunk += 1
                said.put(each.shrunk(outcome, _SHRINK_SECONDS))
    said.put(None)


def _seeds(task: Task) -> Iterator[int]:
    seeds = task["seeds"]
    following = iter(seeds) if seeds is not None else count(task["first"])
    return islice(following, task["number"], task["count"], task["jobs"])
