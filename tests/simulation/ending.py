"""The end of a life: clients have gone, faults have ceased, and time does what the service leaves
to it, until nothing changes any more. Then everything is judged.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from app.events.deliver import delivering
from app.runtime.resources import Resources
from app.upkeep.reconcile import reconcile, sections
from app.upkeep.sweep import Sweep
from tests.simulation.invariants import END

if TYPE_CHECKING:
    from tests.simulation.world import World

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
# Beyond each deadline of the service: leases, the hour after an upload's end, three days of parts,
# a day of tombstones, a week of uploads in parts, and another day until their replays are looked for.
JUMPS: Final = (
    *(90.0, 20 * MINUTE, 70 * MINUTE, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR, 30 * HOUR),
    *(2 * DAY, 3 * DAY, 4 * DAY, 4 * DAY, 30 * HOUR, 30 * HOUR),
)


async def bring_to_an_end(world: "World") -> None:
    """Let everything that was begun end, and judge what is left."""
    for name, process in world.processes.items():
        if name != "web1":
            await process.stop()
    web = world.processes["web1"]
    while web.dead:
        await asyncio.sleep(1.0)
        if web.dead:
            await web.start()
    for jump in JUMPS:
        world.story.tell("time", f"passes: {jump / HOUR:.1f} hours")
        await asyncio.sleep(jump)
        counts = await web.call(_upkeep)
        world.story.tell("the sweep", "runs", **{str(name): n for name, n in counts.items()})
    while await world.read_feed("web1"):
        pass
    for difference in await web.call(_reconcile):
        world.blame([f"reconcile finds: {difference}"])
    for invariant in END:
        world.blame(invariant(world))


async def _upkeep(res: Resources) -> dict[str, int]:
    counts = await Sweep(res).run()
    async with delivering(res) as deliverer:
        await deliverer.run_once(asyncio.Event())
    return dict(counts)


async def _reconcile(res: Resources) -> list[str]:
    found: list[str] = []
    for section in sections(res.settings.destinations.values()):
        async for finding in reconcile(res, section):
            found.append(_words(finding))
    return found


def _words(finding: Any) -> str:
    return f"{finding.kind} {finding.key}"
