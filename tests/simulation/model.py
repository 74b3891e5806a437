"""The specification of files: the states that one may go through, when, and by whom.

Written by hand; nothing is imported from the service. The simulation tells the model three things:
what callers have asked (`asked`), what is in the bucket (`Bucket`), and each transaction that
PostgreSQL has committed, as the rows that it has changed (`books.commit`). Each rule is a function
that yields what is wrong, a sentence each. `books` goes on with what is kept beside the files.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import add
from typing import Any, Final, NamedTuple, Protocol

Row = dict[str, Any]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# An upload that began before its instructions ended is confirmed within an hour of that; parts are
# kept for three days; nothing that was signed can still be on its way a day after its end.
GIVEN_UP_AFTER: Final = {"post": HOUR, "put": HOUR, "multipart": 3 * DAY}
# Of a file that is confirmed these never change.
FIXED: Final = (
    *("id", "owner", "tenant", "session_id", "destination", "bucket", "key", "url", "created_at"),
    *("size", "etag", "version_id", "checksum_sha256", "confirmed_at", "sealed", "content_type"),
)


class Change(NamedTuple):
    """A row before and after: None before it was inserted, and after it was deleted."""

    table: str
    before: Row | None
    after: Row | None


class Version(NamedTuple):
    """An object that is, or was, at a key of the bucket. `owner` is the file that it came for."""

    version_id: str | None
    size: int
    digest: str
    etag: str
    owner: str | None
    at: datetime


class Bucket(Protocol):
    """The bucket as it is. `arrived`: all that ever came to the key, the oldest first."""

    def arrived(self, bucket: str, key: str) -> Sequence[Version]: ...
    def there(self, bucket: str, key: str) -> Sequence[Version]: ...
    def current(self, bucket: str, key: str) -> Version | None: ...
    def parts(self, bucket: str, upload_id: str) -> dict[int, int] | None: ...


class Intent(NamedTuple):
    """The bytes that a client means to send; `honest`: they are what it has announced."""

    digest: str
    size: int
    honest: bool


@dataclass
class Model:
    """All that is known. `skew`: by how much the clocks of processes may differ from the true one;
    `limits`: of each owner; `lifetimes`: of links at most, in seconds, by destination; `keepless`:
    destinations where nothing confirms itself.
    """

    bucket: Bucket
    skew: timedelta = timedelta()
    limits: dict[str, int | None] = field(default_factory=dict)
    lifetimes: dict[str, int] = field(default_factory=dict)
    keepless: frozenset[str] = frozenset()
    name: Callable[[Row], str] = lambda row: str(row["id"])
    files: dict[str, Row] = field(default_factory=dict)
    # Of other tables, by key.
    rows: dict[str, dict[Any, Row]] = field(default_factory=lambda: defaultdict(dict))
    history: dict[str, list[tuple[datetime, str | None]]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # of the bytes that were confirmed
    marked: set[str] = field(default_factory=set)  # digests of bytes that scanners must find
    intents: dict[str, Intent] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)  # (what, file) of those who may
    claimed: dict[str, datetime] = field(default_factory=dict)  # removals, when they began
    adopted: set[str] = field(default_factory=set)  # files that were never uploads
    used: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # by the files there are
    noted: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # by what is kept of it
    held: Counter[str] = field(default_factory=Counter)  # fields of records that hold a file
    paid: Counter[tuple[str, int]] = field(default_factory=Counter)  # files, bytes of a session
    told: dict[str, int] = field(default_factory=dict)  # the last position of each tenant's feed

    def states(self, file_id: str, since: datetime, until: datetime) -> set[str | None]:
        """The states that a file was in at any moment between these two."""
        moves = self.history.get(file_id, [])
        before = [state for at, state in moves if at < since][-1:] or [None]
        return {*before, *(state for at, state in moves if since <= at <= until)}

    def own(self, row: Row) -> list[Version]:
        """The versions in the bucket that came for the file; of one that was adopted, all."""
        there, was_adopted = self.bucket.there(row["bucket"], row["key"]), row["id"] in self.adopted
        return [version for version in there if was_adopted or version.owner == row["id"]]

    def is_whole(self, row: Row) -> bool:
        """Whether all of an upload's bytes are in the bucket, in one piece or in parts."""
        now = self.bucket.current(row["bucket"], row["key"])
        if now is not None and now.owner == row["id"] and row["size"] in {None, now.size}:
            return True
        parts = self.bucket.parts(row["bucket"], row["store_upload_id"] or "")
        return bool(parts) and row["size"] is not None and sum(parts.values()) >= row["size"]


def moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text or "")


NOTHING: Final = (0, 0, 0, 0)


def counts(row: Row) -> tuple[int, int, int, int]:
    """The file's share in what its owner uses: files, their bytes, uploads, bytes reserved."""
    state, was_file = row["state"], row["confirmed_at"] is not None
    if state == "confirmed" or (state == "removing" and was_file):
        return 1, row["size"], 0, 0
    if state in {"pending", "completing"} or (state == "removing" and row["reason"] is None):
        return 0, 0, 1, row["size"] if row["reserved"] is None else row["reserved"]
    return NOTHING


