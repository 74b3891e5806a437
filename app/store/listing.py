"""A bucket's objects in the order of their keys, page by page, with all their versions."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from app.core.destination import Destination
from app.store.client import UNKNOWN_CALL, Buckets, error_code


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
    """Every key that starts with the prefix, behind `after`, in order of UTF-8 bytes.

    Never more than two pages in memory. Raises BucketRefused, BucketUnavailable.
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
            async for listed in _objects(buckets, destination, prefix, after):
                yield listed
            return
        first = False
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


async def _objects(
    buckets: Buckets, destination: Destination, prefix: str, after: str
) -> AsyncGenerator[Listed, None]:
    bucket = destination.bucket
    while True:
        async with buckets.translated(destination):
            client = await buckets.client(destination)
            page = await client.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after)
        for entry in page.get("Contents", []):
            size, date = entry["Size"], entry["LastModified"]
            etag = entry.get("ETag", "")
            yield Listed(entry["Key"], {"": size}, {"": date}, etag, False, date)
            after = entry["Key"]
        if not page.get("IsTruncated", False):
            return
