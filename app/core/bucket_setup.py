"""The configuration that a bucket needs, so that browsers can use it and nobody else. Pure.

Each aspect is merged into the configuration found: rules of other owners stay, ours are known by
their ids. The shapes are those of the S3 API (AWS, API/API_PutBucket...).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from app.core.destination import Destination
from app.core.iam import bucket_arn, object_arns
from app.core.lifecycle import abort_days, aborts_early, with_filter
from app.core.notifications import NOBODY, Receivers, notifications
from app.core.sigv4 import MAX_EXPIRES_IN

Config = Mapping[str, Any]

CORS_ID: Final = "claimcheck"
_LIFECYCLE_ID: Final = "claimcheck-abort-"
_TLS_SID: Final = "ClaimcheckTls"
_AGE_SID: Final = "ClaimcheckSignatureAge"
_COPIES_SID: Final = "ClaimcheckCopies"
_OUR_IDS: Final = frozenset({CORS_ID, _TLS_SID, _AGE_SID, _COPIES_SID})

# The headers that uploads are signed with, or browsers add to a read; no others may be sent.
_CORS_HEADERS: Final = (
    "cache-control",
    "content-disposition",
    "content-md5",
    "content-type",
    "if-none-match",
    "range",
    "x-amz-*",
)
# Readers that fetch a file by ranges, as PDF viewers do, see none of these unless they are exposed.
RANGE_HEADERS: Final = ("Accept-Ranges", "Content-Length", "Content-Range")
# Clients of multipart uploads read ETag; page scripts may want the others.
EXPOSED_HEADERS: Final = (
    *("ETag", "Location", "x-amz-version-id", "Content-Disposition"),
    *RANGE_HEADERS,
)
PUBLIC_ACCESS_SWITCHES: Final = (
    "BlockPublicAcls",
    "IgnorePublicAcls",
    "BlockPublicPolicy",
    "RestrictPublicBuckets",
)
# Ceph RGW 16 refuses every PUT under the one, and every later bucket policy under the other.
_NOT_ON_CEPH: Final = frozenset({"BlockPublicAcls", "BlockPublicPolicy"})


class Aspect(StrEnum):
    """A part of a bucket's configuration, in the order of writing: a store may refuse any bucket
    policy once the public access block is on.
    """

    VERSIONING = "versioning"
    OWNERSHIP = "object ownership"
    ENCRYPTION = "default encryption"
    CORS = "CORS"
    LIFECYCLE = "lifecycle"
    POLICY = "bucket policy"
    PUBLIC_ACCESS = "public access block"
    # Only where the settings say who is told.
    NOTIFICATIONS = "notifications"


class StoreKind(StrEnum):
    """Stores that need another configuration than S3; all others are treated as S3."""

    CEPH = "Ceph RGW"
    OTHER = "S3"


@dataclass(frozen=True, slots=True)
class Needs:
    """The requirements of all destinations of one bucket. Times are in seconds."""

    bucket: str
    region: str
    origins: tuple[str, ...]
    # By destination's name; a prefix is where that destination's keys begin.
    prefixes: Mapping[str, str]
    longest_upload: int
    longest_signature: int
    tls: bool
    acls: bool
    # Who is told of objects that arrive.
    receivers: Receivers = NOBODY


def needs_of(
    destinations: Sequence[Destination],
    origins: Sequence[str],
    receivers: Receivers = NOBODY,
) -> Needs:
    """The requirements of these destinations, all of one bucket, for pages of these origins."""
    first = destinations[0]
    urls = [url for d in destinations for url in (d.endpoint_url, d.public_endpoint_url) if url]
    return Needs(
        bucket=first.bucket,
        region=first.region,
        origins=tuple(sorted(set(origins))),
        prefixes={d.name: d.prefix for d in destinations},
        longest_upload=max(d.multipart_expires_in for d in destinations),
        longest_signature=max(
            max(d.upload_expires_in, d.link_expires_in + d.window) for d in destinations
        ),
        tls=not any(url.startswith("http://") for url in urls),
        # Ownership that is enforced refuses every ACL but this one (AWS userguide,
        # object-ownership-error-responses).
        acls=any(d.acl not in {None, "bucket-owner-full-control"} for d in destinations),
        receivers=receivers,
    )


def identify_store(headers: Mapping[str, str]) -> StoreKind:
    """The store that answers HeadBucket with these headers (names in lower case)."""
    request_id = headers.get("x-amz-request-id", "")
    # OpenStack Swift names its requests much alike, and once more by a name of its own.
    ceph = "x-rgw-object-count" in headers or (
        request_id[:2] == "tx"
        and request_id.count("-") > 1
        and "x-openstack-request-id" not in headers
    )
    return StoreKind.CEPH if ceph else StoreKind.OTHER


def target_config(aspect: Aspect, needs: Needs, found: Config, kind: StoreKind) -> Config:
    """The aspect's configuration as it is to be; equal to `found` where nothing has to change.

    An empty configuration means that the bucket has none.
    """
    match aspect:
        case Aspect.VERSIONING:
            return {"Status": "Enabled"}
        case Aspect.OWNERSHIP:
            enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
            return found if needs.acls else enforced
        case Aspect.ENCRYPTION:
            sse_s3 = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            # The bucket's own default encryption stays, for example with a KMS key.
            return found or {"Rules": [sse_s3]}
        case Aspect.CORS:
            return _cors(needs, found)
        case Aspect.LIFECYCLE:
            return _lifecycle(needs, found)
        case Aspect.POLICY:
            return _policy(needs, found, kind)
        case Aspect.PUBLIC_ACCESS:
            return _public_access(found, kind)
        case Aspect.NOTIFICATIONS:
            return _notifications(needs, found, kind)


def notes(needs: Needs, kind: StoreKind, found: Mapping[Aspect, Config]) -> list[str]:
    """Sentences on what is left out and why, and on others' rules that conflict with ours."""
    sentences = []
    if not needs.origins:
        sentences.append(
            "No page may upload: CLAIMCHECK_CORS_ORIGINS is empty, so no CORS rule is written."
        )
    if not needs.tls:
        sentences.append("An endpoint is http://, so the policy cannot demand TLS.")
    if needs.acls:
        sentences.append(
            "A destination sets an acl, which object ownership would refuse: it is left as it is."
        )
    if needs.longest_signature >= MAX_EXPIRES_IN:
        sentences.append(
            "Links live as long as S3 lets them, so the policy limits no signature's age."
        )
    if kind is StoreKind.CEPH:
        sentences.append(
            "Ceph refuses every PUT under BlockPublicAcls and every later policy under "
            "BlockPublicPolicy: IgnorePublicAcls and RestrictPublicBuckets keep the bucket private."
        )
    return sentences + _conflicts(needs, found)


