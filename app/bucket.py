"""The S3 calls that are sent: HEAD, delete by version, and what a new bucket needs.

Signing for browsers is app.signer's and sends nothing. Provider errors are translated here, only
those that have a meaning of their own; the rest is `BucketRefused` or `BucketUnavailable`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
)

from app.core.destination import Destination
from app.errors import BucketRefused, BucketUnavailable, SigningUnavailable

_RETRY_AFTER: Final = 5
_DELETES_AT_ONCE: Final = 20
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the bucket says of an object (AWS API, HeadObject).

    `checksum_sha256` is base64 of the whole object's SHA-256, None where the store reports none.
    `version_id` is None unless the bucket is versioned. `metadata` names are lower case.
    """

    size: int
    content_type: str
    etag: str
    version_id: str | None
    checksum_sha256: str | None
    metadata: dict[str, str]


class Buckets:
    """One client an endpoint and region, open for the process's life."""

    def __init__(self, clients: dict[tuple[str | None, str, str], Any]) -> None:
        self._clients = clients

    def client(self, destination: Destination) -> Any:
        return self._clients[_client_key(destination)]

    async def head(self, destination: Destination, bucket: str, key: str) -> StoredObject | None:
        """The latest version of the object, or None if there is none.

        Raises BucketRefused, BucketUnavailable.
        """
        async with translated(bucket):
            try:
                said = await self.client(destination).head_object(
                    Bucket=bucket, Key=key, ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] not in _ABSENT:
                    raise
                # A missing bucket is a 404 too, and HEAD has no body that would tell them apart.
                await self.client(destination).head_bucket(Bucket=bucket)
                return None
        version = said.get("VersionId")
        # A multipart's SHA-256 is the hash of its parts' hashes, not the file's; and a store that
        # says nothing of the kind may only repeat what the client claimed.
        whole = said.get("ChecksumType") == "FULL_OBJECT"
        return StoredObject(
            size=said["ContentLength"],
            content_type=said.get("ContentType", ""),
            etag=said.get("ETag", ""),
            # "null" is what a bucket with suspended versioning says; it pins nothing.
            version_id=None if version == "null" else version,
            checksum_sha256=said.get("ChecksumSHA256") if whole else None,
            metadata={name.lower(): value for name, value in said.get("Metadata", {}).items()},
        )

    async def delete(self, destination: Destination, bucket: str, key: str) -> None:
        """Delete the object with every version and delete marker of its key.

        A DELETE without a version id only hides the object on a versioned bucket: a link that pins
        the version would go on serving it. Raises BucketRefused, BucketUnavailable.
        """
        client = self.client(destination)
        async with translated(bucket):
            try:
                versions = await _versions(client, bucket, key)
            except ClientError as error:
                # Stores without versions do not know the call.
                if error.response["Error"]["Code"] not in {"NotImplemented", "MethodNotAllowed"}:
                    raise
                versions = []
            named = [{"VersionId": version} for version in versions] or [{}]
            for start in range(0, len(named), _DELETES_AT_ONCE):
                deletes = [
                    client.delete_object(Bucket=bucket, Key=key, **which)
                    for which in named[start : start + _DELETES_AT_ONCE]
                ]
                # All to their end, so that none goes on behind the back of the answer.
                for outcome in await asyncio.gather(*deletes, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        raise outcome

    async def check(self, destination: Destination) -> None:
        """Ask whether the bucket is there and lets us in; BucketRefused, BucketUnavailable."""
        async with translated(destination.bucket):
            await self.client(destination).head_bucket(Bucket=destination.bucket)


def _client_key(destination: Destination) -> tuple[str | None, str, str]:
    return destination.endpoint_url, destination.region, destination.addressing_style


@asynccontextmanager
async def open_buckets(
    session: aioboto3.Session, destinations: Iterable[Destination]
) -> AsyncIterator[Buckets]:
    """Clients for all destinations; the endpoint is the one for the service, not the public one."""
    async with AsyncExitStack() as stack:
        clients = {}
        for destination in destinations:
            key = _client_key(destination)
            if key not in clients:
                clients[key] = await stack.enter_async_context(open_client(session, destination))
        yield Buckets(clients)


def open_client(session: aioboto3.Session, destination: Destination) -> Any:
    """An async context manager that yields an S3 client for the destination's endpoint."""
    return session.client(
        "s3",
        region_name=destination.region,
        endpoint_url=destination.endpoint_url,
        config=AioConfig(
            signature_version="s3v4",
            connect_timeout=3,
            read_timeout=8,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=50,
            # Ceph and others refuse the trailing checksums that botocore adds by itself.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": destination.addressing_style},
            # An AWS_ENDPOINT_URL in the environment would part the client from the signer.
            ignore_configured_endpoint_urls=True,
        ),
    )


async def _versions(client: Any, bucket: str, key: str) -> list[str]:
    found = []
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    async for page in pages:
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        found += [entry["VersionId"] for entry in entries if entry["Key"] == key]
        # Keys come in order, and the prefix itself is the first of those that start with it.
        if any(entry["Key"] != key for entry in entries):
            break
    return found


@asynccontextmanager
async def translated(bucket: str) -> AsyncIterator[None]:
    """Turn what botocore raises into BucketRefused, SigningUnavailable or BucketUnavailable."""
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status in {401, 403}:
            raise BucketRefused(
                f"The bucket {bucket} refused the service's own request. Whoever runs the service "
                "must check its keys and its S3 rights: s3:GetObject, s3:GetObjectVersion, "
                "s3:DeleteObject, s3:DeleteObjectVersion, s3:ListBucket, s3:ListBucketVersions."
            ) from error
        if status == 404 or 300 <= status < 400:
            raise BucketRefused(
                f"The bucket {bucket} is not at the configured endpoint and region."
            ) from error
        raise BucketUnavailable(
            f"The bucket {bucket} answered with an error; try again in a moment.",
            retry_after=_RETRY_AFTER,
        ) from error
    except (NoCredentialsError, CredentialRetrievalError) as error:
        raise SigningUnavailable(
            "The service has no valid S3 credentials now; try again in a moment.",
            retry_after=_RETRY_AFTER,
        ) from error
    except (TimeoutError, BotoCoreError, OSError) as error:
        raise BucketUnavailable(
            f"The bucket {bucket} did not answer; try again in a moment.", retry_after=_RETRY_AFTER
        ) from error
