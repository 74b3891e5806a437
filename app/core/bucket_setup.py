"""What a bucket is to be set to, so that browsers can use it and nobody else. Pure.

Every aspect is merged into what the bucket has: rules of other owners stay, ours are found again
by their id. The shapes are those of the S3 API (AWS, API/API_PutBucket...).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from app.core.destination import Destination
from app.core.iam import bucket_arn, object_arns
from app.core.lifecycle import abort_days, aborts_early, modern
from app.core.sigv4 import MAX_EXPIRES_IN

Config = Mapping[str, Any]

CORS_ID: Final = "claimcheck"
_LIFECYCLE_ID: Final = "claimcheck-abort-"
_TLS_SID: Final = "ClaimcheckTls"
_AGE_SID: Final = "ClaimcheckSignatureAge"
_COPIES_SID: Final = "ClaimcheckCopies"
_OUR_IDS: Final = frozenset({CORS_ID, _TLS_SID, _AGE_SID, _COPIES_SID})

# What uploads and links are signed with, or browsers add to a read; nothing else may be sent.
_CORS_HEADERS: Final = (
    "cache-control",
    "content-disposition",
    "content-md5",
    "content-type",
    "if-none-match",
    "range",
    "x-amz-*",
)
# Clients of multipart uploads read ETag; page scripts may want the others.
EXPOSED_HEADERS: Final = ("ETag", "Location", "x-amz-version-id")
PUBLIC_ACCESS_SWITCHES: Final = (
    "BlockPublicAcls",
    "IgnorePublicAcls",
    "BlockPublicPolicy",
    "RestrictPublicBuckets",
)
# Ceph RGW 16 refuses every PUT under the one, and every later bucket policy under the other.
_NOT_ON_CEPH: Final = frozenset({"BlockPublicAcls", "BlockPublicPolicy"})


class Aspect(StrEnum):
    """What is set, in the order of writing: a policy may be refused once public ones are."""

    VERSIONING = "versioning"
    OWNERSHIP = "object ownership"
    ENCRYPTION = "default encryption"
    CORS = "CORS"
    LIFECYCLE = "lifecycle"
    POLICY = "bucket policy"
    PUBLIC_ACCESS = "public access block"


class StoreKind(StrEnum):
    """The stores whose ways change what is set; all others are taken at their word."""

    CEPH = "Ceph RGW"
    OTHER = "S3"


@dataclass(frozen=True, slots=True)
class Needs:
    """What the destinations of one bucket need of it. Times are seconds."""

    bucket: str
    region: str
    origins: tuple[str, ...]
    # By destination's name; a prefix is where that destination's keys begin.
    prefixes: Mapping[str, str]
    longest_upload: int
    longest_signature: int
    tls: bool
    acls: bool


def needs_of(destinations: Sequence[Destination], origins: Sequence[str]) -> Needs:
    """What these destinations, all of one bucket, need for pages of these origins."""
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
    )


def identify(headers: Mapping[str, str]) -> StoreKind:
    """Which store answers with these headers (lower-case names) to a HEAD of a bucket."""
    request_id = headers.get("x-amz-request-id", "")
    ceph = "x-rgw-object-count" in headers or (request_id[:2] == "tx" and request_id.count("-") > 1)
    return StoreKind.CEPH if ceph else StoreKind.OTHER


def wanted(aspect: Aspect, needs: Needs, found: Config, kind: StoreKind) -> Config:
    """What the aspect is to be; the same as `found` where nothing has to change.

    An empty configuration is none at all.
    """
    return _WANTED[aspect](needs, found, kind)


def notes(needs: Needs, kind: StoreKind, found: Mapping[Aspect, Config]) -> list[str]:
    """What is left out, and why, and what of others' in the bucket does harm; each a sentence."""
    said = []
    if not needs.origins:
        said.append(
            "No page may upload: CLAIMCHECK_CORS_ORIGINS is empty, so no CORS rule is written."
        )
    if not needs.tls:
        said.append("An endpoint is http://, so the policy cannot demand TLS.")
    if needs.acls:
        said.append(
            "A destination sets an acl, which object ownership would refuse: it is left as it is."
        )
    if needs.longest_signature >= MAX_EXPIRES_IN:
        said.append("Links live as long as S3 lets them, so the policy limits no signature's age.")
    if kind is StoreKind.CEPH:
        said.append(
            "Ceph refuses every PUT under BlockPublicAcls and every later policy under "
            "BlockPublicPolicy: IgnorePublicAcls and RestrictPublicBuckets keep the bucket private."
        )
    return said + _harm(needs, found)