def _conflicts(needs: Needs, found: Mapping[Aspect, Config]) -> list[str]:
    """Sentences on rules and statements of others, which only they may remove."""
    rules = found.get(Aspect.LIFECYCLE, {}).get("Rules", ())
    theirs = {"Rules": [rule for rule in rules if not _is_ours(rule)]}
    days = abort_days(needs.longest_upload)
    sentences = [
        f"Lifecycle rule {', '.join(early)} aborts multipart uploads under {prefix!r} that may "
        f"still go on: give it {days} days, or other prefixes."
        for prefix in sorted(set(needs.prefixes.values()))
        if (early := aborts_early(theirs, prefix, days))
    ]
    if grants_to_everyone(found.get(Aspect.POLICY, {})):
        sentences.append(
            "The bucket policy lets everybody in, or would as soon as the public access block is "
            'off: take away the statement with "Principal": "*" and "Effect": "Allow".'
        )
    return sentences


def _cors(needs: Needs, found: Config) -> Config:
    rule = {
        "ID": CORS_ID,
        "AllowedOrigins": list(needs.origins),
        "AllowedMethods": ["GET", "HEAD", "POST", "PUT"],
        "AllowedHeaders": list(_CORS_HEADERS),
        "ExposeHeaders": list(EXPOSED_HEADERS),
        "MaxAgeSeconds": 3600,
    }
    # The first rule that matches decides (AWS userguide, ManageCorsUsing), so ours comes first.
    ours = [rule] if needs.origins else []
    rules = _merge_rules(found.get("CORSRules", []), ours, first=True)
    return {"CORSRules": rules} if rules else {}


def _lifecycle(needs: Needs, found: Config) -> Config:
    """Abort rules alone, never an expiry: after a repeated upload the confirmed version is a
    noncurrent one.
    """
    days = abort_days(needs.longest_upload)
    rules = [
        {
            "ID": f"{_LIFECYCLE_ID}{name}",
            "Filter": {"Prefix": prefix},
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
        }
        for name, prefix in sorted(needs.prefixes.items())
    ]
    theirs = [with_filter(rule) for rule in found.get("Rules", [])]
    return {**found, "Rules": _merge_rules(theirs, rules)}


