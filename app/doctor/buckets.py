"""One bucket: whether it can be reached, its region, the store's clock, its configuration."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from app.core.bucket_setup import Aspect, StoreKind, grants_to_everyone
from app.core.destination import Destination
from app.core.lifecycle import (
    abort_days,
    aborts_all,
    aborts_early,
    expires_objects,
    expires_versions,
)
from app.doctor.findings import Findings
from app.doctor.remedies import APPLY, remedy_for
from app.errors import Problem
from app.store.client import Buckets, error_code
from app.store.refusals import SKEW_REFUSED
from app.store.setup.config import BucketState, Unread, is_public, read_bucket
from app.store.setup.provision import Outcome, compare

# Long before S3 refuses requests links begin to live shorter, or later, than they say. In seconds.
_SKEW_FELT: Final = 60


async def check_reach(
    buckets: Buckets, destination: Destination, now: datetime
) -> tuple[Findings, BucketState | None]:
    """Whether the credentials may use the bucket, and its configuration.

    The configuration is None where the bucket cannot be examined further. `now` is compared with
    the store's clock.
    """
    findings, client = Findings(destination.bucket), await buckets.client(destination)
    where = destination.endpoint_url or f"AWS in {destination.region}"
    try:
        listing = await client.list_objects_v2(Bucket=destination.bucket, MaxKeys=1)
    except ClientError as error:
        headers = error.response["ResponseMetadata"].get("HTTPHeaders", {})
        code = error_code(error)
        if await buckets.token_has_ended(destination):
            said = f"The store at {where} says that the session token has ended ({code})."
            findings.fail("credentials", said, remedy_for("ExpiredToken"))
            return findings, None
        _check_clock(findings, headers, now)
        _check_region(findings, headers, destination)
        if not findings.has_failed():
            findings.fail(
                "bucket",
                f"The bucket at {where} does not let the service in: {code}.",
                remedy_for(code, "s3:ListBucket"),
            )
        return findings, None
    except (BotoCoreError, OSError) as error:
        findings.fail(
            "endpoint",
            f"Nothing answers at {where}: {error}",
            "Compare AWS_S3_ENDPOINT_URL (unset for AWS) and AWS_S3_REGION_NAME with what the "
            "store's operator gives, and see that this machine may connect there.",
        )
        return findings, None
    headers = listing["ResponseMetadata"]["HTTPHeaders"]
    findings.ok("bucket", f"The bucket at {where} lets the service in.")
    _check_clock(findings, headers, now)
    try:
        state = await read_bucket(client, destination.bucket)
    except Problem as problem:
        findings.fail("bucket", problem.detail, remedy_for("AccessDenied", "s3:ListBucket"))
        return findings, None
    if state.region:
        _check_region(findings, {"x-amz-bucket-region": state.region}, destination)
    return findings, None if findings.has_failed() or not state.exists else state


def _check_clock(findings: Findings, headers: Mapping[str, str], now: datetime) -> None:
    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return
    seconds = (now - theirs).total_seconds()
    off = f"This machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
    if abs(seconds) >= SKEW_REFUSED:
        findings.fail("clock", f"{off} the store's, which refuses such requests.", _CLOCK)
    elif abs(seconds) >= _SKEW_FELT:
        findings.warn("clock", f"{off} the store's: links end or begin at other times.", _CLOCK)
    else:
        findings.ok("clock", "This machine and the store have the same time.")


_CLOCK: Final = "Keep this machine's clock with NTP (timedatectl, chrony)."


def _check_region(findings: Findings, headers: Mapping[str, str], destination: Destination) -> None:
    region = headers.get("x-amz-bucket-region")
    if region is None:
        return
    findings.ok_or_fail(
        region == destination.region,
        "region",
        f"The bucket is in {region}, as configured.",
        f"The bucket is in {region}, and requests are signed for {destination.region}.",
        f"Set AWS_S3_REGION_NAME={region}, or the destination's region.",
    )


async def check_state(
    client: Any, destinations: Sequence[Destination], origins: Sequence[str], state: BucketState
) -> Findings:
    """Check the configuration that no upload can prove: policy, encryption, lifecycle ..."""
    bucket = destinations[0].bucket
    findings = Findings(bucket)
    await _check_public(findings, client, bucket, state)
    for change in compare(destinations, origins, state).changes:
        check = change.aspect.replace(" ", "-")
        if change.aspect not in _CHECKED_ELSEWHERE:
            if change.outcome is Outcome.SAME:
                findings.ok(check, f"The {change.aspect} is set as `claimcheck bucket` sets it.")
            elif change.outcome is Outcome.CHANGE:
                findings.warn(check, f"The {change.aspect} is not set as it should be.", APPLY)
            else:
                _report_unread(findings, check, change.aspect, state)
    if state.kind is StoreKind.CEPH and state.config(Aspect.PUBLIC_ACCESS).get("BlockPublicAcls"):
        findings.warn(
            "public-access-block",
            "Ceph refuses every PUT under BlockPublicAcls, forms alone get through.",
            "Switch it off: IgnorePublicAcls and RestrictPublicBuckets do its work.",
        )
    if isinstance(state.aspects[Aspect.LIFECYCLE], Unread):
        _report_unread(findings, "lifecycle", Aspect.LIFECYCLE, state)
        return findings
    check_lifecycle(findings, destinations, state)
    return findings


# Versioning and CORS are checked by uploads; lifecycle rules have checks of their own below.
_CHECKED_ELSEWHERE: Final = frozenset({Aspect.VERSIONING, Aspect.CORS, Aspect.LIFECYCLE})


def _report_unread(findings: Findings, check: str, aspect: Aspect, state: BucketState) -> None:
    if state.aspects[aspect] is Unread.DENIED:
        meaning = f"These keys may not look at the {aspect}."
        remedy = "Give them the rights of `claimcheck bucket iam`; the service works without."
    else:
        meaning = f"The store has no {aspect}."
        remedy = "Nothing to mend: see docs/bucket.md for what that means on this store."
    findings.warn(check, meaning, remedy)


async def _check_public(findings: Findings, client: Any, bucket: str, state: BucketState) -> None:
    public = grants_to_everyone(state.config(Aspect.POLICY))
    # Ceph RGW 16 calls every policy public that allows anything to anybody.
    if not public and state.kind is not StoreKind.CEPH:
        public = bool(await is_public(client, bucket))
    findings.ok_or_fail(
        not public,
        "public-policy",
        "No bucket policy lets the public in.",
        "The bucket policy lets everybody in, or would as soon as the public access block is off.",
        'Delete the statement with "Principal": "*" and "Effect": "Allow": presigned requests '
        "need no bucket policy.",
    )


def check_lifecycle(
    findings: Findings, destinations: Sequence[Destination], state: BucketState
) -> None:
    """Check what the rules do to files and unfinished uploads: one finding for all destinations of
    the bucket that fare alike.
    """
    found, days = state.config(Aspect.LIFECYCLE), dict[str, int]()
    for one in destinations:
        days[one.prefix] = max(abort_days(one.multipart_expires_in), days.get(one.prefix, 0))
    if lost := {prefix: ids for prefix in days if (ids := expires_versions(found, prefix))}:
        findings.fail(
            "lifecycle-versions",
            f"Lifecycle rule {_rules(lost)} deletes older versions of {_keys(lost)}: after a "
            "repeated upload the version that links serve is such a one.",
            "Take the rule away, or limit it to other prefixes.",
        )
    if lost := {prefix: ids for prefix in days if (ids := expires_objects(found, prefix))}:
        findings.warn(
            "lifecycle-expiry",
            f"Lifecycle rule {_rules(lost)} deletes {_keys(lost)}, and the service is not told.",
            "Take the rule away, or limit it to other prefixes.",
        )
    early = {prefix: ids for prefix in days if (ids := aborts_early(found, prefix, days[prefix]))}
    if early:
        wanted = max(days[prefix] for prefix in early)
        findings.fail(
            "lifecycle",
            f"Lifecycle rule {_rules(early)} aborts multipart uploads of {_keys(early)} within "
            f"less than {wanted} days: parts are lost of uploads that are paused, or are whole and "
            "wait for the sweep.",
            f"Give the rule {wanted} days, or limit it to other prefixes; those whose ids begin "
            "with claimcheck-abort- `claimcheck bucket apply` sets right.",
        )
    if bare := [prefix for prefix in days if prefix not in early and not aborts_all(found, prefix)]:
        findings.warn(
            "lifecycle",
            f"No lifecycle rule aborts multipart uploads of {_keys(bare)} that nobody ends: their "
            "parts cost money and are not listed.",
            APPLY,
        )
    elif not early:
        findings.ok(
            "lifecycle",
            f"Multipart uploads of {_keys(days)} that nobody ends are aborted.",
        )


def _rules(affecting: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(dict.fromkeys(rule for ids in affecting.values() for rule in ids))


def _keys(prefixes: Iterable[str]) -> str:
    return f"keys under {', '.join(map(repr, prefixes))}"
