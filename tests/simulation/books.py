"""The specification of what is kept beside the files: events, usage, records, credentials.

As in `model`, a rule yields what is wrong. To add one, write a function and add it to a list.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from tests.simulation.model import FIXED, MOVES, NOTHING, Change, Model, Row, counts
from tests.simulation.scans import event_of_scan, verdicts_are_true


def commit(m: Model, changes: Sequence[Change], now: datetime) -> Iterator[str]:
    """Take in one transaction; yields what is wrong with it."""
    for change in changes:
        yield from TABLES[change.table](m, change, now)
    for of_transaction in TOGETHER:
        yield from of_transaction(m, changes)
    for always in ALWAYS:
        yield from always(m)


# What there is of each table.


def file_changed(m: Model, change: Change, now: datetime) -> Iterator[str]:
    before, row = change.before or {"state": None}, change.after or change.before or {}
    states = before["state"], change.after and change.after["state"]
    said: Iterator[str] = iter(())
    if states[0] != states[1]:
        move = MOVES.get(states)
        said = move(m, before, row, now) if move else iter([f"no such move: {states}"])
    elif states[0] == "confirmed":
        said = (f"its {name} has changed" for name in FIXED if row[name] != before[name])
    yield from (f"{m.name(row)}: {words}" for words in said)
    m.history.setdefault(row["id"], []).append((now, states[1]))
    for part, sign in ((change.before, -1), (change.after, 1)):
        for n, count in enumerate(counts(part) if part else NOTHING):
            m.used[row["tenant"], row["owner"], n] += sign * count
            m.used[row["tenant"], "", n] += sign * count
    # An upload session pays for what is announced, and for what nobody has announced at the end;
    # for one that was opened by a request for files that request does.
    late = states[1] == "confirmed" and before.get("size", 0) is None
    if row["session_id"] and (states[0] is None or late):
        session = m.rows["upload_sessions"][row["session_id"],]
        payer = session["file_request_id"] or session["id"]
        m.paid[payer, 0] += states[0] is None
        m.paid[payer, 1] += row["size"] or 0
    m.files[row["id"]] = row
    if change.after is None:
        del m.files[row["id"]]


def noted(m: Model, change: Change, _: datetime) -> Iterator[str]:
    for row, sign in ((change.before, -1), (change.after, 1)):
        for n, name in enumerate(("files", "bytes", "pending", "reserved")):
            if row:
                m.noted[row["tenant"], row["owner"], n] += sign * row[name]
    return iter(())


def held(m: Model, change: Change, _: datetime) -> Iterator[str]:
    for row, sign in ((change.before, -1), (change.after, 1)):
        if row:
            m.held[row["file_id"]] += sign
    return iter(())


def kept(*key: str) -> Callable[[Model, Change, datetime], Iterator[str]]:
    """A table of which nothing is to be known but what is in it."""

    def rule(m: Model, change: Change, _: datetime) -> Iterator[str]:
        row = change.after or change.before or {}
        m.rows[change.table][tuple(row[name] for name in key)] = row
        return iter(())

    return rule


TABLES: Final[dict[str, Callable[[Model, Change, datetime], Iterator[str]]]] = {
    "files": file_changed,
    "usage": noted,
    "usage_changes": noted,
    "usage_levels": kept("level"),
    "record_files": held,
    "records": kept("tenant", "type", "id"),
    "listeners": kept("tenant"),
    "events": kept("id"),
    "upload_sessions": kept("id"),
    "file_requests": kept("id"),
    "api_keys": kept("id"),
    "webhooks": kept("id"),
    "idempotency_keys": kept("key_hash", "number"),
}


# What must be true of each transaction.


def event_of(before: Row, row: Row) -> str | None:
    """The event that a file's move is told by."""
    if before["state"] == row["state"]:
        is_same = all(before[name] == row[name] for name in ("filename", "metadata"))
        return event_of_scan(before, row) if is_same else "file.changed"
    if before["state"] == "released":
        return "file.restored"
    if row["state"] == "removed":
        never = None if row["reason"] else "upload.expired"
        return "file.removed" if row["confirmed_at"] else never
    return f"file.{row['state']}" if row["state"] in {"confirmed", "rejected", "released"} else None


def events_are_told(m: Model, changes: Sequence[Change]) -> Iterator[str]:
    """One move, one event, in the transaction of the move; of a record, one for all its changes."""
    due: Counter[tuple[str | None, str]] = Counter()
    for table, before, after in changes:
        row = after or before or {}
        listener = m.rows["listeners"].get((row.get("tenant"),))
        if before and listener and (listener["has_endpoints"] or listener["is_read"]):
            if table == "files" and after:
                due[event_of(before, after), row["id"]] += 1
            elif table == "records" and (after is None or after["version"] != before["version"]):
                due["record.changed", f"{row['type']}/{row['id']}"] = 1
    told = Counter(
        (change.after["type"], change.after["subject"])
        for change in changes
        if change.table == "events" and not change.before and change.after
    )
    for kind, subject in {*due, *told}:
        if kind and not kind.startswith("webhook.") and due[kind, subject] != told[kind, subject]:
            yield f"{told[kind, subject]} events {kind}, and {due[kind, subject]} are due"


def positions_follow(m: Model, changes: Sequence[Change]) -> Iterator[str]:
    """Each tenant's feed is numbered without gaps, but for one before whoever reads it first, and
    no number is ever given again.
    """
    placed = [c.after for c in changes if c.table == "events" and c.after and c.before]
    for row in sorted(placed, key=lambda row: row["position"] or 0):
        listener = m.rows["listeners"].get((row["tenant"],))
        begins = listener["purged"] if listener else 0
        if row["position"] != max(m.told.get(row["tenant"], 0), begins) + 1:
            yield f"event {row['id']} has position {row['position']}"
        m.told[row["tenant"]] = row["position"]


def repeats_make_nothing(m: Model, changes: Sequence[Change]) -> Iterator[str]:
    """An idempotency key is kept with what it has made, or not at all."""
    made = {c.after["id"] for c in changes if c.after and not c.before and "id" in c.after}
    for change in changes:
        key = change.after if change.table == "idempotency_keys" and not change.before else None
        if key and key["made_id"] not in made:
            yield "an idempotency key is kept, and what it has made is not"


TOGETHER: Final = [verdicts_are_true, events_are_told, positions_follow, repeats_make_nothing]


# What must be true always.


def usage_is_the_sum(m: Model) -> Iterator[str]:
    for (level,), row in m.rows["usage_levels"].items():
        for key in {*m.used, *m.noted} if row["counted"] else ():
            if (level == "owner") == (key[1] != "") and m.used[key] != m.noted[key]:
                yield f"{key}: {m.noted[key]} are noted, and {m.used[key]} there"


def records_hold_files(m: Model) -> Iterator[str]:
    for row in m.files.values():
        if row["attachments"] != m.held[row["id"]]:
            yield f"{m.name(row)}: {m.held[row['id']]} fields hold it, not {row['attachments']}"
        if row["attachments"] and row["state"] != "confirmed":
            yield f"{m.name(row)}: a record holds it, and it is {row['state']}"


def sessions_pay_once(m: Model) -> Iterator[str]:
    for (key,), row in [*m.rows["upload_sessions"].items(), *m.rows["file_requests"].items()]:
        for n, name in enumerate(("used_files", "used_bytes")):
            if row[name] != m.paid[key, n]:
                yield f"a session has paid for {row[name]}, not {m.paid[key, n]} ({name})"


ALWAYS: Final = [usage_is_the_sum, records_hold_files, sessions_pay_once]
