"""How a bucket is set, read and written: the S3 calls behind `provision` and the doctor.

A store that does not know one of these subresources usually ignores it and answers as if the
bucket itself had been asked for: 200, without the element that was wanted. That tells "not known
here" from "not set", which is an error of its own (AWS API, each call's special errors).
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from app.core.bucket_setup import PUBLIC_ACCESS_SWITCHES, Aspect, Config, StoreKind, identify_store
from app.core.destination import Destination
from app.core.notifications import normalized
from app.store.client import UNKNOWN_CALL, error_code, error_status, head_bucket, translated
from app.store.session import AioConfig, Session


class Unread(Enum):
    """Why an aspect could not be read."""

    UNKNOWN = "the store does not have it"
    DENIED = "these keys may not look at it"


Found = Config | Unread


@dataclass(frozen=True, slots=True)
class BucketState:
    """How a bucket is set. `region` is None where the store has none to tell.

    Of a bucket that does not exist every aspect is empty.
    """

    kind: StoreKind
    region: str | None
    aspects: Mapping[Aspect, Found]
    exists: bool = True

    def config(self, aspect: Aspect) -> Config:
        """The aspect's configuration; empty if it is not set or could not be read."""
        found = self.aspects[aspect]
        return {} if isinstance(found, Unread) else found


async def read_bucket(client: Any, bucket: str, *, notifications: bool = False) -> BucketState:
    """How the bucket is set, or that there is none; its notifications only where they are wanted.

    Raises BucketRefused, BucketUnavailable, SigningUnavailable.
    """
    aspects = [one for one in Aspect if one is not Aspect.NOTIFICATIONS or notifications]
    async with translated(bucket):
        try:
            said = await head_bucket(client, bucket)
        except ClientError as error:
            if error_code(error) not in {"404", "NoSuchBucket"}:
                raise
            kind = identify_store(error.response["ResponseMetadata"]["HTTPHeaders"])
            return BucketState(kind, None, {aspect: {} for aspect in aspects}, exists=False)
        found = await asyncio.gather(*(_read(client, bucket, aspect) for aspect in aspects))
    state = dict(zip(aspects, found, strict=True))
    if state[Aspect.VERSIONING] == {} and not await _keeps_versions(client, bucket):
        state[Aspect.VERSIONING] = Unread.UNKNOWN
    headers = said["ResponseMetadata"]["HTTPHeaders"]
    return BucketState(identify_store(headers), headers.get("x-amz-bucket-region"), state)


async def read_aspect(client: Any, bucket: str, aspect: Aspect) -> Found:
    """The aspect as it is set now. Raises what `read_bucket` raises."""
    async with translated(bucket):
        return await _read(client, bucket, aspect)


async def create_bucket(client: Any, bucket: str, region: str) -> None:
    """Make the bucket, private as new buckets are. Raises ClientError."""
    # us-east-1 is the one region that must not be named (AWS API, CreateBucket).
    named = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    await client.create_bucket(Bucket=bucket, **({} if region == "us-east-1" else named))


async def create_topic(session: Session, destination: Destination, name: str, url: str) -> str:
    """Make Ceph's topic that pushes to the URL, unless it is there; its ARN. Raises ClientError."""
    async with session.client(
        "sns",
        region_name=destination.region,
        endpoint_url=destination.endpoint_url,
        config=AioConfig(ignore_configured_endpoint_urls=True),
    ) as client:
        made = await client.create_topic(Name=name, Attributes={"push-endpoint": url})
    return str(made["TopicArn"])


async def write_aspect(client: Any, bucket: str, aspect: Aspect, config: Config) -> None:
    """Set the aspect; an empty configuration takes it away, of versioning suspends it.

    Raises ClientError, for the caller to say what it means.
    """
    if not config and aspect is not Aspect.VERSIONING:
        await getattr(client, _DELETES[aspect])(Bucket=bucket)
        return
    match aspect:
        case Aspect.VERSIONING:
            # Versioning that was once on cannot be unset (AWS API, PutBucketVersioning).
            await client.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration=config or {"Status": "Suspended"}
            )
        case Aspect.OWNERSHIP:
            await client.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=config)
        case Aspect.ENCRYPTION:
            await client.put_bucket_encryption(
                Bucket=bucket, ServerSideEncryptionConfiguration=config
            )
        case Aspect.CORS:
            await client.put_bucket_cors(Bucket=bucket, CORSConfiguration=config)
        case Aspect.LIFECYCLE:
            # What stands beside the rules is an argument of its own, and is lost if it is not
            # sent again.
            beside = {name: value for name, value in config.items() if name != "Rules"}
            await client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": config["Rules"]}, **beside
            )
        case Aspect.POLICY:
            await client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(config))
        case Aspect.PUBLIC_ACCESS:
            await client.put_public_access_block(
                Bucket=bucket, PublicAccessBlockConfiguration=config
            )
        case Aspect.NOTIFICATIONS:
            await client.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration=config
            )


