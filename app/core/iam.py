"""IAM policies with the least rights: for the service, and for setting its buckets up. Pure.

Sources: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon
S3"; IAM userguide, reference_policies_grammar.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from app.core.destination import Destination
from app.core.notifications import NOBODY, Receivers

OBJECT_ACTIONS: Final = (
    "s3:PutObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
BUCKET_ACTIONS: Final = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
# Read-only: `claimcheck doctor` reads the bucket's configuration with them.
LOOK_ACTIONS: Final = (
    "s3:GetBucketCORS",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPolicyStatus",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
)
# What the names of the objects begin with by which `claimcheck bucket apply` tries a setting.
PROBE_NAME: Final = "claimcheck-probe-"
_PROBE_ACTIONS: Final = (
    *("s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"),
    *("s3:DeleteObject", "s3:DeleteObjectVersion"),
)
_SETUP_ACTIONS: Final = (
    "s3:CreateBucket",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    *LOOK_ACTIONS,
    "s3:PutBucketCORS",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
)

_NOTIFICATION_ACTIONS: Final = ("s3:GetBucketNotification", "s3:PutBucketNotification")
# Where GuardDuty tags objects with its verdicts.
_TAG_ACTIONS: Final = ("s3:GetObjectTagging", "s3:GetObjectVersionTagging")
_QUEUE_ACTIONS: Final = ("sqs:DeleteMessage", "sqs:ReceiveMessage")

Policy = dict[str, Any]


def bucket_arn(bucket: str, region: str) -> str:
    """The bucket's ARN, in the partition of its region."""
    return f"arn:{_partition(region)}:s3:::{bucket}"


def object_arns(bucket: str, region: str, prefixes: Iterable[str] = ("",)) -> list[str]:
    """ARN patterns for the objects whose keys begin with one of the prefixes."""
    return [f"{bucket_arn(bucket, region)}/{prefix}*" for prefix in prefixes]


def service_policy(destinations: Sequence[Destination], receivers: Receivers = NOBODY) -> Policy:
    """The rights that the service itself needs, for the user or role that it runs as; the worker
    reads the queue.
    """
    buckets = _buckets(destinations)
    objects = [
        arn
        for (bucket, region), members in buckets.items()
        for arn in object_arns(bucket, region, sorted({d.prefix for d in members}))
    ]
    arns = [bucket_arn(bucket, region) for bucket, region in buckets]
    statements = [
        _allow("ClaimcheckObjects", OBJECT_ACTIONS, objects),
        # Without a condition on s3:prefix: a missing object would be a 403 otherwise.
        _allow("ClaimcheckLists", BUCKET_ACTIONS, arns),
        _allow("ClaimcheckDoctor", LOOK_ACTIONS, arns),
    ]
    tagged = [one for one in destinations if one.scan == "required" and one.scanner == "guardduty"]
    if tagged:
        arns_of_tagged = [
            arn
            for (bucket, region), members in _buckets(tagged).items()
            for arn in object_arns(bucket, region, sorted({d.prefix for d in members}))
        ]
        statements.append(_allow("ClaimcheckScans", _TAG_ACTIONS, arns_of_tagged))
    keys = sorted({(d.kms_key_id, d.region) for d in destinations if d.kms_key_id})
    statements += [_use_of_key(n, *key) for n, key in enumerate(keys, 1)]
    if receivers.queue_arn is not None:
        statements.append(_allow("ClaimcheckQueue", _QUEUE_ACTIONS, [receivers.queue_arn]))
    return {"Version": "2012-10-17", "Statement": statements}


def queue_policy(destinations: Sequence[Destination], receivers: Receivers) -> Policy:
    """The policy of the queue itself: the buckets may write to it (AWS userguide,
    "Granting permissions to publish event notification messages").
    """
    arns = [bucket_arn(bucket, region) for bucket, region in _buckets(destinations)]
    sending = _allow("ClaimcheckBuckets", ["sqs:SendMessage"], [receivers.queue_arn or "*"])
    condition = {"ArnLike": {"aws:SourceArn": arns}}
    allowed = {**sending, "Principal": {"Service": "s3.amazonaws.com"}, "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [allowed]}


def setup_policy(destinations: Sequence[Destination], receivers: Receivers = NOBODY) -> Policy:
    """The rights that `claimcheck bucket apply` needs. The service needs none that write."""
    buckets = _buckets(destinations)
    arns = [bucket_arn(bucket, region) for bucket, region in buckets]
    probes = [
        arn
        for (bucket, region), members in buckets.items()
        for arn in object_arns(bucket, region, sorted({d.prefix + PROBE_NAME for d in members}))
    ]
    statements = [
        _allow("ClaimcheckSetup", _SETUP_ACTIONS, arns),
        _allow("ClaimcheckProbe", _PROBE_ACTIONS, probes),
    ]
    if any(receivers):
        statements.append(_allow("ClaimcheckNotifications", _NOTIFICATION_ACTIONS, arns))
    return {"Version": "2012-10-17", "Statement": statements}


def _buckets(
    destinations: Iterable[Destination],
) -> Mapping[tuple[str, str], list[Destination]]:
    found: dict[tuple[str, str], list[Destination]] = {}
    for destination in destinations:
        found.setdefault((destination.bucket, destination.region), []).append(destination)
    return found


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Policy:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _use_of_key(number: int, key: str, region: str) -> Policy:
    start = f"arn:{_partition(region)}:kms:{region}:*:key/"
    alias = key.rpartition(":")[2] if "alias/" in key else None
    arn = key if key.startswith("arn:") else f"{start}{key}"
    actions = ("kms:Decrypt", "kms:GenerateDataKey")
    if alias is None:
        return _allow(f"ClaimcheckKey{number}", actions, [arn])
    # IAM knows keys by their ids; an alias is a condition (AWS KMS developer guide, alias-auth).
    statement = _allow(f"ClaimcheckKey{number}", actions, [f"{start}*"])
    has_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
    return {**statement, "Condition": has_alias}


def _partition(region: str) -> str:
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
