"""The specification of scans: what a scanner finds is what is there, and nothing unscanned is read.

The lives of a world with a scanner have files with the anti-malware industry's test file in them:
`Model.marked` has the digests of those.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from app.scans.proof import MARK
from tests.simulation.model import Change, Model, Row
from tests.simulation.store.body import Body

if TYPE_CHECKING:
    from tests.simulation.answers import Answer
    from tests.simulation.world import World

SCANNED: Final = "papers"
# From one verdict to the next; nobody asks twice.
_VERDICTS: Final = frozenset({("pending", "clean"), ("pending", "infected"), ("pending", "failed")})


def is_marked(body: Body) -> bool:
    return MARK in body.head


def event_of_scan(before: Row, row: Row) -> str | None:
    """The event that a new verdict is told by."""
    if before["scan"] == row["scan"]:
        return None
    return "file.cleared" if row["scan"] == "clean" else "file.quarantined"


def verdicts_are_true(m: Model, changes: Sequence[Change]) -> Iterator[str]:
    for table, before, after in changes:
        if table != "files" or not before or not after or before["scan"] == after["scan"]:
            continue
        verdict, name = after["scan"], m.name(after)
        if after["state"] != before["state"]:
            if verdict != "pending" or after["destination"] != SCANNED:
                yield f"{name} is {after['state']}, and {verdict}, which nobody has found"
            continue
        is_infected = m.digests.get(after["id"]) in m.marked
        if (before["scan"], verdict) not in _VERDICTS:
            yield f"{name} is {verdict} after it was {before['scan']}"
        # Where nothing seals it, it may have been scanned with other bytes than were confirmed.
        elif after["sealed"] != "no" and verdict == ("clean" if is_infected else "infected"):
            yield f"{name} is said to be {verdict}, and is not"


def quarantine_is_kept(m: Model, a: "Answer") -> Iterator[str]:
    """No link is given before the scanner has found the file clean, nor where it has not."""
    for item in a.shown:
        row = m.files.get(item.get("id", ""))
        # A verdict never goes back to one of these.
        if row and row["scan"] in {"pending", "infected", "failed"}:
            links = [item.get(name) for name in ("presigned_url", "content_url")]
            if any(links):
                yield f"there is a link to {m.name(row)}, which is {row['scan']}"


def scans_are_done(world: "World") -> Iterator[str]:
    """Where they are to be; those that wait as scans are switched off are left to people."""
    for row in world.model.files.values() if world.keeps_rules(SCANNED) else ():
        if row["state"] == "confirmed" and row["scan"] == "pending":
            yield f"{world.name(row)} was never scanned"
