"""Read whole objects, a piece at a time, and their tags."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from app.errors import BucketUnavailable
from app.store.client import RETRY_AFTER, error_code
from app.store.look import ABSENT
from app.store.objects import ObjectHandle

_CHUNK: Final = 128 * 1024
_NO_TAGS: Final = frozenset({"NoSuchTagSet"})


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An object that is being read: its size in bytes and its ETag, and its bytes, once."""

    size: int
    etag: str
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def reading(handle: ObjectHandle, version_id: str | None) -> AsyncIterator[OpenObject | None]:
    """Yield the object in that version, or else the latest; None if there is none.

    No more than some hundred KiB of it are in memory. Its chunks raise as the calls of a handle do:
    BucketUnavailable also where the store ends before the object does.
    """
    said = await _get(handle, version_id)
    if said is None:
        yield None
        return
    async with said["Body"] as body:
        size = int(said["ContentLength"])
        yield OpenObject(size, str(said["ETag"]), _chunks(handle, body, size))


async def _get(handle: ObjectHandle, version_id: str | None) -> Mapping[str, Any] | None:
    async with handle.buckets.translated(handle.destination):
        client = await handle.buckets.client(handle.destination)
        try:
            said: Mapping[str, Any] = await client.get_object(**_place(handle, version_id))
        except ClientError as error:
            if error_code(error) not in ABSENT:
                raise
            await handle.buckets.require(handle.destination)
            return None
    return said


async def _chunks(handle: ObjectHandle, body: Any, size: int) -> AsyncIterator[bytes]:
    left = size
    while left > 0:
        async with handle.buckets.translated(handle.destination):
            chunk: bytes = await body.content.read(_CHUNK)
        if not chunk:
            raise BucketUnavailable(
                f"The bucket {handle.bucket} ended in the middle of an object; try again.",
                retry_after=RETRY_AFTER,
            )
        left -= len(chunk)
        yield chunk


async def tags_of(handle: ObjectHandle, version_id: str | None) -> dict[str, str] | None:
    """The object's tags, in that version or else the latest; None if there is no such object.

    Raises as the calls of a handle do.
    """
    async with handle.buckets.translated(handle.destination):
        client = await handle.buckets.client(handle.destination)
        try:
            said = await client.get_object_tagging(**_place(handle, version_id))
        except ClientError as error:
            if error_code(error) in _NO_TAGS:
                return {}
            if error_code(error) not in ABSENT:
                raise
            await handle.buckets.require(handle.destination)
            return None
    return {tag["Key"]: tag["Value"] for tag in said.get("TagSet", [])}


def _place(handle: ObjectHandle, version_id: str | None) -> dict[str, str]:
    place = {"Bucket": handle.bucket, "Key": handle.key}
    return place if version_id is None else {**place, "VersionId": version_id}