_DELETES: Final[Mapping[Aspect, str]] = {
    Aspect.OWNERSHIP: "delete_bucket_ownership_controls",
    Aspect.ENCRYPTION: "delete_bucket_encryption",
    Aspect.CORS: "delete_bucket_cors",
    Aspect.LIFECYCLE: "delete_bucket_lifecycle",
    Aspect.POLICY: "delete_bucket_policy",
    Aspect.PUBLIC_ACCESS: "delete_public_access_block",
}


async def try_object(client: Any, bucket: str, key: str) -> str | None:
    """Write an object, read it and delete it; why that failed, None if it did not."""
    try:
        written = await client.put_object(Bucket=bucket, Key=key, Body=_PROBE)
        version = written.get("VersionId")
        which = {} if version in {None, "null"} else {"VersionId": version}
        try:
            # As the latest, and as the version that it is, where there is one.
            same = True
            for asked in ({}, which) if which else ({},):
                read = await client.get_object(Bucket=bucket, Key=key, **asked)
                async with read["Body"] as body:
                    same = same and await body.read() == _PROBE
        finally:
            await client.delete_object(Bucket=bucket, Key=key, **which)
    except ClientError as error:
        return f"{error.operation_name}: {error_status(error)} {error_code(error)}"
    except (BotoCoreError, TimeoutError, OSError) as error:
        return str(error) or type(error).__name__
    return None if same else "what was written is not what is read"


_PROBE: Final = b"claimcheck bucket apply"


async def is_public(client: Any, bucket: str) -> bool | None:
    """Whether the store itself finds the bucket's policy public; None if it does not say."""
    try:
        said = await client.get_bucket_policy_status(Bucket=bucket)
    except ClientError:
        return None
    public: bool | None = said.get("PolicyStatus", {}).get("IsPublic")
    return public


async def _read(client: Any, bucket: str, aspect: Aspect) -> Found:
    operation, element, unset = _READS[aspect]
    try:
        said = await getattr(client, operation)(Bucket=bucket)
    except ClientError as error:
        if error_code(error) == unset:
            return {}
        # The bucket itself has let us in already. What else stores answer differs.
        status = error_status(error)
        if status == 403:
            return Unread.DENIED
        if 400 <= status < 500 or status == 501:
            return Unread.UNKNOWN
        raise
    return _found(aspect, element, said)


def _found(aspect: Aspect, element: str | None, said: Config) -> Found:
    said = {name: value for name, value in said.items() if name != "ResponseMetadata"}
    if aspect is Aspect.VERSIONING:
        status = said.get("Status")
        return {"Status": status} if status else {}
    if aspect is Aspect.POLICY:
        try:
            policy: Config = json.loads(said["Policy"])
        except ValueError:
            return Unread.UNKNOWN
        return policy
    if aspect is Aspect.NOTIFICATIONS:
        return normalized(said)
    inner = said if element is None else said.get(element, {})
    if not inner:
        return Unread.UNKNOWN
    if aspect is Aspect.PUBLIC_ACCESS:
        return {switch: bool(inner.get(switch)) for switch in PUBLIC_ACCESS_SWITCHES}
    found: Config = inner
    return found


# The call, the element of its answer that holds the configuration (None: all of it), and the
# error that says that there is none.
_READS: Final[Mapping[Aspect, tuple[str, str | None, str | None]]] = {
    Aspect.VERSIONING: ("get_bucket_versioning", None, None),
    Aspect.OWNERSHIP: (
        "get_bucket_ownership_controls",
        "OwnershipControls",
        "OwnershipControlsNotFoundError",
    ),
    Aspect.ENCRYPTION: (
        "get_bucket_encryption",
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    Aspect.CORS: ("get_bucket_cors", None, "NoSuchCORSConfiguration"),
    Aspect.LIFECYCLE: ("get_bucket_lifecycle_configuration", None, "NoSuchLifecycleConfiguration"),
    Aspect.POLICY: ("get_bucket_policy", "Policy", "NoSuchBucketPolicy"),
    Aspect.PUBLIC_ACCESS: (
        "get_public_access_block",
        "PublicAccessBlockConfiguration",
        "NoSuchPublicAccessBlockConfiguration",
    ),
    Aspect.NOTIFICATIONS: ("get_bucket_notification_configuration", None, None),
}


async def _keeps_versions(client: Any, bucket: str) -> bool:
    """Whether the store has versions at all; where none were ever wanted it cannot be read."""
    try:
        await client.list_object_versions(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        return error_code(error) not in UNKNOWN_CALL | {"501", "405"}
    return True
