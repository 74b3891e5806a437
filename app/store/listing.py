"""A bucket's objects in the order of their keys, page by page, with their versions or without."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from botocore.exceptions import ClientError

from app.core.destination import Destination
from app.store.client import UNKNOWN_CALL, Buckets, error_code

# The version of what was stored while the bucket kept none.
_UNVERSIONED: Final = "null"


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


async def list_bucket(
    buckets: Buckets, destination: Destination, prefix: str, after: str
) -> AsyncGenerator[Listed, None]:
    """Every key that starts with the prefix, behind `after`, in order of UTF-8 bytes, with all of
    its versions.

    Never more than two pages in memory. Raises BucketRefused, BucketUnavailable. SeaweedFS 4.48
    lists folder by folder, and leaves out keys at the edges of its pages that belong before them
    (docs/stores.md): whoever must have every key takes `list_objects`.
    """
    bucket = destination.bucket
    position: dict[str, str] = {"KeyMarker": after} if after else {}
    held: list[dict[str, Any]] = []
    first = True
    while True:
        async with buckets.translated(destination):
            try:
                client = await buckets.client(destination)
                page = await client.list_object_versions(Bucket=bucket, Prefix=prefix, **position)
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
        if not page.get("Versions") and position.get("VersionIdMarker") == _UNVERSIONED:
            # OpenStack Swift says that a page ends with this version, and finds nothing behind it.
            del position["VersionIdMarker"]
            continue
        # Two lists of the same range of keys, each in order.
        held += [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        held.sort(key=lambda entry: entry["Key"].encode())
        more = page.get("IsTruncated", False)
        groups = [list(group) for _, group in groupby(held, key=lambda entry: entry["Key"])]
        # The last key may go on in the next page.
        held = groups.pop() if more and groups else []
        for entries in groups:
            # Some stores begin with the marker itself.
            if entries[0]["Key"] != after:
                yield _listed(entries)
        if not more:
            return
        position = {
            "KeyMarker": page["NextKeyMarker"],
            "VersionIdMarker": page.get("NextVersionIdMarker", ""),
        }


def _listed(entries: list[dict[str, Any]]) -> Listed:
    newest_first = sorted(entries, key=lambda entry: not entry.get("IsLatest", False))
    return Listed(
        key=entries[0]["Key"],
        sizes={e["VersionId"]: e["Size"] for e in newest_first if "Size" in e},
        dates={e["VersionId"]: e["LastModified"] for e in newest_first if "Size" in e},
        etag=newest_first[0].get("ETag", ""),
        hidden="Size" not in newest_first[0],
        changed_at=max(entry["LastModified"] for entry in entries),
    )


async def list_objects(
    buckets: Buckets, destination: Destination, prefix: str, after: str = ""
) -> AsyncGenerator[Listed, None]:
    """Every object whose key starts with the prefix, behind `after`, in the store's order.

    Raises BucketRefused, BucketUnavailable.
    """
    position = {"StartAfter": after} if after else {}
    while True:
        async with buckets.translated(destination):
            client = await buckets.client(destination)
            page = await client.list_objects_v2(
                Bucket=destination.bucket, Prefix=prefix, **position
            )
        for entry in page.get("Contents", []):
            size, date = entry["Size"], entry["LastModified"]
            yield Listed(entry["Key"], {"": size}, {"": date}, entry.get("ETag", ""), False, date)
        if not page.get("IsTruncated", False):
            return
        # The last key of a page is not always its end: on SeaweedFS it may be any.
        position = {"ContinuationToken": page["NextContinuationToken"]}
