"""Look at an object: what it is, and its first bytes, in one request that our own signer signs.

A ranged GET describes the object as HEAD does, and its bytes are of the same version, whatever
happens to the key meanwhile. HEAD is sent where no bytes are wanted, and where a GET cannot tell:
about a checksum (stores tell that of a whole object alone), an empty object (416) or an archived
one. Failures are raised as `app.store.sending` raises them.
"""

import re
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final, Literal
from uuid import UUID

from botocore.exceptions import ClientError, HTTPClientError

from app.core.destination import Destination
from app.errors import UploadNotArrived
from app.store.client import Buckets, error_code, error_status, explain
from app.store.sending import Headers, Request, send

# The only metadata of ours on an object: everybody who holds a link can read it.
ID_METADATA: Final = "claimcheck-id"
ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
_METADATA: Final = "x-amz-meta-"
_SERVING: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
)
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the bucket describes it (AWS API, GetObject and HeadObject).

    `checksum_sha256` is base64 of the whole object's SHA-256, None where the store reports none.
    `version_id` is None unless the bucket is versioned. `metadata` names are lower case.
    `serving` are the headers with which it is served besides its type, by their names, lower case.
    `start` are its first bytes, None where none were asked for, or the object is archived.
    `last_modified` is as the store writes it (RFC 9110, section 8.8.2).
    """

    size: int
    content_type: str
    etag: str
    version_id: str | None
    checksum_sha256: str | None
    metadata: dict[str, str]
    serving: dict[str, str]
    start: bytes | None = None
    last_modified: str = ""

    def is_of(self, file_id: UUID) -> bool:
        """Whether it was uploaded with instructions for this file."""
        return self.metadata.get(ID_METADATA) == str(file_id)


async def look(
    buckets: Buckets,
    destination: Destination,
    key: str,
    *,
    version_id: str | None = None,
    length: int = 0,
    checksum: bool = False,
) -> StoredObject | None:
    """The object, in that version or else the latest; None if there is none.

    With a `length` its first bytes as well, so many at most, and with `checksum` its checksum.
    Raises ClientError, UploadNotArrived (replaced between two requests), and what the network does.
    """
    asked = _Asked(buckets, destination, key)
    try:
        found = await _look(asked, version_id, length, checksum)
    except ClientError as error:
        if error_code(error) not in ABSENT:
            raise
        await buckets.require(destination)
        return None
    return found


async def read_part(
    buckets: Buckets, destination: Destination, key: str, found: StoredObject, part: slice
) -> bytes | None:
    """That part of the object that was found, and of no other; None of a store without ranges.

    Raises ClientError, UploadNotArrived (replaced since), and what the network does.
    """
    asked = _Asked(buckets, destination, key)
    try:
        said, data = await _send(asked, "GET", found.version_id, part=part)
    except ClientError as error:
        if error_code(error) not in ABSENT:
            raise
        raise UploadNotArrived(
            "The object was deleted while it was looked at; confirm again.", retry_after=1
        ) from error
    _same(found, _described(said, found.size))
    match = _RANGE.fullmatch(said.get("Content-Range", ""))
    return data if match and int(match[1]) == part.start else None


@dataclass(frozen=True, slots=True)
class _Asked:
    buckets: Buckets
    destination: Destination
    key: str


def _send(
    asked: _Asked,
    method: Literal["GET", "HEAD"],
    version_id: str | None,
    *,
    checksum: bool = False,
    part: slice | None = None,
) -> Awaitable[tuple[Headers, bytes]]:
    version = None if version_id is None else {"versionId": version_id}
    request = Request(method, asked.key, version, checksum, part)
    return send(asked.buckets, asked.destination, request)


async def _look(asked: _Asked, version_id: str | None, length: int, checksum: bool) -> StoredObject:
    if not length:
        return await _head(asked, version_id, checksum)
    try:
        found, is_sized = await _get(asked, version_id, length)
    except ClientError as error:
        code = error_code(error)
        if code == "InvalidObjectState":
            return await _head(asked, version_id, checksum)
        if error_status(error) != 416 and code != "InvalidRange":
            raise
        found = await _head(asked, version_id, checksum)
        if not found.size:
            return replace(found, start=b"")
        # A store may refuse a range that goes past the end (RFC 9110, section 14.1.2, would have it
        # cut).
        read, _ = await _get(asked, found.version_id, min(length, found.size))
        return replace(found, start=_same(found, read).start)
    if checksum or not is_sized:
        whole = _same(found, await _head(asked, found.version_id, checksum))
        return replace(whole, start=found.start)
    return found


def _same(found: StoredObject, again: StoredObject) -> StoredObject:
    """The second answer, if it is about the first one's object. Raises UploadNotArrived."""
    if (found.etag, found.version_id) != (again.etag, again.version_id):
        raise UploadNotArrived(
            "The object was replaced while it was looked at; confirm again.", retry_after=1
        )
    return again


async def _head(asked: _Asked, version_id: str | None, checksum: bool) -> StoredObject:
    try:
        said, _ = await _send(asked, "HEAD", version_id, checksum=checksum)
    except ClientError as error:
        if error_code(error) == "403":
            client = await asked.buckets.client(asked.destination)
            await explain(client, asked.destination.bucket, error)
        raise
    except HTTPClientError:
        # OpenStack Swift sends a body with the 404 to a HEAD (RFC 9110, section 9.3.2: it must
        # not), which aiohttp takes for a broken answer. A GET says what is missing.
        await _get(asked, version_id, 1)
        raise
    return _described(said, int(said.get("Content-Length", 0)))


async def _get(asked: _Asked, version_id: str | None, length: int) -> tuple[StoredObject, bool]:
    """The object with its first bytes; whether the answer tells its size."""
    said, start = await _send(asked, "GET", version_id, part=slice(0, length))
    # rclone sends the range with status 200: it is Content-Range that tells.
    ranged = said.get("Content-Range")
    match = None if ranged is None else _RANGE.fullmatch(ranged)
    if match and match[1] == "0":
        size: str | None = match[2]
    else:
        size = said.get("Content-Length") if ranged is None else None
    return _described(said, int(size or 0), start), size is not None


def _described(said: Headers, size: int, start: bytes | None = None) -> StoredObject:
    version = said.get("x-amz-version-id")
    # A multipart's SHA-256 is the hash of its parts' hashes, not the file's; and a store that says
    # nothing of the kind may only repeat what the client claimed.
    whole = said.get("x-amz-checksum-type") == "FULL_OBJECT"
    metadata = {}
    for name, value in said.items():
        lower = name.lower()
        if lower.startswith(_METADATA):
            metadata[lower.removeprefix(_METADATA)] = value
    return StoredObject(
        size=size,
        content_type=said.get("Content-Type", ""),
        etag=said.get("ETag", ""),
        # "null" is what a bucket with suspended versioning says; it pins nothing.
        version_id=None if version == "null" else version,
        checksum_sha256=said.get("x-amz-checksum-sha256") if whole else None,
        metadata=metadata,
        serving={name: said[name] for name in _SERVING if said.get(name)},
        start=start,
        last_modified=said.get("Last-Modified", ""),
    )
