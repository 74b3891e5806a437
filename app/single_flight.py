"""Work that is done once for all who ask for it while it is under way."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar

_T = TypeVar("_T")


class SingleFlight:
    """The tasks under way, some of them by names under which callers share them.

    A task belongs to none of its callers. Wait with `asyncio.shield` or `asyncio.wait`, so that a
    caller who goes away leaves it to the others; a failure reaches all who wait.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._shared: dict[Hashable, asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        """How many tasks are under way."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run it now, whether or not anybody waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def share(
        self, name: Hashable, work: Callable[[], Coroutine[Any, Any, _T]], seconds: float = 0
    ) -> asyncio.Task[_T]:
        """The work of that name that is under way, or ended less than so many seconds ago; else it
        is started. However many ask, it is done once.
        """
        task = self.shared(name)
        if task is None:
            task = self._shared[name] = self.start(self._run(name, work, seconds))
            task.add_done_callback(partial(self._forget_cancelled, name))
        return task

    def shared(self, name: Hashable) -> asyncio.Task[Any] | None:
        """The task that `share` would give; None where it would start one."""
        task = self._shared.get(name)
        return None if task is None or task.cancelled() else task

    async def drain(self, seconds: float = 0) -> None:
        """Give what is under way that long to end, then cancel it and let it tidy up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(
        self, name: Hashable, work: Callable[[], Coroutine[Any, Any, _T]], seconds: float
    ) -> _T:
        try:
            return await work()
        finally:
            # In the work's own last step: whoever asks after it must have it done again.
            task = asyncio.current_task()
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._forget, name, task)
            else:
                self._forget(name, task)

    def _forget_cancelled(self, name: Hashable, task: asyncio.Task[Any]) -> None:
        """A task that is cancelled before its first step has no last one."""
        if task.cancelled():
            self._forget(name, task)

    def _forget(self, name: Hashable, task: asyncio.Task[Any] | None) -> None:
        if self._shared.get(name) is task:
            del self._shared[name]

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
