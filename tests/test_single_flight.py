"""One piece of work for all who ask for it, whoever goes away."""

import asyncio
import contextlib

import pytest

from app.single_flight import SingleFlight


class Work:
    """Counts how often it is done, and ends when it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.end = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.count += 1
        count = self.count
        await self.end.wait()
        if self.failure is not None:
            raise self.failure
        return count


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def flights() -> SingleFlight:
    return SingleFlight()


async def test_it_is_done_once_for_all_and_anew_for_whoever_comes_later(
    flights: SingleFlight, work: Work
) -> None:
    callers = [flights.share("a", work) for _ in range(3)]
    other = flights.share("b", work)
    await asyncio.sleep(0)
    assert work.count == 2
    work.end.set()
    assert await asyncio.gather(*callers) == [1, 1, 1]
    assert await other == 2
    assert flights.shared("a") is None
    assert await flights.share("a", work) == 3


async def test_there_is_no_moment_at_which_ended_work_is_shared(
    flights: SingleFlight, work: Work
) -> None:
    work.end.set()
    first = flights.share("a", work)
    await asyncio.sleep(0)
    assert first.done()
    assert flights.share("a", work) is not first


async def test_whoever_goes_away_leaves_it_to_the_others(flights: SingleFlight, work: Work) -> None:
    async def caller() -> int:
        return await asyncio.shield(flights.share("a", work))

    hasty, patient = asyncio.create_task(caller()), asyncio.create_task(caller())
    await asyncio.sleep(0)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    work.end.set()
    assert (await patient, work.count) == (1, 1)


async def test_a_failure_reaches_all_and_is_not_kept(flights: SingleFlight, work: Work) -> None:
    work.failure = ValueError("no")
    callers = [asyncio.shield(flights.share("a", work)) for _ in range(3)]
    work.end.set()
    for caller in callers:
        with pytest.raises(ValueError, match="no"):
            await caller
    work.failure = None
    assert await flights.share("a", work) == 2


async def test_an_outcome_is_remembered_for_so_long(flights: SingleFlight, work: Work) -> None:
    work.end.set()
    first = flights.share("a", work, 0.05)
    await first
    assert flights.share("a", work, 0.05) is first
    await asyncio.sleep(0.1)
    assert await flights.share("a", work, 0.05) == 2


async def test_draining_ends_what_does_not_end_by_itself(flights: SingleFlight, work: Work) -> None:
    tidied = False

    async def untidy() -> None:
        nonlocal tidied
        try:
            await work()
        finally:
            tidied = True

    task = flights.share("a", untidy)
    await flights.drain(0.01)
    assert (task.cancelled(), tidied) == (True, True)
    # Nor is the name lost.
    work.end.set()
    assert await flights.share("a", work) == 2


async def test_what_was_ended_before_it_began_is_not_shared(
    flights: SingleFlight, work: Work
) -> None:
    task = flights.share("a", work)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    work.end.set()
    assert await flights.share("a", work) == 1


async def test_one_that_was_ended_takes_nothing_from_the_next(
    flights: SingleFlight, work: Work
) -> None:
    first = flights.share("a", work, 0.05)
    await asyncio.sleep(0)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    work.end.set()
    await asyncio.sleep(0.04)
    second = flights.share("a", work, 60)
    assert await second == 2
    # By now the first one's moment has come.
    await asyncio.sleep(0.1)
    assert flights.share("a", work, 60) is second
