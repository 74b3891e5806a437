"""A time limit of many tasks with one timer ends those that are late, and nothing else."""

import asyncio
import time

import pytest

from app.http.time_limit import TimeLimit


async def limited(limit: TimeLimit, seconds: float, work: float, *, lifted: bool = False) -> str:
    task = limit.begin(seconds)
    if lifted:
        limit.lift(task)
    try:
        await asyncio.sleep(work)
    except asyncio.CancelledError:
        if not limit.end(task):
            raise
        assert not task.cancelling()
        return "late"
    assert not limit.end(task)
    return "in time"


async def test_who_is_late_is_cancelled_each_by_their_own_limit() -> None:
    limit = TimeLimit()
    # The shortest comes last, and others end before the timer of the first.
    ended = await asyncio.gather(
        limited(limit, 0.3, 3600),
        limited(limit, 3600, 0.01),
        limited(limit, 3600, 0.5),
        limited(limit, 0.05, 3600),
    )
    assert ended == ["late", "in time", "in time", "late"]
    # After a timer that found nobody to end, and with none left.
    assert await limited(limit, 0.05, 3600) == "late"


async def test_a_lifted_limit_ends_nobody() -> None:
    limit = TimeLimit()
    late, lifted = await asyncio.gather(
        limited(limit, 0.05, 3600), limited(limit, 0.05, 0.3, lifted=True)
    )
    assert (late, lifted) == ("late", "in time")


@pytest.mark.parametrize("seconds", [3600, 0.05])
async def test_whom_somebody_else_cancels_is_not_late(seconds: float) -> None:
    """Also where their time is over as well: whoever has cancelled them waits for that."""
    limit = TimeLimit()

    async def work() -> None:
        task = limit.begin(seconds)
        try:
            await asyncio.sleep(3600)
        finally:
            assert not limit.end(task)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    if seconds < 1:
        # Both at one turn of the event loop, which nothing has until then.
        asyncio.get_running_loop().call_later(seconds, task.cancel)
        time.sleep(2 * seconds)  # noqa: ASYNC251
    else:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