def _harm(needs: Needs, found: Mapping[Aspect, Config]) -> list[str]:
    """What only its owner may take away."""
    rules = found.get(Aspect.LIFECYCLE, {}).get("Rules", ())
    theirs = {"Rules": [rule for rule in rules if not _is_ours(rule)]}
    days = abort_days(needs.longest_upload)
    said = [
        f"Lifecycle rule {', '.join(early)} aborts multipart uploads under {prefix!r} that may "
        f"still go on: give it {days} days, or other prefixes."
        for prefix in sorted(set(needs.prefixes.values()))
        if (early := aborts_early(theirs, prefix, days))
    ]
    if grants_to_everyone(found.get(Aspect.POLICY, {})):
        said.append(
            "The bucket policy lets everybody in, or would as soon as the public access block is "
            'off: take away the statement with "Principal": "*" and "Effect": "Allow".'
        )
    return said


def _versioning(_: Needs, __: Config, ___: StoreKind) -> Config:
    return {"Status": "Enabled"}


def _ownership(needs: Needs, found: Config, _: StoreKind) -> Config:
    return found if needs.acls else {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def _encryption(_: Needs, found: Config, __: StoreKind) -> Config:
    """Whatever the bucket encrypts with by default stays, a key of the owner's above all."""
    return found or {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def _cors(needs: Needs, found: Config, _: StoreKind) -> Config:
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
    rules = _replaced(found.get("CORSRules", []), ours, first=True)
    return {"CORSRules": rules} if rules else {}


def _lifecycle(needs: Needs, found: Config, _: StoreKind) -> Config:
    """Never an expiry: after a replayed upload the confirmed version is a noncurrent one."""
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
    theirs = [modern(rule) for rule in found.get("Rules", [])]
    return {**found, "Rules": _replaced(theirs, rules)}


def _policy(needs: Needs, found: Config, kind: StoreKind) -> Config:
    """It only denies: whoever has rights has them from IAM, and browsers from a signature."""
    everything = [bucket_arn(needs.bucket, needs.region)]
    everything += object_arns(needs.bucket, needs.region)
    statements: list[Config] = []
    if needs.tls:
        statements.append(
            {
                "Sid": _TLS_SID,
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": everything,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        )
    if needs.longest_signature < MAX_EXPIRES_IN:
        milliseconds = needs.longest_signature * 1000
        statements.append(
            {
                "Sid": _AGE_SID,
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": object_arns(
                    needs.bucket, needs.region, sorted(needs.prefixes.values())
                ),
                "Condition": {"NumericGreaterThan": {"s3:signatureAge": str(milliseconds)}},
            }
        )
    if kind is StoreKind.CEPH:
        # RGW 16 obeys an x-amz-copy-source that nobody signed. `Null` it takes otherwise than S3
        # does: under that it refuses every PUT. To copies of parts it applies no policy.
        statements.append(
            {
                "Sid": _COPIES_SID,
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": object_arns(
                    needs.bucket, needs.region, sorted(needs.prefixes.values())
                ),
                "Condition": {"StringLike": {"s3:x-amz-copy-source": "*"}},
            }
        )
    kept = _replaced(_statements(found), statements)
    return {"Version": "2012-10-17", **found, "Statement": kept} if kept else {}


def _public_access(_: Needs, found: Config, kind: StoreKind) -> Config:
    left_alone = _NOT_ON_CEPH if kind is StoreKind.CEPH else frozenset()
    return {
        switch: found.get(switch, False) if switch in left_alone else True
        for switch in PUBLIC_ACCESS_SWITCHES
    }


_WANTED: Final[Mapping[Aspect, Callable[[Needs, Config, StoreKind], Config]]] = {
    Aspect.VERSIONING: _versioning,
    Aspect.OWNERSHIP: _ownership,
    Aspect.ENCRYPTION: _encryption,
    Aspect.CORS: _cors,
    Aspect.LIFECYCLE: _lifecycle,
    Aspect.POLICY: _policy,
    Aspect.PUBLIC_ACCESS: _public_access,
}


def is_same(one: Config, other: Config) -> bool:
    """Whether two configurations mean the same, in whatever order a store lists their values."""
    return bool(_canonical(one) == _canonical(other))


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _canonical(item) for name, item in value.items() if item not in (None, "")}
    if isinstance(value, (list, tuple)):
        items = [_canonical(item) for item in value]
        # Lists of words are sets; the order of rules is what the first match depends on.
        return sorted(items) if all(isinstance(item, str) for item in items) else items
    return value


def _replaced(
    found: Iterable[Config], ours: Sequence[Config], *, first: bool = False
) -> list[Config]:
    """The rules with ours in place of what was ours; as they are if ours are among them, or at
    their head if they are to be `first`.
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
    """A policy's statements: one alone may stand without its list."""
    found = policy.get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def grants_to_everyone(policy: Config) -> bool:
    """Whether a statement allows anything to everybody, also to anonymous callers.

    One that has a condition is left to the store's own judgement (GetBucketPolicyStatus).
    """
    for statement in _statements(policy):
        who = statement.get("Principal")
        if isinstance(who, Mapping):
            who = who.get("AWS", ())
        everyone = who == "*" or (isinstance(who, (list, tuple)) and "*" in who)
        if statement.get("Effect") == "Allow" and everyone and not statement.get("Condition"):
            return True
    return False
