"""The surroundings of the service besides its clients: a store that tells of arrivals, a scanner,
keys that end.

`draw_surroundings` decides what there is in a life; `Around` has it happen.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from tests.simulation.chance import Chance
from tests.simulation.loop import owner
from tests.simulation.store.keys import Key
from tests.simulation.store.manners import Manners
from tests.simulation.store.scanner import clamd, trusted
from tests.simulation.store.telling import Queue, Telling

if TYPE_CHECKING:
    from tests.simulation.world import World

_TOKEN: Final = "token-of-the-bucket"
_SESSION: Final = "session-token-of-the-simulation"
_QUEUE: Final = "https://sqs.us-east-1.amazonaws.com/123456789012/arrivals"


@dataclass(frozen=True)
class Surroundings:
    """`tells`: how the store tells of what arrives; `scanner`: who scans papers, and `infected`:
    what becomes of what is found; `keys_end`: from when on, and for how long, in seconds, the store
    takes the service's session token no more.
    """

    tells: Literal["door", "queue"] | None = None
    scanner: Literal["clamd", "guardduty"] | None = None
    infected: Literal["keep", "delete"] = "keep"
    keys_end: tuple[float, float] | None = None

    def settings(self) -> dict[str, str]:
        """The part of the environment that is about them."""
        found = {}
        if self.tells == "door":
            found["CLAIMCHECK_BUCKET_EVENTS_TOKEN"] = _TOKEN
        if self.tells == "queue":
            found["CLAIMCHECK_BUCKET_EVENTS_QUEUE"] = _QUEUE
        if self.scanner == "clamd":
            found["CLAIMCHECK_CLAMD_URL"] = "tcp://clamd.example:3310"
        if self.keys_end is not None:
            found["AWS_SESSION_TOKEN"] = _SESSION
        return found

    def of_papers(self) -> dict[str, Any]:
        """Settings of the destination whose files are scanned."""
        if self.scanner is None:
            return {}
        return {
            "scan": "required",
            "scanner": self.scanner,
            "infected_objects": self.infected,
            "max_size": 50 * 1024**2,
        }


def draw_surroundings(
    chance: Chance, length: float, manners: Manners, *, quiet: bool
) -> Surroundings:
    """Draw the surroundings of a life whose clients take so many seconds."""
    tells = chance.pick([None, "door", "queue"])
    keys_end = None
    if chance.happens(0.1) and not quiet:
        keys_end = chance.between(0.0, length), chance.pick([2.0, 30.0])
    scanner = chance.pick([None, "clamd", "guardduty" if manners.tags == "kept" else "clamd"])
    return Surroundings(tells, scanner, chance.pick(["keep", "delete"]), keys_end)


@dataclass
class Around:
    """The surroundings of a world, which are there from `begin` on."""

    world: "World"
    surroundings: Surroundings
    _key: Key | None = None
    _queue: Queue | None = None
    _telling: Telling | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def patches(self) -> Iterable[tuple[Any, str, Any]]:
        if self.surroundings.tells == "queue":
            import app.upkeep.queue

            self._queue = Queue(self.world.store, self.world.chance.of("queue"))
            yield app.upkeep.queue, "open_queue", self._queue.opener(owner.get)
        if self.surroundings.scanner == "clamd":
            import app.scans.work

            yield app.scans.work, "Clamd", clamd(self.world.seam, owner.get)
            yield app.scans.work, "prove", trusted

    def add_key(self, access_key: str, secret: str) -> None:
        """Have the store take the service's keys."""
        token = _SESSION if self.surroundings.keys_end else None
        self._key = Key(secret, token)
        self.world.store.add_key(access_key, self._key)

    def begin(self) -> None:
        tells, scans = self.surroundings.tells, self.surroundings.scanner == "guardduty"
        if tells or scans:
            deliver = self._queue.put if self._queue is not None else self._deliver
            chance = self.world.chance.of("telling")
            lost = 0.1 if tells else 1.0
            self._telling = Telling(self.world.store, chance, deliver, scans=scans, lost=lost)
            self._telling.begin()
        if self.surroundings.keys_end is not None:
            self._tasks.append(asyncio.create_task(self._end_keys(*self.surroundings.keys_end)))

    async def end(self) -> None:
        """Let everything that was begun be over."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._telling is not None:
            await self._telling.quiet()

    async def _deliver(self, body: bytes) -> None:
        web = self.world.processes[self.world.chance.of("told", len(body)).pick(["web1", "web2"])]
        path = f"/v1/bucket-events?token={_TOKEN}"
        reply = await web.request("POST", path, client="the store", body=body)
        if reply.status != 204:
            raise ConnectionError(f"the door answered {reply.status}")

    async def _end_keys(self, start: float, seconds: float) -> None:
        assert self._key is not None
        await asyncio.sleep(start)
        self._key.ends_at = self.world.now() - timedelta(seconds=1)
        self.world.story.tell("the store", "takes the service's session token no more")
        await asyncio.sleep(seconds)
        self._key.ends_at = None
        self.world.story.tell("the store", "takes the service's session token again")