def _policy(needs: Needs, found: Config, kind: StoreKind) -> Config:
    """Deny statements alone: rights come from IAM, and browsers' from a signature."""
    ours = object_arns(needs.bucket, needs.region, sorted(needs.prefixes.values()))
    statements = []
    if needs.tls:
        condition = {"Bool": {"aws:SecureTransport": "false"}}
        bucket = bucket_arn(needs.bucket, needs.region)
        everything = [bucket, *object_arns(needs.bucket, needs.region)]
        statements.append(_deny(_TLS_SID, "s3:*", everything, condition))
    if needs.longest_signature < MAX_EXPIRES_IN:
        milliseconds = needs.longest_signature * 1000
        condition = {"NumericGreaterThan": {"s3:signatureAge": str(milliseconds)}}
        statements.append(_deny(_AGE_SID, "s3:*", ours, condition))
    if kind is StoreKind.CEPH:
        # RGW 16 obeys an unsigned x-amz-copy-source. A `Null` condition is no help: under one RGW
        # refuses every PUT. It applies no policy to copies of parts.
        condition = {"StringLike": {"s3:x-amz-copy-source": "*"}}
        statements.append(_deny(_COPIES_SID, "s3:PutObject", ours, condition))
    kept = _merge_rules(_statements(found), statements)
    return {"Version": "2012-10-17", **found, "Statement": kept} if kept else {}


def _deny(sid: str, action: str, resources: list[str], condition: Config) -> Config:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": condition,
    }


def _public_access(found: Config, kind: StoreKind) -> Config:
    excluded = _NOT_ON_CEPH if kind is StoreKind.CEPH else frozenset()
    return {
        switch: found.get(switch, False) if switch in excluded else True
        for switch in PUBLIC_ACCESS_SWITCHES
    }


def _notifications(needs: Needs, found: Config, kind: StoreKind) -> Config:
    topic, queue = needs.receivers.topic, needs.receivers.queue_arn
    if kind is StoreKind.CEPH and topic is not None:
        # Ceph names its zone group where AWS has a region.
        return notifications(found, needs.prefixes, "Topic", f"arn:aws:sns:*::{topic}")
    if kind is StoreKind.OTHER and queue is not None:
        return notifications(found, needs.prefixes, "Queue", queue)
    return found


def is_same(one: Config, other: Config) -> bool:
    """Whether two configurations are equivalent: stores list values in any order."""
    return bool(_canonical(one) == _canonical(other))


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _canonical(item) for name, item in value.items() if item not in (None, "")}
    if isinstance(value, (list, tuple)):
        items = [_canonical(item) for item in value]
        # Lists of strings are sets; the order of rules matters, because the first match decides.
        return sorted(items) if all(isinstance(item, str) for item in items) else items
    return value


def _merge_rules(
    found: Iterable[Config], ours: Sequence[Config], *, first: bool = False
) -> list[Config]:
    """`found` with `ours` in place of our earlier rules, at the end, or with `first` at the head.

    `found` itself where our rules are there already, and in front if they are to be `first`.
    """
    found = list(found)
    old = [rule for rule in found if _is_ours(rule)]
    in_place = not first or found[: len(old)] == old
    if in_place and is_same(_by_id(old), _by_id(ours)):
        return found
    theirs = [rule for rule in found if not _is_ours(rule)]
    return [*ours, *theirs] if first else [*theirs, *ours]


def _by_id(rules: Iterable[Config]) -> Config:
    return {_id(rule): rule for rule in rules}


def _id(rule: Config) -> str:
    return str(rule.get("ID") or rule.get("Sid"))


def _is_ours(rule: Config) -> bool:
    return _id(rule) in _OUR_IDS or _id(rule).startswith(_LIFECYCLE_ID)


def _statements(policy: Config) -> list[Config]:
    """A policy's statements as a list: IAM allows a single one without a list."""
    found = policy.get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def grants_to_everyone(policy: Config) -> bool:
    """Whether a statement without a condition allows anything to everybody, also anonymously.

    Those with a condition the store itself has to judge (GetBucketPolicyStatus).
    """
    for statement in _statements(policy):
        principal = statement.get("Principal")
        if isinstance(principal, Mapping):
            principal = principal.get("AWS", ())
        everyone = principal == "*" or (isinstance(principal, (list, tuple)) and "*" in principal)
        if statement.get("Effect") == "Allow" and everyone and not statement.get("Condition"):
            return True
    return False
