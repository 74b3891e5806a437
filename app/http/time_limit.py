"""Gives up requests whose answers have not begun in time."""

import asyncio
import math
from typing import Any

_Request = asyncio.Task[Any]


class TimeLimit:
    """Cancels tasks whose time is over, as `asyncio.timeout` does, with one timer for all of them:
    a timer for each is a fiftieth of what an announcement costs.
    """

    def __init__(self) -> None:
        self._due: dict[_Request, float] = {}
        self._overdue: set[_Request] = set()
        self._next_look = math.inf

    def begin(self, seconds: float) -> _Request:
        """Limit the current task, which is returned, until `end` or `lift`."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        due = self._due[task] = loop.time() + seconds
        if due < self._next_look:
            self._look_at(due, loop)
        return task

    def lift(self, task: _Request) -> None:
        """Let the task go on for as long as it takes."""
        self._due.pop(task, None)

    def end(self, task: _Request) -> bool:
        """Whether the task was cancelled for its time alone; it is not cancelled any more then."""
        self._due.pop(task, None)
        if task not in self._overdue:
            return False
        self._overdue.remove(task)
        return task.uncancel() == 0

    def _look_at(self, due: float, loop: asyncio.AbstractEventLoop) -> None:
        self._next_look = due
        loop.call_at(due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._next_look = math.inf
        now = loop.time()
        for task in [task for task, due in self._due.items() if due <= now]:
            del self._due[task]
            self._overdue.add(task)
            task.cancel()
        if self._due:
            self._look_at(min(self._due.values()), loop)
