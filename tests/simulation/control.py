"""A connection beside those of the service, used synchronously, while virtual time stands still."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

import asyncpg

_T = TypeVar("_T")
_connect: Final = asyncpg.connect
_real_time: Final = time.monotonic
_BLOCKERS: Final = "SELECT pid, pg_blocking_pids(pid) AS by FROM unnest($1::int[]) AS pid"


class _TrueLoop(asyncio.SelectorEventLoop):
    """By the true clock, also while a world has patched the module's."""

    def time(self) -> float:
        return _real_time()


class Control:
    """Asks and tells the server whatever the simulation itself wants of it."""

    def __init__(self, dsn: str) -> None:
        self._loop = _TrueLoop()
        self._connection: asyncpg.Connection = self._run(_connect(dsn))

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run it to its end, also where another loop, which waits meanwhile, is running."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            return self._loop.run_until_complete(work)
        finally:
            asyncio._set_running_loop(outer)

    def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        return self._run(self._connection.fetch(sql, *args))

    def execute(self, sql: str) -> None:
        """One statement, or several."""
        self._run(self._connection.execute(sql))

    def blockers(self, pids: Iterable[int]) -> dict[int, list[int]]:
        """Of these server processes, those that wait for a lock, and for whom."""
        return {row["pid"]: row["by"] for row in self.fetch(_BLOCKERS, list(pids)) if row["by"]}

    def cancel(self, pid: int) -> None:
        """End the statement of this server process, not its connection."""
        self.fetch("SELECT pg_cancel_backend($1)", pid)

    def close(self) -> None:
        self._run(self._connection.close())
        self._loop.close()
