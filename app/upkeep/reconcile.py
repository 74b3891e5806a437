"""Compare a bucket with the database, in both directions.

Two streams in the same order of keys are merged, so that memory does not grow with the bucket.
Each difference is checked once more before it is reported, for both sides change meanwhile.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.core.deadlines import NO_REQUEST_AFTER
from app.core.destination import Destination
from app.core.object_url import UnsignableValue
from app.db.reconcile import Row, row_of, rows_in_order
from app.logs.audit import audit
from app.models.files import State
from app.runtime.resources import Resources
from app.store.listing import Listed, list_bucket
from app.store.look import ID_METADATA

_PAGE: Final = 1000
# Behind every key: no UTF-8 begins with more than that.
_LAST: Final = "\U0010ffff"


class Kind(StrEnum):
    """The kind of a difference."""

    ORPHAN = "orphan"  # an object that was sent with what the service signed, and no row
    FOREIGN = "foreign"  # an object of somebody else's, and no row
    EXTRA = "extra"  # a version that a replayed upload has made of a confirmed file's key
    MISSING = "missing"  # a confirmed file, and no object
    VERSION = "version"  # the object is there, the version that was confirmed is not
    SIZE = "size"  # it has another size than was confirmed
    OVERWRITTEN = "overwritten"  # the key has another object now than was confirmed
    HIDDEN = "hidden"  # a delete marker hides the version that was confirmed


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: sizes in bytes, in the bucket and in the row."""

    kind: Kind
    bucket: str
    key: str
    stored_size: int | None
    row_size: int | None
    version_id: str | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """The keys of a bucket that begin with a destination's prefix."""

    destination: Destination
    prefix: str

    @property
    def name(self) -> str:
        return f"{self.destination.endpoint_url or 'AWS'} {self.destination.bucket} {self.prefix}"


def sections(destinations: Iterable[Destination]) -> list[Section]:
    """The sections to compare: each prefix of each bucket once, none that lies within another."""
    found: list[Section] = []
    for destination in sorted(
        destinations, key=lambda d: (d.endpoint_url or "", d.bucket, d.prefix)
    ):
        where = destination.endpoint_url, destination.bucket
        if not any(
            where == (s.destination.endpoint_url, s.destination.bucket)
            and destination.prefix.startswith(s.prefix)
            for s in found
        ):
            found.append(Section(destination, destination.prefix))
    return found


async def reconcile(
    res: Resources,
    section: Section,
    *,
    after: str = "",
    apply: bool = False,
    passed: Callable[[str], None] = lambda _: None,
) -> AsyncGenerator[Finding, None]:
    """The differences behind the key `after`, in order. With `apply` orphans and extra versions
    are deleted.

    Nothing else is ever changed: people decide about files that are lost. Keys that changed within
    the longest life of an upload are left alone. `passed` is called with each key that is done.
    Raises BucketRefused, BucketUnavailable, DatabaseUnavailable.
    """
    old = res.clock() - longest_upload(res.settings.destinations.values())
    async for key, listed, row in _merged(res, section, after):
        finding = _differs(section, listed, row, old)
        if finding is not None:
            finding = await _still(res, section, finding, listed, old)
        if finding is not None:
            if apply and finding.kind is Kind.ORPHAN:
                await res.object_at(section.destination, finding.key).delete()
                audit("orphan.deleted", bucket=finding.bucket, key=finding.key)
                finding = replace(finding, deleted=True)
            yield finding
        if listed is not None and row is not None:
            async for extra in _extra(res, section, listed, row, old):
                yield await _delete_extra(res, section, extra) if apply else extra
        passed(key)


def longest_upload(destinations: Iterable[Destination]) -> timedelta:
    """The longest time after its announcement that an upload may arrive."""
    lives = (max(d.upload_expires_in, d.multipart_expires_in) for d in destinations)
    return timedelta(seconds=max(lives)) + NO_REQUEST_AFTER


def _differs(
    section: Section, listed: Listed | None, row: Row | None, old: datetime
) -> Finding | None:
    bucket = section.destination.bucket
    if row is None:
        assert listed is not None
        # An object that somebody has hidden on a versioned bucket is theirs to bring back.
        if listed.hidden or listed.changed_at > old:
            return None
        size = next(iter(listed.sizes.values()))
        return Finding(Kind.ORPHAN, bucket, listed.key, size, None, None)
    if row.state != State.CONFIRMED or row.ended_at is not None:
        # Released: no orphan, and nothing promised. Infected: deleted. The others are the sweep's.
        return None

    def found(kind: Kind, size: int | None) -> Finding:
        return Finding(kind, bucket, row.key, size, row.size, row.version_id)

    if listed is None or not listed.sizes:
        return found(Kind.MISSING, None)
    if row.version_id is not None and "" not in listed.sizes:
        if row.version_id not in listed.sizes:
            return found(Kind.VERSION, next(iter(listed.sizes.values())))
        size = listed.sizes[row.version_id]
        replaced = next(iter(listed.sizes)) != row.version_id
    elif listed.hidden:
        return found(Kind.MISSING, None)
    else:
        size = next(iter(listed.sizes.values()))
        replaced = row.etag not in {None, listed.etag}
    if size != row.size:
        return found(Kind.SIZE, size)
    if listed.hidden:
        return found(Kind.HIDDEN, size)
    return found(Kind.OVERWRITTEN, next(iter(listed.sizes.values()))) if replaced else None


