"""The rules of the bucket at each effect, of each row that a process changes, and of everything at
the end.

The end is when clients have gone, faults have ceased, and time and the sweep have had their way. An
invariant yields what is wrong. To add one, write a function and add it to EFFECTS, COMMITS or END.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.model import Change, Row, moment
from tests.simulation.scans import scans_are_done

if TYPE_CHECKING:
    from tests.simulation.world import World

# Seconds after which the service has given up a call of the store.
CALL_SECONDS: Final = 8.0


# What the service does to the bucket.


def row_at(world: "World", bucket: str, key: str) -> Row | None:
    rows = (row for row in world.model.files.values() if row["key"] == key)
    return next((row for row in rows if row["bucket"] == bucket), None)


def deletes_what_may_go(world: "World", effect: Any) -> Iterator[str]:
    """Nothing is deleted but what was claimed and committed before, and replays of a file's key;
    without a row only what was once sent for one.
    """
    if effect.what not in {"delete", "marker"}:
        return
    row = row_at(world, effect.bucket, effect.key)
    if row is None and effect.file_id is None:
        yield f"{effect.who} deletes {world.call(effect.key)}, which is others'"
    if row is None or row["state"] in {"removing", "removed"} or row["scan"] == "infected":
        return
    is_replay = row["state"] == "confirmed" and effect.version_id != row["version_id"]
    if effect.what == "marker" or not is_replay:
        yield f"{effect.who} deletes the object of {world.name(row)}, which is {row['state']}"


def joins_what_was_claimed(world: "World", effect: Any) -> Iterator[str]:
    if effect.what != "complete":
        return
    row = row_at(world, effect.bucket, effect.key)
    states = {state for _, state in world.model.history[row["id"]]} if row else set()
    if "completing" not in states:
        yield f"{effect.who} has parts joined of what nobody has claimed"


def aborts_what_may_go(world: "World", effect: Any) -> Iterator[str]:
    """Parts are dropped of nothing that is a file, nor of what may become one."""
    row = row_at(world, effect.bucket, effect.key) if effect.what == "abort" else None
    if row is None or row["state"] != "pending" or row["store_upload_id"] is None:
        return
    aborted = getattr(effect, "upload_id", None)
    if aborted is not None and aborted == row["store_upload_id"]:
        yield f"{effect.who} drops the parts of {world.name(row)}, which is pending"


def works_under_a_lease(world: "World", effect: Any) -> Iterator[str]:
    """Whoever joins or removes has a claim that lasts until it has happened, while they wait for
    the answer. That of a completion is extended, where the database lets it.
    """
    row = row_at(world, effect.bucket, effect.key)
    leased = {"completing", "removing"} if world.is_calm else {"removing"}
    if row is None or row["state"] not in leased:
        return
    process = world.processes[effect.who]
    waited = world.loop.time() - world.sent_at
    late = process.clock() > moment(row["claimed_until"])
    if late and waited < CALL_SECONDS and not process.dead:
        yield f"{effect.who} does {effect.what} to {world.name(row)}, and its lease has ended"


EFFECTS: Final[list[Callable[["World", Any], Iterator[str]]]] = [
    deletes_what_may_go,
    joins_what_was_claimed,
    aborts_what_may_go,
    works_under_a_lease,
]


# What the service commits.


def leases_are_their_holders(world: "World", who: str, change: Change) -> Iterator[str]:
    """Whoever claims has the lease, and nobody else gives it back."""
    before, row = change.before, change.after
    if change.table != "files" or row is None:
        return
    held = before and before["state"] in {"completing", "removing"} and before["claimed_until"]
    is_same = before is not None and before["state"] == row["state"]
    shortened = held and is_same and moment(row["claimed_until"]) < moment(held)
    if shortened or (held and row["state"] == "pending"):
        holder = world.holders.get(row["id"])
        if holder != who:
            yield f"{who} gives back the lease of {world.name(row)}, which {holder} holds"
    elif row["state"] in {"completing", "removing"} and row["claimed_until"] != held:
        world.holders[row["id"]] = who


COMMITS: Final[list[Callable[["World", str, Change], Iterator[str]]]] = [leases_are_their_holders]


# What is left at the end.


def all_is_final(world: "World") -> Iterator[str]:
    """Every upload has become a file, was rejected, or is gone."""
    for row in world.model.files.values():
        if row["state"] not in {"confirmed", "rejected", "released"}:
            yield f"{world.name(row)} is {row['state']} for ever"


def files_have_their_bytes(world: "World") -> Iterator[str]:
    for row in world.model.files.values():
        if row["state"] != "confirmed" or row["scan"] == "infected":
            continue
        there = world.view.there(row["bucket"], row["key"])
        same = [version for version in there if version.version_id == row["version_id"]]
        if not same:
            yield f"{world.name(row)} is confirmed, and its object is not there"
        elif row["sealed"] != "no" and same[0].digest != world.model.digests[row["id"]]:
            yield f"{world.name(row)} has other bytes than were confirmed"


def nothing_is_left_over(world: "World") -> Iterator[str]:
    """No object, version, marker or part without a row that it belongs to."""
    for bucket, key, version in world.view.everything():
        row, is_others = row_at(world, bucket, key), key in world.others and version is not None
        if row is None and not is_others:
            yield f"{world.call(key)} has {'a marker' if version is None else 'an object'}, no row"
        if row is None or version is None or is_others or row["state"] != "confirmed":
            continue
        if version.version_id != row["version_id"]:
            yield f"{world.name(row)} has a version besides its own"
    for _, key, _ in world.view.uploads():
        yield f"{world.call(key)} has parts under way for ever"


def rejected_objects_go(world: "World") -> Iterator[str]:
    for row in world.model.files.values():
        gone = row["detected_type"] is None or world.deletes_rejected(row["destination"])
        if row["state"] == "rejected" and gone and world.model.own(row):
            yield f"{world.name(row)} was rejected, and its object is there"


def events_are_placed(world: "World") -> Iterator[str]:
    for row in world.model.rows["events"].values():
        if row["position"] is None:
            yield f"event {row['id']} ({row['type']}) has no position"


def feed_is_whole(world: "World") -> Iterator[str]:
    """Whoever reads on by cursors has read each event since they began once, in order."""
    rows = [row for row in world.model.rows["events"].values() if row["tenant"] == world.tenant]
    rows.sort(key=lambda row: row["position"] or 0)
    expected = [row["event_id"] for row in rows if (row["position"] or 0) > world.feed_begins]
    if world.fed != expected:
        yield f"the feed's reader has {len(world.fed)} events of {len(expected)}, or disordered"


def subjects_are_in_order(world: "World") -> Iterator[str]:
    """The feed tells of each file in the order of what happened to it."""
    last: dict[str, int] = defaultdict(int)
    rows = sorted(world.model.rows["events"].values(), key=lambda row: row["id"])
    for row in rows:
        if (row["position"] or 0) < last[row["subject"]]:
            yield f"event {row['id']} of {row['subject']} comes before one that was earlier"
        last[row["subject"]] = row["position"] or 0


def webhooks_are_delivered(world: "World") -> Iterator[str]:
    """Each event at least once; those of a subject in order, the first time that each came."""
    if not world.has_webhook:
        return
    rows = [row for row in world.model.rows["events"].values() if row["tenant"] == world.tenant]
    rows = [row for row in rows if not row["type"].startswith("webhook.")]
    by_id = {row["event_id"]: row for row in rows}
    received = list(dict.fromkeys(one for one in world.received if one in by_id))
    for event_id in by_id.keys() - set(received):
        yield f"event {by_id[event_id]['id']} ({by_id[event_id]['type']}) was never delivered"
    last: dict[str, int] = defaultdict(int)
    for event_id in received:
        row = by_id[event_id]
        if row["id"] < last[row["subject"]]:
            yield f"event {row['id']} of {row['subject']} was delivered after a later one"
        last[row["subject"]] = row["id"]


END: Final[list[Callable[["World"], Iterator[str]]]] = [
    all_is_final,
    files_have_their_bytes,
    nothing_is_left_over,
    rejected_objects_go,
    events_are_placed,
    feed_is_whole,
    subjects_are_in_order,
    webhooks_are_delivered,
    scans_are_done,
]
