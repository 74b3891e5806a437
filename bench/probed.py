"""The service with a probe in its event loop: `uvicorn bench.probed:create_app --factory`.

The probe sleeps a millisecond, again and again, and notes how much later than that it is woken:
whatever holds the loop up (a long callback, a burst of callbacks, the garbage collector) holds up
every request in the same way. `GET /bench/pauses` answers with what was seen, and forgets it.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from bench.service import create_app as create_service

_INTERVAL = 0.001  # seconds


@dataclass
class Probe:
    """Delays in seconds, each with the processor time that this process spent in it.

    A long delay with little processor time is the machine's: another process had the core.
    """

    delays: list[tuple[float, float]] = field(default_factory=list)
    collections: list[float] = field(default_factory=list)
    _collecting: float = 0.0

    async def run(self) -> None:
        while True:
            start, spent = time.perf_counter(), time.process_time()
            await asyncio.sleep(_INTERVAL)
            late = time.perf_counter() - start - _INTERVAL
            self.delays.append((late, time.process_time() - spent))

    def on_collection(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self.collections.append(time.perf_counter() - self._collecting)

    def report(self) -> dict[str, float]:
        """Milliseconds."""
        delays, self.delays = self.delays, []
        collections, self.collections = self.collections, []
        late = sorted(delay for delay, _ in delays)
        return {
            "max": late[-1] * 1000,
            "p99": late[len(late) * 99 // 100] * 1000,
            "p50": late[len(late) // 2] * 1000,
            "max_cpu": max(cpu for _, cpu in delays) * 1000,
            "gc": max(collections, default=0.0) * 1000,
        }


def create_app() -> FastAPI:
    """The service as it is deployed, and the probe beside it."""
    app = create_service()
    probe, opened = Probe(), app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with opened(app) as state:
            task = asyncio.create_task(probe.run())
            gc.callbacks.append(probe.on_collection)
            yield state
            gc.callbacks.remove(probe.on_collection)
            task.cancel()

    app.router.lifespan_context = lifespan

    @app.get("/bench/pauses")
    async def pauses() -> dict[str, float]:
        return probe.report()

    return app