async def _still(
    res: Resources, section: Section, finding: Finding, listed: Listed | None, old: datetime
) -> Finding | None:
    """The finding, unless row or object have changed since they were listed."""
    is_listed_again = finding.kind not in {Kind.ORPHAN, Kind.OVERWRITTEN}
    if is_listed_again:
        # Before the row is read: whoever removes an object has changed the row first.
        again = list_bucket(res.buckets, section.destination, finding.key, "")
        # The key itself is the first of those that begin with it.
        async with aclosing(again):
            first = await anext(again, None)
        listed = first if first is not None and first.key == finding.key else None
    async with res.db.connection() as db:
        row = await row_of(db, finding.bucket, finding.key)
    if (row is None) is not (finding.kind is Kind.ORPHAN):
        return None
    if is_listed_again:
        return _differs(section, listed, row, old)
    try:
        there = await res.object_at(section.destination, finding.key).head()
    except UnsignableValue:
        # The service has never signed anything for such a key.
        return replace(finding, kind=Kind.FOREIGN)
    if there is None:
        return None
    if row is not None:
        # Lists may write ETags otherwise than HEAD, which confirm has read. A version of the
        # uploader's own is an extra one, or may be an upload's that is under way.
        if row.version_id is None:
            stands = there.etag != row.etag
        else:
            stands = there.version_id != row.version_id and not there.is_of(row.id)
        return _differs(section, listed, row, old) if stands else None
    # Others may keep things under the prefix, too, which are not ours to delete.
    return finding if ID_METADATA in there.metadata else replace(finding, kind=Kind.FOREIGN)


async def _delete_extra(res: Resources, section: Section, extra: Finding) -> Finding:
    assert extra.version_id is not None
    await res.object_at(section.destination, extra.key).delete_version(extra.version_id)
    audit("version.deleted", bucket=extra.bucket, key=extra.key, version_id=extra.version_id)
    return replace(extra, deleted=True)


async def _extra(
    res: Resources, section: Section, listed: Listed, row: Row, old: datetime
) -> AsyncIterator[Finding]:
    """The versions that were sent with a confirmed file's own instructions, besides its own.

    No link serves them. Others, without the file's id, are not the uploader's, and stay.
    """
    if row.state != State.CONFIRMED or row.version_id not in listed.sizes:
        return
    handle = res.object_at(section.destination, row.key)
    for version_id, size in listed.sizes.items():
        if version_id == row.version_id or listed.dates[version_id] > old:
            continue
        found = await handle.head(version_id)
        if found is None or not found.is_of(row.id):
            continue
        async with res.db.connection() as db:
            if await row_of(db, section.destination.bucket, row.key) != row:
                return
        yield Finding(Kind.EXTRA, section.destination.bucket, row.key, size, row.size, version_id)


async def _merged(
    res: Resources, section: Section, after: str
) -> AsyncIterator[tuple[str, Listed | None, Row | None]]:
    """Each key with its object and its row."""
    objects = list_bucket(res.buckets, section.destination, section.prefix, after)
    rows = _rows(res, section, after)
    listed, row = await anext(objects, None), await anext(rows, None)
    while listed is not None or row is not None:
        # As bytes: the order of S3's lists (AWS API, ListObjectsV2) and of our index.
        if listed is not None and (row is None or listed.key.encode() < row.key.encode()):
            yield listed.key, listed, None
            listed = await anext(objects, None)
        elif row is not None and (listed is None or row.key.encode() < listed.key.encode()):
            yield row.key, None, row
            row = await anext(rows, None)
        elif listed is not None and row is not None:
            yield row.key, listed, row
            listed, row = await anext(objects, None), await anext(rows, None)


async def _rows(res: Resources, section: Section, after: str) -> AsyncIterator[Row]:
    prefix = section.prefix
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else _LAST
    after = max(after, prefix, key=str.encode)
    while True:
        async with res.db.connection() as db:
            page = await rows_in_order(db, section.destination.bucket, after, end, _PAGE)
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        after = page[-1].key
