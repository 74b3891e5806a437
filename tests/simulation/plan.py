"""A plan: all that will happen in the life of one seed, drawn up before it begins.

Each item is drawn from a stream of its own name, so that without one (`without`) the others stay as
they are: a failure is shrunk by leaving items out.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.simulation.around import Surroundings, draw_surroundings
from tests.simulation.chance import Chance
from tests.simulation.faults import Fault
from tests.simulation.mishaps import MISHAPS, store_refuses_to_join_late
from tests.simulation.store.manners import ALL, Manners

MIB: Final = 1024 * 1024
# The second is where a deployment may have a destination's uploads go from then on.
BUCKET, OTHER_BUCKET = "claimcheck-sim", "claimcheck-new"
# Seconds in which clients begin what they do.
LENGTH: Final = 60.0
STORES: Final = ("aws", "aws", "rgw", "seaweedfs", "swift", "rclone", "moto")
OWNERS: Final = ("ann", "ann", "bob")
WEBS: Final = ("web1", "web2")


@dataclass(frozen=True)
class Step:
    """One thing that a client does (`clients.STEPS`), `after` so many seconds; `beside`: while what
    follows goes on, as from another tab.
    """

    what: str
    after: float
    how: dict[str, Any] = field(default_factory=dict)
    beside: bool = False


@dataclass(frozen=True)
class Life:
    """One file, from its announcement on: what its client does, in order."""

    number: int
    owner: str
    destination: str
    at: float
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Deployment:
    """New settings, which processes start with one after the other, `at` which seconds: meanwhile
    others serve with the old ones.
    """

    settings: dict[str, str]
    at: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """One seed's life."""

    seed: int
    store: str
    is_versioned: bool
    settings: dict[str, str]
    worker: bool
    # By how many seconds clocks are ahead, and when each is set by how many more.
    skews: dict[str, float]
    clock_steps: tuple[tuple[str, float, float], ...]
    lives: tuple[Life, ...]
    faults: tuple[Fault, ...]
    around: Surroundings = field(default_factory=Surroundings)
    deployment: Deployment | None = None
    left_out: frozenset[str] = frozenset()

    def items(self) -> list[str]:
        """The names of what may be left out."""
        names = [f"life {life.number}" for life in self.lives]
        names += [
            f"life {life.number} step {n}" for life in self.lives for n, _ in enumerate(life.steps)
        ]
        names += [f"fault {number}" for number, _ in enumerate(self.faults)]
        names += [f"clock step {number}" for number, _ in enumerate(self.clock_steps)]
        names += ["deployment"] if self.deployment else []
        return [*names, *(["worker"] if self.worker else [])]

    def without(self, names: Iterable[str]) -> "Plan":
        """The plan without these items. Numbers stay, so that names mean the same ever after."""
        return replace(self, left_out=self.left_out | frozenset(names))

    def keeps(self, name: str) -> bool:
        return name not in self.left_out


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    chance = Chance(seed)
    of_world = chance.of("world")
    store = of_world.pick(STORES)
    is_versioned = of_world.happens(0.6)
    quiet = of_world.happens(0.1)  # a life without any fault, whose failures are plain
    lives = tuple(
        _life(chance.of("life", number), number) for number in range(1, of_world.whole(3, 10))
    )
    skews = {}
    for name in (*WEBS, "worker"):
        clock = chance.of("clock", name)
        skews[name] = 0.0 if quiet or clock.happens(0.7) else clock.between(-90.0, 90.0)
    clock = chance.of("clock")
    steps = [(clock.pick(WEBS), clock.between(0.0, LENGTH), clock.pick([-40.0, -3.0, 40.0]))]
    # Of few mishaps some lives have one or two, which others would hide.
    odds = of_world.pick([0.08, 0.2, 0.4])
    faults: list[Fault] = []
    for mishap in () if quiet else MISHAPS:
        one = chance.of("fault", mishap.__name__)
        if one.happens(odds):
            faults += mishap(one, LENGTH)
    rivals = chance.of("rivals")
    if rivals.happens(0.1) and not quiet:
        # A clock that is ahead takes for ended what another has just claimed.
        lives = (*lives, _rivals(rivals, len(lives) + 1))
        skews |= {"web1": 0.0, "web2": 80.0}
        faults += store_refuses_to_join_late(rivals, LENGTH)
    surroundings = draw_surroundings(chance.of("around"), LENGTH, ALL[store], quiet=quiet)
    settings = _settings(of_world, ALL[store], surroundings, is_versioned=is_versioned)
    deployed = chance.of("deployment")
    return Plan(
        seed=seed,
        store=store,
        is_versioned=is_versioned,
        settings=settings | surroundings.settings(),
        worker=of_world.happens(0.6),
        skews=skews,
        clock_steps=tuple(steps) if clock.happens(0.15) and not quiet else (),
        lives=lives,
        faults=tuple(faults),
        around=surroundings,
        deployment=_deployment(deployed, settings) if deployed.happens(0.2) and not quiet else None,
    )


