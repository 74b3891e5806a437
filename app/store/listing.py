"""A bucket's objects in the order of their keys, page by page, with their versions or without.

A page is one request that our own signer signs, and is read once: botocore reads each answer twice,
and makes a shape of every value, for which a page takes ten times as long.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from botocore.exceptions import ClientError, HTTPClientError

from app.core.destination import Destination
from app.store.client import UNKNOWN_CALL, Buckets, error_code
from app.store.sending import Request, send

# The version of what was stored while the bucket kept none.
_UNVERSIONED: Final = "null"
# Keys a page; no store gives more (AWS API, ListObjectsV2).
_PAGE: Final = 1000
_ENTRIES: Final = frozenset({"Contents", "Version", "DeleteMarker"})
# Of ListObjectsV2 and ListObjectVersions (AWS API); the last is the name that gofakes3 gives it.
_ROOTS: Final = frozenset({"ListBucketResult", "ListVersionsResult", "ListBucketVersionsResult"})
_FOLLOWING: Final = ("NextContinuationToken", "NextKeyMarker", "NextVersionIdMarker")
# A page of the longest keys, each byte of them escaped, has 4 MB.
_PAGE_BYTES: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class Listed:
    """A key: sizes in bytes by version id, latest first (`""`: the store names no versions).

    `dates` are the versions' own. `etag` is the latest's. `hidden`: the latest is a delete marker.
    `changed_at` is the latest change of any version.
    """

    key: str
    sizes: dict[str, int]
    dates: dict[str, datetime]
    etag: str
    hidden: bool
    changed_at: datetime


class _Entry(NamedTuple):
    """A version, or an object of a list without them (`""`). A delete marker has no size."""

    key: str
    version_id: str
    size: int | None
    etag: str
    is_latest: bool
    changed_at: datetime


class _Page(NamedTuple):
    """Entries, and where the next page begins, by S3's names of it; nothing at the list's end."""

    entries: list[_Entry]
    following: dict[str, str]


async def list_bucket(
    buckets: Buckets, destination: Destination, prefix: str, after: str
) -> AsyncGenerator[Listed, None]:
    """Every key that starts with the prefix, behind `after`, in order of UTF-8 bytes, with all of
    its versions.

    Never more than two pages in memory. Raises BucketRefused, BucketUnavailable. SeaweedFS 4.48
    lists folder by folder, and leaves out keys at the edges of its pages that belong before them
    (docs/stores.md): whoever must have every key takes `list_objects`.
    """
    position = {"key-marker": after} if after else {}
    held: list[_Entry] = []
    first = True
    while True:
        async with buckets.translated(destination):
            query = {"versions": "", "prefix": prefix, **position}
            try:
                page = await _ask(buckets, destination, query)
            except ClientError as error:
                if not first or error_code(error) not in UNKNOWN_CALL:
                    raise
                page = None
        if page is None:
            # Stores without versions do not know the call.
            async for listed in list_objects(buckets, destination, prefix, after):
                yield listed
            return
        first = False
        is_empty = all(entry.size is None for entry in page.entries)
        if is_empty and position.get("version-id-marker") == _UNVERSIONED:
            # OpenStack Swift says that a page ends with this version, and finds nothing behind it.
            del position["version-id-marker"]
            continue
        # Versions and delete markers may be two lists of one range of keys, each in order.
        held += page.entries
        held.sort(key=lambda entry: entry.key.encode())
        groups = [list(group) for _, group in groupby(held, key=lambda entry: entry.key)]
        # The last key may go on in the next page.
        held = groups.pop() if page.following and groups else []
        for entries in groups:
            # Some stores begin with the marker itself.
            if entries[0].key != after:
                yield _listed(entries)
        if not page.following:
            return
        position = {"key-marker": page.following["NextKeyMarker"]}
        if version := page.following.get("NextVersionIdMarker"):
            position["version-id-marker"] = version


def _listed(entries: list[_Entry]) -> Listed:
    newest_first = sorted(entries, key=lambda entry: not entry.is_latest)
    sized = [(entry, entry.size) for entry in newest_first if entry.size is not None]
    return Listed(
        key=entries[0].key,
        sizes={entry.version_id: size for entry, size in sized},
        dates={entry.version_id: entry.changed_at for entry, _ in sized},
        etag=newest_first[0].etag,
        hidden=newest_first[0].size is None,
        changed_at=max(entry.changed_at for entry in entries),
    )


async def list_objects(
    buckets: Buckets, destination: Destination, prefix: str, after: str = ""
) -> AsyncGenerator[Listed, None]:
    """Every object whose key starts with the prefix, behind `after`, in the store's order.

    Raises BucketRefused, BucketUnavailable.
    """
    position = {"start-after": after} if after else {}
    while True:
        async with buckets.translated(destination):
            query = {"list-type": "2", "prefix": prefix, **position}
            page = await _ask(buckets, destination, query)
        for entry in page.entries:
            date, size = entry.changed_at, entry.size or 0
            yield Listed(entry.key, {"": size}, {"": date}, entry.etag, False, date)
        if not page.following:
            return
        # The last key of a page is not always its end: on SeaweedFS it may be any.
        position = {"continuation-token": page.following["NextContinuationToken"]}


async def _ask(buckets: Buckets, destination: Destination, query: dict[str, str]) -> _Page:
    """Raises ClientError, HTTPClientError for what is no list, and what the network does."""
    # XML cannot carry every character of a key.
    query |= {"encoding-type": "url", "max-keys": str(_PAGE)}
    _, data = await send(buckets, destination, Request("GET", None, query, length=_PAGE_BYTES))
    try:
        return _read(data, "NextKeyMarker" if "versions" in query else "NextContinuationToken")
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise HTTPClientError(error=error) from error


def _read(data: bytes, needed: str) -> _Page:
    """A page of ListObjectsV2 or ListObjectVersions (AWS API); `needed` is where the next one
    begins. Raises ParseError, LookupError or ValueError.
    """
    # As botocore reads it; a store that one has the keys of is no stranger.
    root = ElementTree.fromstring(data)  # noqa: S314
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    if root.tag.removeprefix(space) not in _ROOTS:
        raise ValueError(f"the store answered with no list, but {root.tag}")
    told: dict[str, str] = {}
    said: list[dict[str, str]] = []
    for element in root:
        name = element.tag.removeprefix(space)
        if name in _ENTRIES:
            said.append({child.tag.removeprefix(space): child.text or "" for child in element})
        else:
            told[name] = element.text or ""
    decoded = _unquoted if told.get("EncodingType") == "url" else str
    entries = [
        _Entry(
            decoded(one["Key"]),
            one.get("VersionId", ""),
            int(one["Size"]) if "Size" in one else None,
            one.get("ETag", ""),
            one.get("IsLatest") == "true",
            _moment(one["LastModified"]),
        )
        for one in said
    ]
    if told["IsTruncated"] == "false":
        return _Page(entries, {})
    following = {name: told[name] for name in _FOLLOWING if told.get(name)}
    if told["IsTruncated"] != "true" or needed not in following:
        raise LookupError("the page does not say where the next one begins")
    if "NextKeyMarker" in following:
        following["NextKeyMarker"] = decoded(following["NextKeyMarker"])
    return _Page(entries, following)


def _unquoted(key: str) -> str:
    """As `unquote_plus` has it, in half of its time."""
    if "%" not in key and "+" not in key:
        return key
    return unquote_to_bytes(key.replace("+", " ")).decode("utf-8", "replace")


def _moment(written: str) -> datetime:
    """A moment as stores write it: in ISO 8601, or else as botocore reads it."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    # An offset is named, or else it is for botocore to say what is meant.
    if moment and moment.tzinfo:
        return moment
    from botocore.utils import parse_timestamp

    found: datetime = parse_timestamp(written)
    return found
