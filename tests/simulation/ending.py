"""The end of a life: clients have gone, faults have ceased, and time does what the service leaves
to it, until nothing changes any more. Then everything is judged.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from app.errors import BucketUnavailable, DatabaseUnavailable
from app.events.deliver import delivering
from app.runtime.resources import Resources
from app.scans.work import Scanner
from app.settings.checks import requires_scans
from app.upkeep.reconcile import reconcile, sections
from app.upkeep.sweep import Sweep
from tests.simulation.invariants import END, row_at
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

_T = TypeVar("_T")
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
# Beyond each deadline of the service: leases, the hour after an upload's end, three days of parts,
# a day of tombstones, a week of uploads in parts, and a day until their replays are looked for.
JUMPS: Final = (
    *(90.0, 20 * MINUTE, 70 * MINUTE, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR, 30 * HOUR),
    *(2 * DAY, 3 * DAY, 4 * DAY, 4 * DAY, 30 * HOUR, 30 * HOUR),
)


async def bring_to_an_end(world: "World") -> None:
    """Let everything that was begun end, and judge what is left."""
    web = world.processes["web1"]
    # Then each is there again that was killed, and stays away once it is stopped.
    await _awaken(web)
    for process in world.processes.values():
        if process is not web:
            await process.stop()
    for jump in JUMPS:
        world.story.tell("time", f"passes: {jump / HOUR:.1f} hours")
        await asyncio.sleep(jump)
        counts = await until_done(web, _upkeep)
        world.story.tell("the sweep", "runs", **{str(name): n for name, n in counts.items()})
    is_read = False
    while not is_read:
        await asyncio.sleep(1.0)
        is_read = await world.read_feed("web1")
    for kind, bucket, key in await until_done(web, _reconcile):
        row = row_at(world, bucket, key)
        if row is None and key in world.others and kind in {"orphan", "foreign"}:
            continue
        # Bytes that nothing seals may be sent again, and then are others than were confirmed.
        if row is None or row["sealed"] != "no" or kind not in {"overwritten", "size"}:
            world.blame([f"reconcile finds {kind} {world.call(key)}"])
    for invariant in END:
        world.blame(invariant(world))


async def _awaken(web: Process) -> None:
    """Where it has just been killed, wait until it is there again."""
    await asyncio.sleep(30.0)
    if web.dead:
        await web.start()


async def _upkeep(res: Resources) -> dict[str, int]:
    counts = await Sweep(res).run()
    if requires_scans(res.settings):
        await Scanner(res).run_once(asyncio.Event())
    async with delivering(res) as deliverer:
        await deliverer.run_once(asyncio.Event())
    return dict(counts)


async def _reconcile(res: Resources) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for section in sections(res.settings.destinations.values()):
        found += [(f.kind.value, f.bucket, f.key) async for f in reconcile(res, section)]
    return found


async def until_done(web: Process, work: Callable[[Resources], Awaitable[_T]]) -> _T:
    """The work, again where database or bucket did not answer: latencies are never bounded."""
    while True:
        try:
            done: _T = await web.call(work)
        except (DatabaseUnavailable, BucketUnavailable):
            await asyncio.sleep(1.0)
        except ConnectionError:
            await _awaken(web)
        else:
            return done
