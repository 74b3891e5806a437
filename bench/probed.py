"""The service with its event loop watched: `uvicorn bench.probed:create_app --factory`.

Each callback of the loop is timed, by the processor time of its thread: between the end of one and
the start of the next any other request can have its turn, and within one none can. Run it with
`--loop asyncio`, whose callbacks can be watched. `GET /bench/slice` answers with the longest since
it was asked last.
"""

from __future__ import annotations

import asyncio.events
import time
from typing import Any

from fastapi import FastAPI

from bench.service import create_app as create_service


class Slices:
    """The longest callback, in seconds of processor time."""

    def __init__(self) -> None:
        self.longest = 0.0

    def watch(self) -> None:
        """Time every callback of this process's loops from now on."""
        run = asyncio.events.Handle._run

        def timed(handle: Any) -> None:
            start = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - start)

        asyncio.events.Handle._run = timed  # type: ignore[method-assign]


def create_app() -> FastAPI:
    """The service as it is deployed, and what was seen of its loop beside it."""
    app = create_service()
    slices = Slices()
    slices.watch()

    @app.get("/bench/slice")
    async def longest() -> float:
        seen, slices.longest = slices.longest, 0.0
        return seen

    return app
