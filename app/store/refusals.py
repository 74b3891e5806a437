"""Why a store refused the service's own request, in words for whoever runs it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from app.errors import BucketRefused

# S3 refuses requests whose time is further off (AWS API, RequestTimeTooSkewed), in seconds.
SKEW_REFUSED: Final = 15 * 60
_RETRY_AFTER: Final = 60
_SKEWED: Final = "RequestTimeTooSkewed"
_CLOCK: Final = "Whoever runs the service must keep it with NTP (timedatectl, chrony)."
_REGION: Final = (
    "because it is in another region. Whoever runs the service must set AWS_S3_REGION_NAME."
)
_REASONS: Final = {
    "SignatureDoesNotMatch": "because the secret key is wrong. Whoever runs the service must set "
    "AWS_SECRET_ACCESS_KEY to the one that belongs to AWS_ACCESS_KEY_ID; if it does, something in "
    "between changes the requests.",
    "InvalidAccessKeyId": "because it does not know the access key. Whoever runs the service must "
    "set AWS_ACCESS_KEY_ID to a key of this store, and AWS_S3_ENDPOINT_URL to the store that it "
    "belongs to.",
    # Of a signature in a header, and of one in a query.
    "AuthorizationHeaderMalformed": _REGION,
    "AuthorizationQueryParametersError": _REGION,
}
_STATUSES: Final = frozenset({401, 403})
_OF_AN_OBJECT: Final = frozenset({400, 403})
# With status 400, too, and soon over (those of AWS KMS as its API Reference names them).
PASSING: Final = frozenset({"RequestTimeout", "ThrottlingException", "KMS.ThrottlingException"})
_RIGHTS: Final = (
    "Whoever runs the service must check its keys and its S3 rights: s3:GetObject, "
    "s3:GetObjectVersion, s3:PutObject, s3:DeleteObject, s3:DeleteObjectVersion, s3:ListBucket, "
    "s3:ListBucketVersions, s3:AbortMultipartUpload, s3:ListMultipartUploadParts, "
    "s3:ListBucketMultipartUploads."
)


def refusal(bucket: str, error: ClientError) -> BucketRefused | None:
    """The problem with its cause, as far as the store tells it; None where it refused nothing."""
    said = error.response["ResponseMetadata"]
    code = str(error.response["Error"]["Code"])
    if is_of_the_clock(error.response):
        return clock_refused(bucket, skew(said.get("HTTPHeaders", {})))
    if code in _REASONS:
        return BucketRefused(f"{_begin(bucket)}, {_REASONS[code]}")
    if int(said["HTTPStatusCode"]) in _STATUSES:
        return BucketRefused(f"{_begin(bucket)}. {_RIGHTS}")
    return None


def refused_object(error: BaseException | None) -> str | None:
    """The code with which a store refused a look for what the object may be: another account's, or
    encrypted with a key that is not the service's. None where the service's own keys, region or
    clock were refused, or nothing.

    A lack of rights looks alike: whether the bucket is open to the service says which it was.
    """
    if not isinstance(error, ClientError) or is_of_the_clock(error.response):
        return None
    code = str(error.response["Error"]["Code"])
    status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    is_other = status not in _OF_AN_OBJECT or code in _REASONS or code in PASSING
    return None if is_other else code


def is_of_the_clock(answer: Mapping[str, Any]) -> bool:
    """Whether the answer, as botocore parses it, is a refusal because of this machine's clock.

    An answer to HEAD has no code, but a `Date`.
    """
    said = answer.get("ResponseMetadata", {})
    if answer.get("Error", {}).get("Code") == _SKEWED:
        return True
    seconds = skew(said.get("HTTPHeaders", {})) if said.get("HTTPStatusCode") in _STATUSES else None
    return seconds is not None and abs(seconds) >= SKEW_REFUSED


def clock_refused(bucket: str, seconds: float | None) -> BucketRefused:
    """The problem of a clock that is so many seconds ahead of the store's, None: unknown."""
    off = "far from"
    if seconds is not None:
        minutes = round(abs(seconds) / 60)
        off = f"{minutes} minutes {'ahead of' if seconds > 0 else 'behind'}"
    return BucketRefused(
        f"{_begin(bucket)}, because the service's clock is {off} the store's. {_CLOCK}",
        retry_after=_RETRY_AFTER,
    )


def _begin(bucket: str) -> str:
    return f"The bucket {bucket} refused the service's own request"


def skew(headers: Mapping[str, Any]) -> float | None:
    """How many seconds this machine's clock is ahead of the store's, by the `Date` of an answer
    that has just come; None without one.
    """
    try:
        theirs = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None
    return (_now() - theirs).total_seconds()


def _now() -> datetime:
    return datetime.now(UTC)
