"""How a bucket is reached: an S3 client for its endpoint, and what that client's errors mean."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)

from app.core.destination import Destination
from app.errors import BucketRefused, BucketUnavailable, SigningUnavailable

# Seconds, where a client may try again.
RETRY_AFTER: Final = 5
# A complete may take minutes; its answer begins only then on some stores. In seconds.
_COMPLETE_SECONDS: Final = 600
# A bucket that was there is not asked for again for so many seconds.
_CHECK_SECONDS: Final = 30.0
# The codes of stores that do not know a call.
UNKNOWN_CALL: Final = frozenset({"NotImplemented", "MethodNotAllowed"})


def open_client(
    session: aioboto3.Session, destination: Destination, *, read_timeout: int = 8, attempts: int = 2
) -> Any:
    """An async context manager that yields an S3 client for the destination's endpoint."""
    return session.client(
        "s3",
        region_name=destination.region,
        endpoint_url=destination.endpoint_url,
        config=AioConfig(
            signature_version="s3v4",
            connect_timeout=3,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=50,
            # Ceph and others refuse the trailing checksums that botocore adds by itself.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": destination.addressing_style},
            # An AWS_ENDPOINT_URL in the environment would part the client from the signer.
            ignore_configured_endpoint_urls=True,
        ),
    )


_ClientKey = tuple[str | None, str, str]


class Buckets:
    """Two clients for each endpoint and region, open for the process's life."""

    def __init__(self, clients: Mapping[_ClientKey, Any], slow: Mapping[_ClientKey, Any]) -> None:
        self._clients = clients
        self._slow = slow
        # When each bucket was there last, by its client, on the event loop's clock.
        self._checked_at: dict[tuple[_ClientKey, str], float] = {}

    def client(self, destination: Destination) -> Any:
        """The S3 client of the destination's endpoint and region."""
        return self._clients[_client_key(destination)]

    def slow_client(self, destination: Destination) -> Any:
        """One that waits for minutes and repeats nothing: for calls that take the store long."""
        return self._slow[_client_key(destination)]

    async def check(self, destination: Destination) -> None:
        """Ask whether the bucket is there and open to us.

        Raises BucketRefused, BucketUnavailable.
        """
        async with translated(destination.bucket):
            await head_bucket(self.client(destination), destination.bucket)

    async def require(self, destination: Destination) -> None:
        """Raise ClientError unless the bucket is there: its absence is a 404 to a HEAD of a key as
        the key's is, and no body tells them apart. Asked now and then, not for each key.
        """
        now = asyncio.get_running_loop().time()
        key = _client_key(destination), destination.bucket
        if now - self._checked_at.get(key, -_CHECK_SECONDS) >= _CHECK_SECONDS:
            await head_bucket(self.client(destination), destination.bucket)
            self._checked_at[key] = now


def _client_key(destination: Destination) -> _ClientKey:
    return destination.endpoint_url, destination.region, destination.addressing_style


@asynccontextmanager
async def open_buckets(
    session: aioboto3.Session, destinations: Iterable[Destination]
) -> AsyncIterator[Buckets]:
    """Clients for all destinations; the endpoint is the one for the service, not the public one."""
    async with AsyncExitStack() as stack:
        clients, slow = {}, {}
        for destination in destinations:
            key = _client_key(destination)
            if key not in clients:
                clients[key] = await stack.enter_async_context(open_client(session, destination))
                # Whether a complete is worth repeating is for its caller to find out.
                slow[key] = await stack.enter_async_context(
                    open_client(session, destination, read_timeout=_COMPLETE_SECONDS, attempts=1)
                )
        yield Buckets(clients, slow)


@asynccontextmanager
async def translated(bucket: str) -> AsyncIterator[None]:
    """Turn what botocore raises into BucketRefused, SigningUnavailable or BucketUnavailable."""
    try:
        yield
    except ClientError as error:
        status = error_status(error)
        if status in {401, 403}:
            raise BucketRefused(
                f"The bucket {bucket} refused the service's own request. Whoever runs the service "
                "must check its keys and its S3 rights: s3:GetObject, s3:GetObjectVersion, "
                "s3:PutObject, s3:DeleteObject, s3:DeleteObjectVersion, s3:ListBucket, "
                "s3:ListBucketVersions, s3:AbortMultipartUpload, s3:ListMultipartUploadParts, "
                "s3:ListBucketMultipartUploads."
            ) from error
        if status == 404 or 300 <= status < 400:
            raise BucketRefused(
                f"The bucket {bucket} is not at the configured endpoint and region: correct the "
                "settings, or make it with `claimcheck bucket apply`."
            ) from error
        raise BucketUnavailable(
            f"The bucket {bucket} answered with an error; try again in a moment.",
            retry_after=RETRY_AFTER,
        ) from error
    except (NoCredentialsError, CredentialRetrievalError) as error:
        raise SigningUnavailable(
            "The service has no valid S3 credentials now; try again in a moment.",
            retry_after=RETRY_AFTER,
        ) from error
    except (TimeoutError, BotoCoreError, OSError) as error:
        raise BucketUnavailable(
            f"The bucket {bucket} did not answer; try again in a moment.", retry_after=RETRY_AFTER
        ) from error


async def head_bucket(client: Any, bucket: str) -> Any:
    """The answer to HeadBucket. Raises ClientError."""
    try:
        return await client.head_bucket(Bucket=bucket)
    except HTTPClientError:
        # OpenStack Swift sends a body with the 404 to a HEAD (RFC 9110, section 9.3.2: it must
        # not), which aiohttp takes for a broken answer.
        return await client.list_objects_v2(Bucket=bucket, MaxKeys=1)


async def head_object(client: Any, **which: str) -> Any:
    """The answer to HeadObject, with its checksum where the store has one. Raises ClientError."""
    try:
        return await client.head_object(**which, ChecksumMode="ENABLED")
    except HTTPClientError:
        # As above: a GET says whether the object is missing.
        (await client.get_object(**which, Range="bytes=0-0"))["Body"].close()
        raise


def error_code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def error_status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
