"""The loop whose time is virtual."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from tests.simulation.loop import SimLoop, Stuck, owner


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    loop = SimLoop()
    yield loop
    loop.close()


def test_hours_pass_at_once_and_in_order(loop: SimLoop) -> None:
    seen = []

    async def wait(hours: float) -> None:
        await asyncio.sleep(3600 * hours)
        seen.append((hours, loop.time()))

    async def life() -> None:
        await asyncio.gather(wait(5), wait(1), wait(300))

    began = time.monotonic()
    loop.run_until_complete(life())
    assert seen == [(1, 3600.0), (5, 18_000.0), (300, 1_080_000.0)]
    assert time.monotonic() - began < 300
    loop.begin_anew()
    assert loop.time() == 0


def test_threads_are_none(loop: SimLoop) -> None:
    assert loop.run_until_complete(asyncio.to_thread(threading.get_ident)) == threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        loop.run_until_complete(asyncio.to_thread(lambda: 1 / 0))


def test_what_waits_for_ever_is_told(loop: SimLoop) -> None:
    async def life() -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match="nothing can go on"):
        loop.run_until_complete(life())


def test_tasks_belong_to_who_began_them(loop: SimLoop) -> None:
    class Process:
        dead = False

        def __init__(self) -> None:
            self.tasks: list[asyncio.Task[None]] = []

        def adopt(self, task: asyncio.Task[None]) -> None:
            self.tasks.append(task)

    process = Process()

    async def nothing() -> None:
        pass

    async def life() -> None:
        owner.set(process)
        ours, theirs = asyncio.create_task(nothing()), loop.outside(nothing())
        await asyncio.gather(ours, theirs)
        assert process.tasks == [ours]

    loop.run_until_complete(life())
