"""The simulated store: its buckets, its keys, and the way that every request takes to them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from app.embedded.s3_error import S3Error
from tests.simulation.chance import Chance
from tests.simulation.store.body import Body
from tests.simulation.store.browser_door import Reply, answer, parsed, refusal
from tests.simulation.store.keys import Key, KnownKeys
from tests.simulation.store.lists import list_operation
from tests.simulation.store.manners import Manners
from tests.simulation.store.state import Bucket, Change, Version

# How long a browser waits for an answer, in seconds; it is the system that gives up.
_BROWSER_SECONDS: Final = 120.0


class Pass(Protocol):
    """`World.seam`: does the effect between two latencies, unless something goes wrong."""

    def __call__(
        self, process: Any, kind: str, name: str, effect: Callable[[], Any], *, who: str = ""
    ) -> Awaitable[Any]: ...


async def at_once(
    process: Any, kind: str, name: str, effect: Callable[[], Any], *, who: str = ""
) -> Any:
    """The way of a world in which nothing takes time, or goes wrong."""
    return effect()


@dataclass(frozen=True)
class Created:
    """An object that has arrived, as the store tells of it."""

    at: datetime
    bucket: str
    key: str
    version_id: str
    size: int
    how: str


class Store:
    """A store of these manners. With a `chance` it has accidents that its manners allow.

    `listeners` are told of each object that has arrived; `log` has every change.
    """

    def __init__(
        self,
        manners: Manners,
        *,
        clock: Callable[[], datetime],
        seam: Pass = at_once,
        chance: Chance | None = None,
    ) -> None:
        self.manners = manners
        self.clock = clock
        self.seam = seam
        self.chance = chance
        self.buckets: dict[str, Bucket] = {}
        self.log: list[Change] = []
        self.keys = KnownKeys(tells_ended=manners.tells_ended_token)
        self.listeners: list[Callable[[Created], None]] = []
        # Entries of one page of a list at most.
        self.page = chance.of("page").pick([2, 5, 1000]) if chance else 1000
        # Told of each call of a process before it takes effect, and after.
        self.before: Callable[[Any, str, Mapping[str, Any]], None] = _nothing
        self.after: Callable[[Any, str], None] = _nothing
        self._under_way: set[asyncio.Task[Any]] = set()

    def add_bucket(self, name: str, *, versioned: bool = True) -> Bucket:
        self.buckets[name] = Bucket(name, self.manners, versioned, self.log)
        return self.buckets[name]

    def add_key(self, access_key: str, key: Key) -> None:
        self.keys.known[access_key] = key

    def bucket(self, name: str) -> Bucket:
        """Raises S3Error."""
        found = self.buckets.get(name)
        if found is None:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist.")
        found.settle(self.clock())
        return found

    def settle(self) -> None:
        """Let everything be there that was to come by now."""
        for bucket in self.buckets.values():
            bucket.settle(self.clock())

    def happens(self, probability: float) -> bool:
        return self.chance is not None and self.chance.happens(probability)

    def late(self, usual: float) -> timedelta:
        """How much later than at once something is there."""
        return timedelta(seconds=self.chance.latency(usual) if self.chance else 0)

    def created(self, bucket: Bucket, key: str, version: Version, how: str) -> None:
        """Tell that an object has arrived."""
        told = Created(version.at, bucket.name, key, version.id, version.size, how)
        for listener in self.listeners:
            listener(told)

    async def browser(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        *,
        form: Mapping[str, str] | None = None,
        who: str = "browser",
    ) -> Reply:
        """The answer to a browser. A request whose browser has gone may take effect all the same.

        Raises ConnectionError or TimeoutError where no answer comes.
        """
        return await self.reply(None, method, url, headers, body, form=form, who=who)

    async def reply(
        self,
        process: Any,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        *,
        form: Mapping[str, str] | None = None,
        who: str = "",
        seconds: float = _BROWSER_SECONDS,
    ) -> Reply:
        """The answer to a request that was presigned, of a browser or of a process."""
        sent = body or Body()
        request = parsed(self, method, url, headers or {}, sent.length)
        begun = self.clock()
        kind = "form" if form is not None else "part" if request.has("uploadId") else "object"
        name = list_operation(request) or f"{method} {kind}"

        def effect() -> Reply:
            if process:
                self.before(process, name, {"Bucket": request.bucket, "Key": request.key})
            said = answer(self, request, sent, form, begun, who or str(process))
            self.after(process, name)
            return said

        try:
            door = "store" if process else "browser"
            return await self.passed(process, door, name, effect, who=who, seconds=seconds)
        except S3Error as error:  # of a fault
            return refusal(self, method, error)

    async def passed(
        self,
        process: Any,
        kind: str,
        name: str,
        effect: Callable[[], Any],
        *,
        who: str = "",
        seconds: float | None,
    ) -> Any:
        """Send it on its way, from which nobody calls it back. Raises TimeoutError."""
        task = asyncio.get_running_loop().create_task(
            _as_task(self.seam(process, kind, name, effect, who=who)), context=Context()
        )
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError("no answer came")
        return task.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()

    async def close(self) -> None:
        """Drop what is under way."""
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way))


def _nothing(*_: Any) -> None:
    pass


async def _as_task(passing: Awaitable[Any]) -> Any:
    return await passing
