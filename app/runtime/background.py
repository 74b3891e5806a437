"""Work that outlives the request that started it, and ends with the process."""

import asyncio
from typing import Any, Final

from app.errors import Problem
from app.logs.log import get_logger
from app.single_flight import SingleFlight

_log: Final = get_logger("background")


class Background(SingleFlight):
    """The tasks under way. Their failures are logged: perhaps no caller waits for them any more."""

    def _ended(self, task: asyncio.Task[Any]) -> None:
        super()._ended(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Problem):
            _log.info("work_ended", problem=error.slug(), detail=error.detail)
        elif error is not None:
            _log.error("unexpected_failure", exc_info=error)
