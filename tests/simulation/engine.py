"""The ground of a world: its loop, database, chance, faults, history, and all clocks and random
numbers that the service would take from the machine.
"""

import asyncio
import gc
import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from unittest.mock import patch

import anyio.to_thread
import asyncpg

import app.events.deliver
import app.logs.log
import app.main
import app.runtime.rate_limits
import app.store.refusals
import app.store.sending
import app.turns
from tests.simulation.chance import Chance
from tests.simulation.database import Server, connect
from tests.simulation.faults import Fault, Faults, pass_seam
from tests.simulation.loop import owner
from tests.simulation.story import Story

if TYPE_CHECKING:
    from tests.simulation.database import SimConnection
    from tests.simulation.process import Process

_T = TypeVar("_T")
EPOCH: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Seconds after which a notification arrives.
_NOTIFY_SECONDS: Final = 0.001


class Engine:
    """One seed's life. A world is one of these with a store, clients and invariants."""

    def __init__(
        self,
        seed: int,
        server: Server,
        faults: list[Fault] | None = None,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self.seed, self.server, self.loop = seed, server, server.loop
        self.chance = Chance(seed)
        self.faults = Faults(faults or [])
        self.story = Story(self.loop.time, echo)
        self.processes: dict[str, Process] = {}
        self.listeners: list[tuple[str, SimConnection, Callable[..., Any]]] = []
        # Log lines from WARNING upwards: process, level, event, fields.
        self.logged: list[tuple[str, str, str, dict[str, Any]]] = []
        self.seams = 0
        # The share of notifications that are lost, each with its connection.
        self.lost_notifications = 0.01
        self._latencies: dict[tuple[str, str], Chance] = {}
        self._random: dict[tuple[str, str], Chance] = {}

    def now(self) -> datetime:
        """The true time of this world, and that of its database and store."""
        return EPOCH + timedelta(seconds=self.loop.time())

    async def seam(
        self,
        process: "Process | None",
        kind: str,
        name: str,
        effect: Callable[[], Any],
        who: str = "",
    ) -> Any:
        return await pass_seam(self, process, kind, name, effect, who)

    def latencies(self, who: str, kind: str) -> Chance:
        """The stream of latencies of one party's calls of one kind."""
        key = who, kind
        if key not in self._latencies:
            self._latencies[key] = self.chance.of("latency", *key)
        return self._latencies[key]

    def after_write(self) -> None:
        """Called when a statement that writes has taken effect; a world looks at its ledger."""

    def notify(self, channel: str) -> None:
        """Tell those who listen, a little later; some of them lose their connection instead."""
        chance = self.latencies("bus", channel)
        for heard, connection, callback in list(self.listeners):
            if heard != channel:
                continue
            if chance.happens(self.lost_notifications):
                self.story.tell("bus", "loses a notification", to=connection.process.name)
                connection.terminate()
                continue
            seconds = chance.latency(_NOTIFY_SECONDS)
            self.loop.call_later(seconds, self._ring, connection, channel, callback)

    def _ring(
        self, connection: "SimConnection", channel: str, callback: Callable[..., Any]
    ) -> None:
        if not connection.is_closed():
            callback(connection, 0, channel, "")

    def run(self, life: Coroutine[Any, Any, _T]) -> _T:
        """Live it. Nothing of it is left, neither on the loop nor in the database."""
        self.loop.begin_anew()
        self.server.begin_anew(self.seed)
        gc.collect()
        gc.disable()  # for it would run `__del__` at other moments each time
        with self._patched():
            try:
                return self.loop.run_until_complete(self._to_its_end(life))
            finally:
                gc.enable()

    async def _to_its_end(self, life: Coroutine[Any, Any, _T]) -> _T:
        try:
            return await life
        finally:
            for process in self.processes.values():
                await process.bury()
            await self.server.come_to_rest()
            left = [t for t in asyncio.all_tasks(self.loop) if t is not asyncio.current_task()]
            for task in sorted(left, key=hash):
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=1)
            await self.server.come_to_rest()

    # Other sources of chance and time.

    @contextmanager
    def _patched(self) -> Iterator[None]:
        state = random.getstate()
        with ExitStack() as stack:

            def replace(target: Any, name: str, value: Any) -> None:
                stack.enter_context(patch.object(target, name, value))

            replace(os, "urandom", self._bytes)
            replace(random, "_urandom", self._bytes)
            for name in ("monotonic", "perf_counter"):
                replace(time, name, self.loop.time)
            replace(time, "time", lambda: EPOCH.timestamp() + self.loop.time())
            replace(asyncpg, "connect", partial(connect, self))
            for module in (app.events.deliver, app.store.sending):
                replace(module, "random", self)
            replace(anyio.to_thread, "run_sync", _at_once)
            replace(app.turns, "perf_counter", lambda: 0.0)
            replace(app.store.sending, "utc_now", self._of_process)
            replace(app.store.refusals, "_now", self._of_process)
            replace(app.runtime.rate_limits.Windows.__init__, "__defaults__", (self.loop.time,))
            replace(app.main, "measured", _unmeasured)
            replace(app.logs.log.Logger, "_log", _Log(self).write)
            for target, name, value in self.patches():
                replace(target, name, value)
            random.seed(str(self.seed))
            try:
                yield
            finally:
                random.setstate(state)

    def patches(self) -> Iterable[tuple[Any, str, Any]]:
        """More that a world replaces: object, attribute, value."""
        return []

    def _bytes(self, count: int) -> bytes:
        """In the place of `os.urandom`. Each module has a stream of its own: some draw as they are
        loaded, which happens in the first life of a runner alone.
        """
        return self._stream(sys._getframe(1).f_globals.get("__name__")).bytes(count)

    def random(self) -> float:
        """In the place of `random.random`, for modules that have this engine for `random`."""
        return self._stream(sys._getframe(1).f_globals.get("__name__")).between(0.0, 1.0)

    def _stream(self, module: str | None) -> Chance:
        process = owner.get()
        name = "world" if process is None else process.name, str(module)
        if name not in self._random:
            self._random[name] = self.chance.of("random", *name)
        return self._random[name]

    def _of_process(self) -> datetime:
        process = owner.get()
        return self.now() if process is None else process.clock()


class _Log:
    """In the place of `Logger._log`: a line costs nothing, and what is wrong is kept."""

    _kept: ClassVar[frozenset[str]] = frozenset({"warning", "error"})

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def write(self) -> Callable[..., None]:
        engine, kept = self._engine, self._kept

        def write(logger: Any, method: str, level: int, event: str, fields: dict[str, Any]) -> None:
            if method not in kept:
                return
            process = owner.get()
            name = "world" if process is None else process.name
            if process is None or not process.dead:
                if fields.get("exc_info"):
                    fields = {**fields, "traceback": _traceback(fields["exc_info"])}
                engine.logged.append((name, method, event, fields))

        return write


def _traceback(raised: Any) -> str:
    if isinstance(raised, BaseException):
        return "".join(traceback.format_exception(raised))
    return traceback.format_exc()


async def _at_once(function: Callable[..., _T], *args: Any, **_: Any) -> _T:
    """There are no threads in virtual time."""
    return function(*args)


@asynccontextmanager
async def _unmeasured() -> Any:
    """The loop's lag is none of a virtual one's."""
    yield
