"""Look at an object: what it is, and its first bytes, in one request that our own signer signs.

A ranged GET describes the object as HEAD does, and its bytes are of the same version, whatever
happens to the key meanwhile. HEAD is sent where no bytes are wanted, and where a GET cannot tell:
about a checksum (stores tell that of a whole object alone), an empty object (416) or an archived
one. Requests go to the endpoint for the service, never to the public one. Failures are raised as
botocore's ClientError, which `app.store.client.translated` turns into problems.
"""

import asyncio
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from botocore.exceptions import ClientError, HTTPClientError

from app.core.destination import Destination
from app.core.object_url import BucketAddress
from app.core.sigv4 import Credentials, Method, UrlSigner
from app.errors import UploadNotArrived
from app.store.client import Buckets, error_code, error_status, explain
from app.store.credentials import utc_now

if TYPE_CHECKING:
    from app.store.web import Answer

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
# A URL works for as long as S3 takes a signature in a header (15 minutes): a clock that is behind
# by less does no harm.
_SIGNED_FOR: Final = 15 * 60
# As in botocore's standard mode, which the other calls are sent with: one repetition, after a
# random part of a second (botocore.retries.standard).
_ATTEMPTS: Final = 2
_PASSING_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_PASSING_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "PriorRequestNotComplete"})
# A URL of another region is answered so, with the right one (AWS, userguide/Redirects).
_ELSEWHERE: Final = frozenset({301, 302, 307, 400})
_WITH_CHECKSUM: Final = {"x-amz-checksum-mode": "ENABLED"}
_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+)")
_CODE: Final = re.compile(rb"<Code>\s*([^<]*?)\s*</Code>")
_MESSAGE: Final = re.compile(rb"<Message>\s*([^<]*?)\s*</Message>")
_REGION: Final = re.compile(rb"<Region>\s*([A-Za-z0-9_-]+)\s*</Region>")

Headers = Mapping[str, str]


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
        said, data = await _send(asked, "GET", found.version_id, {}, part)
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
    headers = _WITH_CHECKSUM if checksum else {}
    try:
        said, _ = await _send(asked, "HEAD", version_id, headers)
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
    said, start = await _send(asked, "GET", version_id, {}, slice(0, length))
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


async def _send(
    asked: _Asked,
    method: Literal["GET", "HEAD"],
    version_id: str | None,
    signed: Headers,
    part: slice | None = None,
) -> tuple[Headers, bytes]:
    """The headers of the answer, and that part of the object. Raises ClientError for any but a
    2xx.
    """
    own = region = asked.destination.region
    attempt = 1
    while True:
        try:
            return await _send_once(asked, region, method, version_id, signed, part)
        except ClientError as error:
            elsewhere = error.response["ResponseMetadata"].get("Region", own)
            if region == own != elsewhere:
                region = elsewhere
                continue
            if attempt == _ATTEMPTS or not _passes(error):
                raise
        except (HTTPClientError, TimeoutError, OSError):
            if attempt == _ATTEMPTS:
                raise
        attempt += 1
        await asyncio.sleep(random.random())  # noqa: S311


def _passes(error: ClientError) -> bool:
    """Whether the same request may succeed in a moment."""
    return error_status(error) in _PASSING_STATUSES or error_code(error) in _PASSING_CODES


async def _send_once(
    asked: _Asked,
    region: str,
    method: Literal["GET", "HEAD"],
    version_id: str | None,
    signed: Headers,
    part: slice | None,
) -> tuple[Headers, bytes]:
    buckets, destination = asked.buckets, asked.destination
    address = destination.service_address(region)
    credentials = await buckets.credentials()
    signer = _signer(address, credentials, utc_now().replace(microsecond=0), method, bool(signed))
    url = signer.url(asked.key, None if version_id is None else {"versionId": version_id})
    headers = {"Accept-Encoding": "identity", **signed}
    length = 0
    if part is not None:
        length = part.stop - part.start
        headers["Range"] = f"bytes={part.start}-{part.stop - 1}"
    # Of a store that knows no ranges no more is taken either.
    answer = await (await buckets.web()).ask(method, url, headers, length)
    if answer.ok:
        return answer.headers, answer.start
    error = _error(answer, method)
    buckets.note_clock(destination, error.response)
    raise error


# A second's looks at many objects share it (`python -m bench adopt`).
@lru_cache(maxsize=32)
def _signer(
    address: BucketAddress, credentials: Credentials, now: datetime, method: Method, checksum: bool
) -> UrlSigner:
    # What begins with x-amz- has to be signed (AWS, API/sigv4-query-string-auth).
    headers = _WITH_CHECKSUM if checksum else None
    return UrlSigner(
        address, credentials, now=now, expires_in=_SIGNED_FOR, method=method, headers=headers
    )


def _error(answer: "Answer", method: str) -> ClientError:
    """The refusal as botocore would parse it, with the bucket's region where it is another one.

    An answer without a body, as every one to a HEAD, has its status for a code.
    """
    code, message, told = (pattern.search(answer.start) for pattern in (_CODE, _MESSAGE, _REGION))
    metadata: dict[str, Any] = {
        "HTTPStatusCode": answer.status,
        "HTTPHeaders": {name.lower(): value for name, value in answer.headers.items()},
    }
    region = answer.headers.get("x-amz-bucket-region") or (told and told[1].decode())
    if region and answer.status in _ELSEWHERE:
        metadata["Region"] = region
    error = {
        "Code": code[1].decode("utf-8", "replace") if code and code[1] else str(answer.status),
        "Message": message[1].decode("utf-8", "replace") if message else answer.reason,
    }
    operation = "HeadObject" if method == "HEAD" else "GetObject"
    return ClientError({"Error": error, "ResponseMetadata": metadata}, operation)
