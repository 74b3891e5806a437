"""Work that outlives the request that began it: owned here, and ended with the process."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final, TypeVar

from app.errors import Problem
from app.log import get_logger

_T = TypeVar("_T")
_log: Final = get_logger("background")


class Background:
    """The tasks under way. Their failures are logged: perhaps nobody waits any more."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._shared: dict[Hashable, asyncio.Task[Any]] = {}

    def start(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run it now, whether or not anybody waits for it; wait with `asyncio.wait`."""
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
        task = self._shared.get(name)
        if task is None:
            task = self._shared[name] = self.start(work())
            task.add_done_callback(lambda _: self._forget(name, seconds))
        return task

    def _forget(self, name: Hashable, seconds: float) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._shared.pop, name)
        else:
            del self._shared[name]

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Problem):
            _log.info("work_ended", problem=error.slug(), detail=error.detail)
        elif error is not None:
            _log.error("unexpected_failure", exc_info=error)

    async def drain(self, seconds: float) -> None:
        """Give what is under way that long to end, then cancel it and let it tidy up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