def _settings(
    chance: Chance, manners: Manners, surroundings: Surroundings, *, is_versioned: bool
) -> dict[str, str]:
    """The environment of all processes, but for the addresses of database and store."""
    kept = chance.pick(["keep", "delete"])
    form = "post" if manners.forms else "put"
    # Said of stores that obey alone, as the doctor finds out.
    obeys = manners.conditions == "kept" or (
        manners.conditions == "unversioned" and not is_versioned
    )
    parts = {"multipart_threshold": 6 * MIB, "part_size": 5 * MIB}
    destinations: dict[str, dict[str, Any]] = {
        "pictures": {
            "method": form,
            "allow_client_keys": manners.forms,
            "content_types": ["image/*"],
            "max_pixels": 10**9,
            "rejected_objects": kept,
        },
        "papers": {
            "method": "put",
            "allow_existence_optimization": True,
            "conditional_writes": chance.happens(0.7) and obeys,
        },
        "films": {"method": form, "archives": {"max_entries": 5}} | parts,
        "drafts": {"method": form, "unconfirmed": "delete"},
        "tables": {"method": "put", "integrity": "md5"} | parts,
    }
    destinations["papers"] |= surroundings.of_papers()
    quota = {}
    if chance.happens(0.5):
        quota["owner"] = {"files": chance.whole(2, 6), "pending": chance.whole(2, 6)}
    if chance.happens(0.3):
        quota["tenant"] = {"bytes": chance.pick([8, 40, 200]) * MIB}
    return {
        "CLAIMCHECK_DESTINATIONS": json.dumps(destinations),
        "CLAIMCHECK_RECORDS": json.dumps(
            {
                "product": {
                    "picture": {"destination": "pictures"},
                    "gallery": {"destination": "pictures", "many": True, "max_files": 2},
                }
            }
        ),
        "CLAIMCHECK_QUOTA": json.dumps(quota),
        "CLAIMCHECK_AUTH": "keys",
        "CLAIMCHECK_SECRET_KEY": "of-the-simulation-" * 3,
        "CLAIMCHECK_DATABASE_POOL_SIZE": str(chance.pick([1, 2, 5])),
        "AWS_PRESIGNED_URL_EXPIRATION_TIME_MINUTES": str(chance.pick([1, 10, 60])),
    }


def _deployment(chance: Chance, settings: dict[str, str]) -> Deployment:
    """One destination is set otherwise, or taken out."""
    destinations = json.loads(settings["CLAIMCHECK_DESTINATIONS"])
    name, change = chance.pick(
        [
            ("pictures", {"method": "put", "allow_client_keys": False}),
            ("pictures", {"link_expires_in": 20}),
            ("films", {"part_size": 7 * MIB}),
            ("films", {"multipart_threshold": 1, "method": "put"}),
            ("papers", {"scan": "off"}),
            ("papers", {"bucket": OTHER_BUCKET}),
            ("films", {"bucket": OTHER_BUCKET}),
            ("tables", None),
            ("drafts", None),
        ]
    )
    destinations[name] = change and destinations[name] | change
    kept = {name: values for name, values in destinations.items() if values}
    at = {name: chance.between(0.0, LENGTH) for name in (*WEBS, "worker")}
    return Deployment({"CLAIMCHECK_DESTINATIONS": json.dumps(kept)}, at)


# Kinds of contents by destination: (name's ending, type, what it really begins with).
_CONTENTS: Final = {
    "pictures": [
        ("png", "image/png", "png"),
        ("png", "image/png", "html"),
        ("png", "image/png", "huge"),
        ("gif", None, "gif"),
    ],
    "papers": [
        ("pdf", "application/pdf", "pdf"),
        ("txt", "text/plain", "text"),
        ("txt", "text/plain", "virus"),
        ("tmp", "application/pdf", "html"),  # whose name says nothing
    ],
    "films": [
        ("bin", "application/octet-stream", "noise"),
        ("pdf", "application/pdf", "pdf"),
        ("zip", "application/zip", "zip"),
        ("zip", "application/zip", "bomb"),
    ],
    "drafts": [("txt", "text/plain", "text")],
    "tables": [("csv", "text/csv", "text"), ("bin", "application/octet-stream", "noise")],
}


def _life(chance: Chance, number: int) -> Life:
    destination = chance.pick(list(_CONTENTS))
    ending, content_type, contents = chance.pick(_CONTENTS[destination])
    # At least a zip's directory.
    small = chance.whole(600, 6000) if ending == "zip" else chance.whole(40, 6000)
    is_large = destination in {"films", "tables"} and contents != "html"
    size = chance.pick([small, small, 12 * MIB + small]) if is_large else small
    announcement = {
        "destination": destination,
        "filename": f"{chance.pick(['Sea', 'Tree', 'Bill'])} {number}.{ending}",
        "content_type": content_type,
        "size": size,
        "contents": contents,
    }
    adopted = chance.of("adopted")
    if adopted.happens(0.12):
        steps = _adopt(adopted, announcement)
    else:
        steps = _begin(chance.of("begin"), announcement)
    later = chance.of("later")
    for _ in range(later.whole(0, 6)):
        steps.append(_step(later, later.pick(_LATER)))
    extra = chance.of("extra")
    while extra.happens(0.55):
        step = replace(_step(extra, extra.pick(_BESIDE)), beside=True)
        steps.insert(extra.whole(1, len(steps)), step)
    at = chance.between(0.0, LENGTH)
    return Life(number, chance.pick(OWNERS), destination, at, tuple(steps))


