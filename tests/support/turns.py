"""Counts the turns of the event loop that a task leaves to others."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def turns_of_others(work: Coroutine[Any, Any, T]) -> tuple[T, int]:
    """The work's result, and how many turns another task had meanwhile."""
    count, task = 0, asyncio.create_task(work)
    while not task.done():
        await asyncio.sleep(0)
        count += 1
    return task.result(), count
