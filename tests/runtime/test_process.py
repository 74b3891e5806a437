"""When a process collects garbage: in quiet moments, and in the end in any."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from app.loading import loading
from app.runtime import process
from app.runtime.process import collecting_garbage, freeze_garbage_collector


class _Cycle:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The generations that were gone through, of a process that is set up as a server's; it looks
    in each turn of the event loop.
    """
    monkeypatch.setattr(process, "_LOOK_SECONDS", 0)
    before, generations = gc.get_threshold(), list[int]()

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.collect()
    freeze_garbage_collector()
    gc.callbacks.append(note)
    yield generations
    gc.callbacks.remove(note)
    gc.set_threshold(*before)
    gc.unfreeze()


def _leave(count: int) -> "weakref.ref[_Cycle]":
    cycles = [_Cycle() for _ in range(count)]
    return weakref.ref(cycles[0])


async def _gone(garbage: "weakref.ref[_Cycle]") -> bool:
    for _ in range(10_000):
        if garbage() is None:
            return True
        await asyncio.sleep(0.001)
    return False


async def _be_busy() -> None:
    """Take the event loop's time in each of its turns."""
    while True:
        end = perf_counter() + 2 * process._EMPTY_TURN
        while perf_counter() < end:
            pass
        await asyncio.sleep(0)


async def test_what_requests_leave_is_collected_where_nothing_else_is_to_do(
    collected: list[int],
) -> None:
    async with collecting_garbage():
        assert await _gone(_leave(2000))
    assert set(collected) == {0}


async def test_much_is_collected_where_nobody_asks(collected: list[int]) -> None:
    async with collecting_garbage():
        assert await _gone(_leave(20_000))
    assert set(collected) == {0}


async def test_much_is_not_collected_while_there_is_ever_more(collected: list[int]) -> None:
    # Of requests that wait for others, or of a thread.
    async with collecting_garbage():
        in_hand = [_Cycle() for _ in range(5000)]
        for _ in range(100):
            in_hand += [_Cycle() for _ in range(200)]
            await asyncio.sleep(0)
    assert collected == []


async def test_nothing_goes_on_when_it_is_left(collected: list[int]) -> None:
    before = asyncio.all_tasks()
    async with collecting_garbage():
        [_] = asyncio.all_tasks() - before
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_what_was_opened_meanwhile_is_gone_through_no_more(collected: list[int]) -> None:
    opened = _Cycle()
    async with collecting_garbage():
        assert all(one is not opened for one in gc.get_objects())


async def test_what_was_in_use_when_others_was_collected_is_collected_later(
    collected: list[int],
) -> None:
    async with collecting_garbage():
        cycle = _Cycle()
        assert await _gone(_leave(2000))
        garbage = weakref.ref(cycle)
        del cycle
        while not {1, 2} & set(collected):
            assert garbage() is not None
            assert await _gone(_leave(2000))
    assert garbage() is None


async def test_nothing_is_collected_while_requests_have_the_event_loop(
    collected: list[int],
) -> None:
    busy = asyncio.create_task(_be_busy())
    async with collecting_garbage():
        garbage = _leave(5000)
        for _ in range(100):
            await asyncio.sleep(0)
    busy.cancel()
    assert garbage() is not None
    assert collected == []


async def test_nothing_is_collected_while_a_thread_loads_what_stays(collected: list[int]) -> None:
    with loading():
        async with collecting_garbage():
            garbage = _leave(2000)
            for _ in range(100):
                await asyncio.sleep(0)
    assert garbage() is not None
    assert collected == []


async def test_what_is_left_is_bounded_though_requests_always_have_the_event_loop(
    collected: list[int],
) -> None:
    busy = asyncio.create_task(_be_busy())
    async with collecting_garbage():
        garbage = _leave(5000)
        for _ in range(100):
            _leave(2500)
            await asyncio.sleep(0)
    busy.cancel()
    assert garbage() is None
    assert collected


async def test_a_process_of_others_is_left_alone(collected: list[int]) -> None:
    gc.set_threshold(700, 10, 10)
    before = asyncio.all_tasks()
    async with collecting_garbage():
        assert asyncio.all_tasks() == before
