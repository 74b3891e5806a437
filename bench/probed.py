"""The service with its event loop watched: `uvicorn bench.probed:create_app --factory`.

Each callback of the loop is timed, by the processor time of its thread: between the end of one and
the start of the next any other request can have its turn, and within one none can. Run it with
`--loop asyncio`, whose callbacks can be watched. `GET /bench/slice` answers with the longest since
it was asked last.
"""

from __future__ import annotations

import asyncio.events
import asyncio.selector_events
import time
from typing import Any

from fastapi import FastAPI

from bench.service import create_app as create_service


class Slices:
    """The longest callback, in seconds of processor time, but for those that ask for it."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._is_asked = False

    def since(self) -> float:
        """The longest since this was called last."""
        self._is_asked = True
        seen, self.longest = self.longest, 0.0
        return seen

    def watch(self) -> None:
        """Time every callback of this process's loops from now on."""
        run = asyncio.events.Handle._run

        def timed(handle: Any) -> None:
            start = time.thread_time()
            run(handle)
            if not self._is_asked:
                self.longest = max(self.longest, time.thread_time() - start)
            self._is_asked = False

        asyncio.events.Handle._run = timed  # type: ignore[method-assign]


def leave_no_garbage() -> None:
    """Have a connection of asyncio's leave no cycle behind, as uvloop's leave none: the collector
    would have thousands to go through at the end of each load.
    """
    transport = asyncio.selector_events._SelectorSocketTransport
    lost = transport._call_connection_lost

    def freed(self: Any, error: Exception | None) -> None:
        lost(self, error)
        self._read_ready_cb = None

    transport._call_connection_lost = freed


def create_app() -> FastAPI:
    """The service as it is deployed, and what was seen of its loop beside it."""
    app = create_service()
    slices = Slices()
    slices.watch()
    leave_no_garbage()

    @app.get("/bench/slice")
    async def longest() -> float:
        return slices.since()

    return app
