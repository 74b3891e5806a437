"""Verifies signatures, AWS Signature Version 4, as botocore computes them.

Source: AWS, API/sig-v4-authenticating-requests (headers), API/sigv4-query-string-auth (presigned)
and API/sigv4-authentication-HTTPPOST (forms). botocore computes every signature; the service's own
signer has no part in it, so a mistake there cannot hide here.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from app.embedded.gate_keys import Keys
from app.embedded.gate_request import S3Request
from app.embedded.s3_error import S3Error, access_denied

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([^,\s]+)"
)
_QUERY = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
_FORM = ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_MAX_EXPIRES = 604_800
_MAX_SKEW = timedelta(minutes=15)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "key, and send method, URL and headers exactly as they were signed."
)


@dataclass(frozen=True)
class _Claim:
    """A signature as a request claims it, not yet verified."""

    malformed: str  # the error code for a claim that cannot be read
    credential: str
    timestamp: str
    signature: str


@dataclass(frozen=True)
class Verifier:
    """Accepts the signatures of its keys, for every region."""

    keys: Keys

    def verify_request(self, request: S3Request, now: datetime) -> None:
        """Accept a presigned URL, or an Authorization header, of one of the keys.

        Raises S3Error: 403 for a request that is unsigned, forged, changed, expired, not yet valid,
        of another key, or that carries x-amz-* headers which were not signed; 400 for one that
        cannot be parsed, and for a session token that is unknown or has expired.
        """
        authorization = request.headers.get("authorization")
        presigned = request.has("X-Amz-Algorithm") or request.has("X-Amz-Signature")
        if presigned and authorization is not None:
            message = "Send either an Authorization header or a presigned URL, not both."
            raise S3Error(400, "InvalidArgument", message)
        if (authorization or "").startswith("AWS ") or request.has("AWSAccessKeyId"):
            message = f"Signature Version 2 is not supported. Please use {_ALGORITHM}."
            raise S3Error(400, "InvalidRequest", message)
        if presigned:
            claim, signed = _presigned_claim(request, now)
        elif authorization is not None:
            claim, signed = _header_claim(request, authorization, now)
        else:
            raise access_denied("Access Denied: the request is not signed.")
        in_query = request.first("X-Amz-Security-Token")
        token = in_query if presigned else request.headers.get("x-amz-security-token")
        signer = self._signer(claim, token, now)

        unsigned = [
            name for name in request.headers if name.startswith("x-amz-") and name not in signed
        ]
        if unsigned:
            raise access_denied(
                "There were headers present in the request which were not signed",
                HeadersNotSigned=", ".join(unsigned),
            )
        if "host" not in signed:
            raise access_denied("The host header must be among the signed headers.")
        missing = [name for name in signed if name not in request.headers]
        if missing:
            raise S3Error(
                403,
                "SignatureDoesNotMatch",
                f"{_MISMATCH} Signed, but not sent: {', '.join(missing)}.",
            )
        rebuilt = _rebuild(request, signed, claim.timestamp)
        canonical = signer.canonical_request(rebuilt)
        expected = signer.signature(signer.string_to_sign(rebuilt, canonical), rebuilt)
        if not _same(expected, claim.signature):
            raise S3Error(403, "SignatureDoesNotMatch", _MISMATCH, CanonicalRequest=canonical)

    def verify_policy(self, fields: Mapping[str, str], now: datetime) -> None:
        """Accept a POST form whose policy one of the keys signed; names of `fields` in lower case.

        The policy's conditions are not checked here. Raises S3Error: 403 for a form that is
        unsigned, forged or of another key; 400 for one that cannot be parsed, and for a session
        token that is unknown or has expired.
        """
        missing = [name for name in _FORM if name not in fields]
        if missing:
            raise access_denied(f"The form is not signed: it lacks {', '.join(missing)}.")
        timestamp = fields["x-amz-date"]
        claim = _Claim(
            "InvalidArgument", fields["x-amz-credential"], timestamp, fields["x-amz-signature"]
        )
        if fields["x-amz-algorithm"] != _ALGORITHM:
            raise S3Error(400, claim.malformed, f"x-amz-algorithm must be {_ALGORITHM}.")
        _parse_timestamp(timestamp, claim.malformed)
        signer = self._signer(claim, fields.get("x-amz-security-token"), now)
        rebuilt = AWSRequest()
        rebuilt.context["timestamp"] = timestamp
        if not _same(signer.signature(fields["policy"], rebuilt), claim.signature):
            raise S3Error(403, "SignatureDoesNotMatch", _MISMATCH)

    def _signer(self, claim: _Claim, token: str | None, now: datetime) -> S3SigV4QueryAuth:
        """botocore's signer for the credential scope, whose key must be one that is accepted, with
        this session token, and whose day the signature's.
        """
        try:
            access_key, day, region, service, terminator = claim.credential.rsplit("/", 4)
        except ValueError:
            access_key = day = region = service = terminator = ""
        if (service, terminator) != ("s3", "aws4_request") or day != claim.timestamp[:8]:
            raise S3Error(
                400,
                claim.malformed,
                "The credential must be <access key>/<day of the signature>/<region>/s3/"
                "aws4_request.",
            )
        return S3SigV4QueryAuth(self.keys.find(access_key, token, now), "s3", region)


def _presigned_claim(request: S3Request, now: datetime) -> tuple[_Claim, Sequence[str]]:
    malformed = "AuthorizationQueryParametersError"
    found: dict[str, str] = {}
    for short in _QUERY:
        values = [value for name, value in request.query if name == f"X-Amz-{short}"]
        if len(values) != 1:
            raise S3Error(400, malformed, f"X-Amz-{short} must be in the query, once.")
        found[short] = values[0]
    if found["Algorithm"] != _ALGORITHM:
        raise S3Error(400, malformed, f"X-Amz-Algorithm must be {_ALGORITHM}.")
    expires = found["Expires"]
    if not re.fullmatch(r"[0-9]{1,6}", expires) or int(expires) > _MAX_EXPIRES:
        message = f"X-Amz-Expires must be a number of seconds, at most {_MAX_EXPIRES}."
        raise S3Error(400, malformed, message)
    start = _parse_timestamp(found["Date"], malformed)
    if now < start - _MAX_SKEW:
        raise access_denied("Request is not yet valid")
    if now >= start + timedelta(seconds=int(expires)):
        raise access_denied("Request has expired")
    claim = _Claim(malformed, found["Credential"], found["Date"], found["Signature"])
    return claim, found["SignedHeaders"].split(";")


def _header_claim(
    request: S3Request, authorization: str, now: datetime
) -> tuple[_Claim, Sequence[str]]:
    malformed = "AuthorizationHeaderMalformed"
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        message = f"Authorization must be {_ALGORITHM} Credential=, SignedHeaders=, Signature=."
        raise S3Error(400, malformed, message)
    credential, signed_headers, signature = match.groups()
    if "x-amz-content-sha256" not in request.headers:
        message = "A request with an Authorization header needs x-amz-content-sha256."
        raise S3Error(400, "InvalidRequest", message)
    timestamp = request.headers.get("x-amz-date")
    if timestamp is None:
        raise access_denied("A request with an Authorization header needs x-amz-date.")
    if abs(now - _parse_timestamp(timestamp, malformed)) > _MAX_SKEW:
        message = "The difference between the request time and the current time is too large."
        raise S3Error(403, "RequestTimeTooSkewed", message)
    return _Claim(malformed, credential, timestamp, signature), signed_headers.split(";")


def _parse_timestamp(text: str, malformed: str) -> datetime:
    # strptime alone accepts fewer digits, and digits of other scripts.
    if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", text):
        try:
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise S3Error(400, malformed, "The date must be in the ISO 8601 form yyyymmddThhmmssZ.")


def _rebuild(request: S3Request, signed: Sequence[str], timestamp: str) -> AWSRequest:
    """The request for botocore to sign: the canonical URL, and only the signed headers."""
    query = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in request.query
        if name != "X-Amz-Signature"
    )
    # botocore signs the host header that was sent; the host in this URL is not used.
    rebuilt = AWSRequest(
        method=request.method,
        url=f"http://gate{request.path}?{query}",
        headers={name: request.headers[name] for name in signed},
    )
    rebuilt.context["timestamp"] = timestamp
    return rebuilt


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
