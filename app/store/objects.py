"""The S3 calls about one object that are sent: looks, multipart, delete by version.

Signing for browsers is `app.store.signer`'s and sends nothing. Errors that have a meaning of their
own are translated where the call is made, all others by `app.store.client.translated`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from app.core.destination import Destination
from app.errors import BucketUnavailable, UploadNotArrived
from app.store.client import (
    RETRY_AFTER,
    TOKEN_ENDED,
    UNKNOWN_CALL,
    Buckets,
    error_code,
    error_status,
    head_bucket,
)
from app.store.look import ABSENT, StoredObject, look, read_part

_DELETES_AT_ONCE: Final = 20
# Statuses of a failed complete that are not about its parts.
_NOT_OF_THE_PARTS: Final = frozenset({401, 403, 404, 408, 409, 429})
# Seconds between aborts, while parts that were under way come in.
_ABORT_DELAYS: Final = (0.2, 1.0, 2.0)
# Seconds before a delete is repeated for which the store denies a bucket that is there.
_DELETE_DELAYS: Final = (0.1, 0.4, 1.0)
# Stores have several names for an upload that is gone: Ceph RGW 16 and OpenStack Swift say
# NoSuchKey; an answer without a body is a bare 404.
_NO_UPLOAD: Final = ABSENT | {"NoSuchUpload"}
_METADATA: Final = "x-amz-meta-"
_CREATE_PARAMETERS: Final = {
    "content-type": "ContentType",
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "x-amz-acl": "ACL",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
}


class PartsTooSmall(Exception):
    """The store joins no parts as small as these."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that the bucket has: its size in bytes, its ETag as the store writes it."""

    part_number: int
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectHandle:
    """One key of a destination's bucket: every S3 call about it that is sent.

    Each raises BucketRefused, BucketUnavailable and SigningUnavailable.
    """

    buckets: Buckets
    destination: Destination
    key: str

    @property
    def bucket(self) -> str:
        return self.destination.bucket

    async def _client(self) -> Any:
        return await self.buckets.client(self.destination)

    @property
    def _place(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key}

    async def head(self, version_id: str | None = None) -> StoredObject | None:
        """The object, in that version or else the latest; None if there is none."""
        return await self.look(version_id=version_id)

    async def look(
        self, *, version_id: str | None = None, length: int = 0, checksum: bool = False
    ) -> StoredObject | None:
        """As `head`, with the first `length` bytes and the checksum where they are asked for.

        Raises UploadNotArrived if the object is replaced between two requests.
        """
        async with self.buckets.translated(self.destination):
            return await look(
                self.buckets,
                self.destination,
                self.key,
                version_id=version_id,
                length=length,
                checksum=checksum,
            )

    async def read(self, found: StoredObject, part: slice) -> bytes | None:
        """That part of the object that was found; None of a store that knows no ranges.

        Raises UploadNotArrived if it was replaced since.
        """
        async with self.buckets.translated(self.destination):
            return await read_part(self.buckets, self.destination, self.key, found, part)

    async def is_used(self) -> bool:
        """Whether the key has an object or, where the bucket keeps versions, ever had one.

        An object that is hidden by a delete marker is somebody's to bring back.
        """
        async with self.buckets.translated(self.destination):
            versions = await self._versions()
        return bool(versions) if versions is not None else await self.head() is not None

    async def find_versions(self) -> list[str | None]:
        """The ids of the key's versions, without delete markers; `[None]` where the store keeps no
        versions.
        """
        async with self.buckets.translated(self.destination):
            versions = await self._versions(markers=False)
        return [None] if versions is None else list(versions)

    async def delete_version(self, version_id: str | None) -> None:
        """Delete one version of the object; None: the object of a store that keeps no versions."""
        which = {} if version_id is None else {"VersionId": version_id}
        async with self.buckets.translated(self.destination):
            await self._delete(which)

    async def delete(self) -> None:
        """Delete the object with every version and delete marker of its key.

        A DELETE without a version id only hides the object on a versioned bucket: a link that pins
        the version would go on serving it.
        """
        async with self.buckets.translated(self.destination):
            versions = await self._versions()
            named = [{"VersionId": version} for version in versions or ()]
            # Nothing is deleted without need: on a versioned bucket that leaves a marker behind.
            if versions is None and await self.head() is not None:
                named = [{}]
            for start in range(0, len(named), _DELETES_AT_ONCE):
                deletes = map(self._delete, named[start : start + _DELETES_AT_ONCE])
                # All to their end, so that none goes on behind the back of the answer.
                for outcome in await asyncio.gather(*deletes, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        raise outcome

    async def _delete(self, which: Mapping[str, str]) -> None:
        client = await self._client()
        for delay in (*_DELETE_DELAYS, None):
            try:
                await client.delete_object(**self._place, **which)
            except ClientError as error:
                # S3 finds nothing wrong with deleting what is not there; OpenStack Swift does.
                if await self._is_gone(error):
                    return
                if delay is None or error_code(error) != "NoSuchBucket":
                    raise
                # Swift says so, too, while another version of the key is being deleted.
                await head_bucket(client, self.bucket)
                await asyncio.sleep(delay)
            else:
                return

    async def create_upload(self, headers: Mapping[str, str]) -> str:
        """Begin a multipart upload of an object with these headers; the store's id of it."""
        parameters: dict[str, Any] = {"Metadata": {}}
        for name, value in headers.items():
            if name.startswith(_METADATA):
                parameters["Metadata"][name.removeprefix(_METADATA)] = value
            else:
                parameters[_CREATE_PARAMETERS[name]] = value
        async with self.buckets.translated(self.destination):
            client = await self._client()
            said = await client.create_multipart_upload(**self._place, **parameters)
        return str(said["UploadId"])

    async def find_uploads(self, *, before: datetime | None = None) -> list[str]:
        """The ids of the key's multipart uploads that are under way, oldest first; with `before` of
        those that the store began by then.

        Empty on stores that do not list them.
        """
        found = []
        async with self.buckets.translated(self.destination):
            pages = (await self._client()).get_paginator("list_multipart_uploads")
            try:
                async for page in pages.paginate(Bucket=self.bucket, Prefix=self.key):
                    uploads = page.get("Uploads", [])
                    found += [upload for upload in uploads if upload["Key"] == self.key]
            except ClientError as error:
                if error_code(error) not in UNKNOWN_CALL:
                    raise
        if before is not None:
            found = [upload for upload in found if upload["Initiated"] <= before]
        found.sort(key=lambda upload: upload["Initiated"])
        return [upload["UploadId"] for upload in found]

    async def list_parts(self, upload_id: str | None) -> list[StoredPart] | None:
        """The parts that have arrived, in order; None if the store knows no such upload (any more).

        An upload without an id was not begun at the store: it has none.
        """
        if upload_id is None:
            return []
        found = []
        async with self.buckets.translated(self.destination):
            pages = (await self._client()).get_paginator("list_parts")
            try:
                async for page in pages.paginate(**self._place, UploadId=upload_id):
                    found += page.get("Parts", [])
            except ClientError as error:
                if await self._is_gone(error):
                    return None
                raise
        parts = [StoredPart(part["PartNumber"], part["Size"], part["ETag"]) for part in found]
        # SeaweedFS 4.48 names a part as often as it was sent.
        return list(dict.fromkeys(parts))

    async def complete_upload(self, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Have the store join the parts, which may take minutes.

        Does nothing where it knows no such upload (any more): it was joined before, or aborted.
        Raises PartsTooSmall, UploadNotArrived or BucketRefused if nothing was joined,
        BucketUnavailable if that is not known.
        """
        named = [{"PartNumber": part.part_number, "ETag": part.etag} for part in parts]
        async with self.buckets.translated(self.destination):
            client = await self.buckets.slow_client(self.destination)
            try:
                await client.complete_multipart_upload(
                    **self._place, UploadId=upload_id, MultipartUpload={"Parts": named}
                )
            except ClientError as error:
                code, status = error_code(error), error_status(error)
                if await self._is_gone(error):
                    return
                if code == "EntityTooSmall":
                    raise PartsTooSmall from error
                if 400 <= status < 500 and not (status in _NOT_OF_THE_PARTS or code in TOKEN_ENDED):
                    raise UploadNotArrived(
                        f"The bucket cannot join these parts ({code}): send those again that "
                        "changed meanwhile, then confirm."
                    ) from error
                raise

    async def abort_upload(self, upload_id: str) -> None:
        """Drop a multipart upload and its parts, again until none is left.

        A part that is under way while the upload is aborted may come to stay (AWS API,
        AbortMultipartUpload). Does nothing where the store knows no such upload (any more): on
        OpenStack Swift the parts of one that was completed are the object, and are listed on.
        """
        for delay in _ABORT_DELAYS:
            async with self.buckets.translated(self.destination):
                try:
                    client = await self._client()
                    await client.abort_multipart_upload(**self._place, UploadId=upload_id)
                except ClientError as error:
                    if await self._is_gone(error):
                        return
                    raise
            if not await self.list_parts(upload_id):
                return
            await asyncio.sleep(delay)
        raise BucketUnavailable(
            f"Parts of the upload still come in to {self.bucket}; try again in a moment.",
            retry_after=RETRY_AFTER,
        )

    async def abort_uploads(self, upload_id: str | None) -> None:
        """Drop every multipart upload of the key with its parts: this one, and unnoted ones."""
        uploads = set(await self.find_uploads())
        if upload_id is not None:
            uploads.add(upload_id)
        for found in uploads:
            await self.abort_upload(found)

    async def _is_gone(self, error: ClientError) -> bool:
        """Whether the store says that it knows no such upload, in whatever words."""
        code = error_code(error)
        if code == "404":
            # No body says of what: it may be the bucket.
            await self.buckets.require(self.destination)
        return code in _NO_UPLOAD

    async def _versions(self, *, markers: bool = True) -> list[str] | None:
        """The ids of the key's versions and delete markers; None where the store lists none."""
        found: list[str] = []
        pages = (await self._client()).get_paginator("list_object_versions")
        try:
            async for page in pages.paginate(Bucket=self.bucket, Prefix=self.key):
                entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                # A store that takes the call for another one may answer with a list of objects.
                if not entries and "KeyMarker" not in page:
                    return found or None
                named = entries if markers else page.get("Versions", [])
                found += [entry["VersionId"] for entry in named if entry["Key"] == self.key]
                # Keys come in order, and the prefix itself is the first of those that start so.
                if any(entry["Key"] != self.key for entry in entries):
                    break
        except ClientError as error:
            if error_code(error) not in UNKNOWN_CALL:
                raise
            return None
        return found