# The moves of a file: who may make each, and when.
def announced(m: Model, _: Row, row: Row, now: datetime) -> Iterator[str]:
    if moment(row["expires_at"]) < now - m.skew:
        yield "it was announced with instructions that had ended"
    used = [m.used[row["tenant"], row["owner"], n] for n in range(4)]
    files, size, pending, reserved = map(add, used, counts(row))
    has = {"files": files + pending, "bytes": size + reserved, "pending": pending}
    for name, limit in m.limits.items():
        if limit is not None and has[name] > limit:
            yield f"its owner has {has[name]} {name} with it, and may have {limit}"


def joining(m: Model, _: Row, row: Row, now: datetime) -> Iterator[str]:
    if row["method"] != "multipart":
        yield "nothing is joined of what came in one piece"
    if moment(row["claimed_until"]) <= now - m.skew:
        yield "it is being joined under a lease that has ended"


def nothing_joined(m: Model, _: Row, row: Row, now: datetime) -> Iterator[str]:
    if m.own(row) and m.is_whole(row):
        yield "its parts were joined, and it is pending again"


def confirmed(m: Model, before: Row, row: Row, now: datetime) -> Iterator[str]:
    arrived = m.bucket.arrived(row["bucket"], row["key"])
    same = [v for v in arrived if (v.version_id, v.size) == (row["version_id"], row["size"])]
    same = [v for v in same if v.etag.strip('"') in {"", (row["etag"] or "").strip('"')}]
    if not same:
        yield "it was confirmed, and the bucket never had such an object"
        return
    version = same[-1]
    m.digests[row["id"]] = version.digest
    if row["id"] not in m.adopted and version.owner != row["id"]:
        yield "it was confirmed with another's object"
    if before.get("size") is not None and row["size"] != before["size"]:
        yield f"{before['size']} bytes were announced, and {row['size']} confirmed"
    intent = m.intents.get(row["id"])
    if intent is not None and version.digest == intent.digest and not intent.honest:
        yield "it was confirmed, and its contents are not what was announced"
    there = {v.version_id for v in m.bucket.there(row["bucket"], row["key"])}
    if row["version_id"] not in {None, *there}:
        yield "the version that was confirmed had been deleted"


def adopted(m: Model, before: Row, row: Row, now: datetime) -> Iterator[str]:
    m.adopted.add(row["id"])
    if ("adopt", row["key"]) not in m.asked:
        yield "nobody has asked to adopt it"
    yield from confirmed(m, before, row, now)


def rejected(m: Model, _: Row, row: Row, now: datetime) -> Iterator[str]:
    if not row["reason"]:
        yield "it was rejected without a reason"
    intent = m.intents.get(row["id"])
    arrived = [v.digest for v in m.bucket.arrived(row["bucket"], row["key"])]
    if intent and intent.honest and arrived and set(arrived) == {intent.digest}:
        yield f"what it announced has arrived, and was rejected: {row['reason']}"
    parts = m.bucket.parts(row["bucket"], row["store_upload_id"] or "")
    if intent and intent.honest and not arrived and parts and row["size"] is not None:
        yield f"its parts are in the bucket, and it was rejected: {row['reason']}"


def given_up(m: Model, before: Row, row: Row, now: datetime) -> Iterator[str]:
    m.claimed[row["id"]] = now
    if ("cancel", row["id"]) in m.asked or before["reason"] is not None:
        return
    unsized = row["method"] == "multipart" and row["size"] is None
    if unsized and row["session_id"] is not None:
        return  # its session may have ended
    if now < moment(row["expires_at"]) + GIVEN_UP_AFTER[row["method"]] - m.skew:
        yield "it was given up before its time, and nobody had cancelled it"
    if not unsized and row["destination"] not in m.keepless and m.is_whole(row):
        yield "it was given up, and all of it is in the bucket"


def _asked(what: str) -> Callable[[Model, Row, Row, datetime], Iterator[str]]:
    def rule(m: Model, _: Row, row: Row, now: datetime) -> Iterator[str]:
        m.claimed[row["id"]] = now
        if (what, row["id"]) not in m.asked:
            yield f"nobody who may has asked to {what} it"
        if row["attachments"]:
            yield f"a record holds it, and it is {row['state']}"

    return rule


def deleted(m: Model, _: Row, row: Row, now: datetime) -> Iterator[str]:
    claimed = m.claimed.get(row["id"], now)
    if any(version.at < claimed for version in m.own(row)):
        yield "it is said to be removed, and its object is there"


def forgotten(m: Model, before: Row, _: Row, now: datetime) -> Iterator[str]:
    last = max(moment(before["ended_at"]), moment(before["expires_at"])) + DAY
    if now < last - m.skew:
        yield "it was forgotten while what was signed for it may still be on its way"
    if m.own(before):
        yield "it was forgotten, and the bucket has an object of it"


Move = Callable[[Model, Row, Row, datetime], Iterator[str]]
MOVES: Final[dict[tuple[str | None, str | None], Move]] = {
    (None, "pending"): announced,
    (None, "confirmed"): adopted,
    ("pending", "completing"): joining,
    ("completing", "pending"): nothing_joined,
    ("pending", "confirmed"): confirmed,
    ("completing", "confirmed"): confirmed,
    ("pending", "rejected"): rejected,
    ("completing", "rejected"): rejected,
    ("pending", "removing"): given_up,
    ("rejected", "removing"): given_up,
    ("confirmed", "removing"): _asked("remove"),
    ("confirmed", "released"): _asked("release"),
    ("released", "confirmed"): _asked("restore"),
    ("removing", "removed"): deleted,
    ("removed", None): forgotten,
}
