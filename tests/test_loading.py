"""Late loading happens once, and not in the event loop's thread."""

import asyncio
import threading
from functools import cache

import pytest

from app.loading import load_once


async def test_however_many_need_it_it_is_loaded_once_in_a_thread() -> None:
    threads = []

    @cache
    def load() -> object:
        threads.append(threading.current_thread())
        return object()

    first, *others = await asyncio.gather(*(load_once(load) for _ in range(20)))
    assert others == [first] * 19
    assert await load_once(load) is first
    assert len(threads) == 1
    assert threads != [threading.main_thread()]


async def test_a_failure_is_tried_again() -> None:
    failures = [OSError("no memory")]

    @cache
    def load() -> str:
        if failures:
            raise failures.pop()
        return "loaded"

    with pytest.raises(OSError, match="no memory"):
        await load_once(load)
    assert await load_once(load) == "loaded"