def _begin(chance: Chance, announcement: dict[str, Any]) -> list[Step]:
    """How the upload goes: well, mostly."""
    door = chance.pick(["uploader", "uploader", "session", "uppy"])
    how = announcement | {"door": door, "again": chance.happens(0.3)}
    how |= {"minted": door == "session" or (door == "uppy" and chance.happens(0.4))}
    if how["minted"] and chance.happens(0.3):
        how["minted"] = "request"
    how |= {"batch": chance.happens(0.15), "hashed": chance.happens(0.3)}
    if door == "uppy" and announcement["destination"] in {"films", "papers", "drafts"}:
        how["is_sized"] = chance.happens(0.5)
    if announcement["destination"] == "pictures" and chance.happens(0.15):
        how["door"] = "chosen"
    steps = [_step(chance, "announce", how)]
    if chance.happens(0.95):
        how_sent = {"twice": chance.happens(0.15), "short": chance.happens(0.05)}
        steps.append(_step(chance, "send", how_sent | {"stops": chance.happens(0.1)}))
    is_confirmed = chance.happens(0.85)
    if len(steps) > 1 and chance.happens(0.1):
        # Shortly before the shortest of instructions end, and nobody says that it has arrived.
        steps[1] = replace(steps[1], after=chance.between(30.0, 58.0))
    elif is_confirmed:
        field = chance.pick([None, None, "picture", "gallery"])
        steps.append(_step(chance, "confirm", {"field": field, "by": chance.pick(["id", "url"])}))
    return steps


def _adopt(chance: Chance, found: dict[str, Any]) -> list[Step]:
    """How a file begins whose object others have put into the bucket: somebody adopts it, or nobody
    does, and orphans are deleted.
    """
    how = found | {"again": chance.happens(0.3), "look": chance.happens(0.5)}
    # Some were sent for a row that is lost; some are where clients choose keys of their own.
    how |= {"orphan": chance.happens(0.5), "attached": False}
    if found["destination"] == "pictures":
        how["attached"] = chance.happens(0.4)
        how["filename"] = chance.pick([how["filename"], f"{chance.whole(1, 3)}.png"])
    if chance.happens(0.6):
        return [_step(chance, "adopt", how)]
    return [_step(chance, "adopt", how | {"tries": 0}), _step(chance, "reconcile", {"tries": 2})]


def _rivals(chance: Chance, number: int) -> Life:
    """Two tabs confirm one upload in parts, each at a process of its own."""
    announcement = {
        "destination": "films",
        "filename": f"Wave {number}.bin",
        "content_type": "application/octet-stream",
        "size": 12 * MIB + chance.whole(40, 6000),
        "contents": "noise",
    }
    how = {"door": "uploader", "again": False, "tries": 6}
    confirm = _step(chance, "confirm", {"field": None, "web": "web1"})
    second = replace(confirm, how=confirm.how | {"web": "web2"}, beside=True)
    steps = (
        *(_step(chance, "announce", announcement | how), _step(chance, "send")),
        replace(second, after=confirm.after + chance.between(0.5, 4.0)),
        confirm,
    )
    return Life(number, chance.pick(OWNERS), "films", chance.between(0.0, LENGTH), steps)


# What may come later, and what may come from elsewhere at any time.
_LATER: Final = (
    *("read", "read", "list", "rename", "put_in_record", "put_in_record", "read_record", "presign"),
    *("empty_record", "save_record", "release", "restore", "restore"),
    *(
        "confirm",
        "replay",
        "replay",
        "release",
        "restore",
        "remove",
        "remove",
        "pry",
        "cancel",
        "feed",
    ),
)
_BESIDE: Final = (
    *("confirm", "confirm", "send", "cancel", "renew", "pry", "read", "remove", "release"),
    *("put_in_record", "save_record", "feed", "list", "replay", "parts", "end_session"),
    *("reconcile", "compare", "rotate"),
)


def _step(chance: Chance, what: str, how: dict[str, Any] | None = None) -> Step:
    pause = chance.pick([0.0, 0.05, 0.3, 1.0, 4.0, 20.0]) * chance.between(0.1, 1.0)
    drawn = {
        "web": chance.pick(WEBS),
        "field": chance.pick(["picture", "gallery"]),
        "record": str(chance.whole(1, 3)),
        "tries": chance.whole(1, 6),
    }
    return Step(what, pause, drawn | (how or {}))
