"""Steps of whoever runs the service, at its panel and by its commands: files are taken back,
records saved, objects of others adopted, buckets and sums compared, while all else goes on.

A step of a command judges what that says, for nobody else hears of it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from app.core.preconditions import Preconditions
from app.core.principal import Principal, Scope
from app.core.record_field import FieldPath
from app.errors import Problem
from app.records.writing import change_record
from app.runtime.resources import Resources
from app.store.look import ID_METADATA
from app.upkeep.adopt import Adoption, Candidate, How, Outcome, Pace, adopt
from app.upkeep.reconcile import Finding, Kind, reconcile, sections
from app.uploads.restore import restore_file
from app.usage.compare import compare
from tests.simulation.hand import Hand
from tests.simulation.plan import Step
from tests.simulation.store.body import Body

if TYPE_CHECKING:
    from tests.simulation.world import World

_OLD: Final = timedelta(days=40)


def put_there(hand: Hand, how: dict[str, Any]) -> None:
    """Put an object into the bucket, as others did before there was this service; or as it did
    itself once, and its database was lost (`orphan`).
    """
    world = hand.world
    bucket = world.store.buckets[world.settings.destinations[hand.life.destination].bucket]
    hand.key = f"{hand.life.destination}/{how['filename']}"
    said = {"content-type": how["content_type"] or "image/gif"}
    if how["orphan"]:
        said[f"x-amz-meta-{ID_METADATA}"] = f"{hand.life.number:032x}"
    before = [Body.real(b"an older one")] if how["again"] else []
    for days, body in enumerate([*before, hand.body]):
        at = world.now() - _OLD + timedelta(days=days)
        bucket.put(hand.key, body, said, at, "others")
    world.others.add(hand.key)
    world.view.read_on()


async def adopt_object(hand: Hand, step: Step) -> None:
    """Adopt the object that the life began with, so that it goes on as any other file's."""
    how, world, key = step.how, hand.world, hand.key
    assert key is not None
    world.model.asked.add(("adopt", key))

    async def work(res: Resources) -> list[Adoption]:
        destination = res.settings.destinations.get(hand.life.destination)
        if destination is None:
            return []
        place = None
        if how["attached"]:
            place = FieldPath("product", how["record"], how["field"])
        ways = How(True, how["look"], False, asyncio.Semaphore(8), Pace(None))
        candidate = Candidate(destination, key, hand.who, world.tenant, attach_to=place)
        return await adopt(res, [candidate], ways)

    for _ in range(how["tries"]):
        for said in await _run(world, "adopt", step, work) or []:
            if said.outcome is Outcome.ADOPTED:
                hand.id = str(said.file_id)
            if said.outcome in {Outcome.ADOPTED, Outcome.KNOWN}:
                _require_row(hand, said)


def _require_row(hand: Hand, said: Adoption) -> None:
    """Whatever is said to be adopted, or known, has had a row."""
    world = hand.world
    if world.ids.get(said.key) != (hand.id or world.ids.get(said.key, "")):
        world.blame([f"{world.call(said.key)} is said to be {said.outcome}, and never had a row"])


async def reconcile_bucket(hand: Hand, step: Step) -> None:
    """Compare buckets with the rows, and delete orphans, where nobody adopts any."""
    world = hand.world
    firsts = [life.steps[0].how for life in world.plan.lives]
    is_wanted = any(how.get("orphan") and how["tries"] for how in firsts)
    is_applied = step.how["tries"] % 2 == 0 and not is_wanted

    async def work(res: Resources) -> list[Finding]:
        found: list[Finding] = []
        for section in sections(res.settings.destinations.values()):
            found += [one async for one in reconcile(res, section, apply=is_applied)]
        return found

    for one in await _run(world, "reconcile", step, work) or []:
        row = next((r for r in world.model.files.values() if r["key"] == one.key), None)
        is_sealed = row is not None and row["sealed"] != "no"
        if one.kind in {Kind.ORPHAN, Kind.FOREIGN}:
            is_false = one.key not in world.others
        else:
            is_false = is_sealed or one.kind in {Kind.MISSING, Kind.VERSION, Kind.HIDDEN}
        if is_false:
            world.blame([f"reconcile finds {one.kind} {world.call(one.key)}"])


async def compare_sums(hand: Hand, step: Step) -> None:
    """Compare what is counted with the sums of files, and mend it; there is nothing to mend."""
    world, is_mended = hand.world, step.how["tries"] % 2 == 0

    async def work(res: Resources) -> Any:
        return await compare(res, mend=is_mended)

    for one in await _run(world, "compare", step, work) or []:
        world.blame([f"counts differ: {one}"])


async def restore(hand: Hand, step: Step) -> None:
    """Take a released file back."""
    if hand.id is None:
        return
    whose = Principal(hand.who, hand.world.tenant, frozenset(Scope))
    hand.world.model.asked.add(("restore", hand.id))
    work = partial(restore_file, caller=whose, file_id=UUID(hand.id))
    await _run(hand.world, "restore", step, work, file=hand.world.call(hand.id))


async def save_record(hand: Hand, step: Step) -> None:
    """Save several fields of a record at once."""
    if hand.id is None or hand.life.destination != "pictures":
        return
    file, whose = UUID(hand.id), Principal(hand.who, hand.world.tenant, frozenset(Scope))
    fields = (
        {"picture": [], "gallery": [file]}
        if step.how["tries"] % 2
        else {"picture": [file], "gallery": []}
    )

    async def save(res: Resources) -> None:
        await change_record(res, whose, "product", step.how["record"], fields, Preconditions())

    await _run(hand.world, "save", step, save, file=hand.world.call(hand.id))


async def _run(
    world: "World",
    what: str,
    step: Step,
    work: Callable[[Resources], Awaitable[Any]],
    **about: str,
) -> Any:
    """The outcome of work that no request asks for; None where it ends with an error."""
    world.story.tell("staff", f"{what} by {step.how['web']}", **about)
    try:
        return await world.processes[step.how["web"]].call(work)
    except (Problem, ConnectionError) as error:
        world.story.tell("staff", f"cannot {what}: {type(error).__name__}")
        return None
