"""AWS Signature Version 4 for S3: presigned URLs and POST policies, as pure functions.

Nothing here reads a clock, the environment or the network: `now` is an argument, and equal
arguments give equal bytes. Every value that is signed is checked first, because a presigned
request is carried out by somebody else: what cannot be sent unchanged by a browser is refused
with `UnsignableValue`.

Sources: AWS, "Authenticating Requests: Using Query Parameters" (API/sigv4-query-string-auth),
"Creating a POST Policy" (API/sigv4-HTTPPOSTConstructPolicy), "Signature Calculation" of the same
guide; RFC 2104 (HMAC), RFC 3986 (unreserved characters), RFC 9110 (header fields).
"""

import hmac
import re
from base64 import b64encode
from binascii import hexlify
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Literal, NamedTuple

from app.core.hmac_states import hmac_states
from app.core.object_url import (
    BucketAddress,
    UnsignableValue,
    check_key,
    check_sendable,
    percent_encode,
    quote_key,
)
from app.core.query_parameters import AUTH_NAMES, query_parameter

if TYPE_CHECKING:
    from hashlib import _Hash

Method = Literal["GET", "HEAD", "PUT", "DELETE"]

MAX_EXPIRES_IN = 604_800  # seconds: one week

_ALGORITHM = "AWS4-HMAC-SHA256"
_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})

_FIELD_NAME = re.compile(r"[A-Za-z0-9._-]+")

# Set by the browser or changed on the way, or part of another way to authenticate.
_UNSIGNABLE_HEADERS = AUTH_NAMES | {
    "authorization",
    "connection",
    "date",
    "expect",
    "host",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
}
# Those that presign_post sets, and the file, which follows them.
_RESERVED_FIELDS = AUTH_NAMES | {"bucket", "file", "key", "policy"}

_json_string = encode_basestring_ascii


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key and its secret; temporary ones have a session token and expire (UTC).

    Raises UnsignableValue where a part is empty or holds anything but printable ASCII without
    spaces (a line end left over from a file, for example).
    """

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    # Query parts that are the same in every URL these credentials sign.
    _quoted_access_key: str = field(init=False, repr=False, compare=False)
    _token_parameter: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_secret("access key", self.access_key)
        _check_secret("secret key", self.secret_key)
        parameter = ""
        if self.session_token is not None:
            _check_secret("session token", self.session_token)
            parameter = f"&X-Amz-Security-Token={percent_encode(self.session_token)}"
        object.__setattr__(self, "_quoted_access_key", percent_encode(self.access_key))
        object.__setattr__(self, "_token_parameter", parameter)


class UrlSigner:
    """Signs many URLs of one bucket, made at one moment, with the repeated work done once.

    Arguments are those of `presign_url`; only key and query differ from URL to URL.
    """

    __slots__ = ("_bucket_path", "_bucket_url", "_constant", "_head", "_inner", "_outer", "_tail")

    def __init__(
        self,
        address: BucketAddress,
        credentials: Credentials,
        *,
        now: datetime,
        expires_in: int,
        method: Method = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if method not in _METHODS:
            raise UnsignableValue(f"method: must be one of {', '.join(sorted(_METHODS))}")
        check_expires_in(expires_in)
        scope = _scope(credentials, address.region, _unix_second(now))
        host = address.host
        if headers:
            signed, canonical = _canonical_headers(headers, host)
        else:
            signed, canonical = "host", f"host:{host}\n"
        # In the order in which the signature wants the names; the URL carries them so.
        self._constant = (
            f"{scope.query}&X-Amz-Expires={expires_in}{credentials._token_parameter}"
            f"&X-Amz-SignedHeaders={signed.replace(';', '%3B')}"
        )
        self._bucket_path = "" if address.base_path else "/"
        self._bucket_url = f"{address.origin}{address.base_path}"
        self._head = f"{method}\n{address.base_path}"
        # The body is not known when a URL is signed.
        self._tail = f"\n{canonical}\n{signed}\nUNSIGNED-PAYLOAD"
        # Copies of these two are what a signature begins with.
        self._inner, self._outer = scope.string_to_sign.copy, scope.outer.copy

    def url(self, key: str, query: Mapping[str, str] | None = None) -> str:
        """Presign the object `key`; `query` holds S3's parameters, unescaped.

        Raises UnsignableValue where the key or a parameter cannot be signed.
        """
        parameters = ""
        if query:
            for name in sorted(query):
                parameters += query_parameter(name, query[name])
        return self.url_with(key, parameters)

    def url_with(self, key: str, parameters: str) -> str:
        """As `url`, with what `query_parameter` has written, in the order of the names."""
        return self._signed(f"/{quote_key(key)}", f"{self._constant}{parameters}")

    def bucket_url(self, query: Mapping[str, str]) -> str:
        """Presign the bucket itself, for a list; `query`, unescaped, may hold any character."""
        more = [f"&{name}={percent_encode(query[name])}" for name in sorted(query)]
        return self._signed(self._bucket_path, self._constant + "".join(more))

    def _signed(self, path: str, parameters: str) -> str:
        request = f"{self._head}{path}\n{parameters}{self._tail}".encode("ascii")
        inner, outer = self._inner(), self._outer()
        inner.update(hexlify(sha256(request).digest()))
        outer.update(inner.digest())
        return f"{self._bucket_url}{path}?{parameters}&X-Amz-Signature={outer.hexdigest()}"


def presign_url(
    method: Method,
    address: BucketAddress,
    key: str,
    *,
    credentials: Credentials,
    now: datetime,
    expires_in: int,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> str:
    """Presign one request to an object.

    Whoever sends it must send `headers` (names in any case, values printable ASCII) exactly as
    given; `host` is always signed. `query` holds S3's parameters (`versionId`,
    `partNumber`, `response-content-disposition` ...), unescaped. `now` is timezone-aware,
    its fraction of a second ignored; `expires_in` is seconds, 1 to 604,800.

    Raises UnsignableValue where an argument cannot be signed, or would be altered by browsers.
    """
    if headers:
        signer = UrlSigner(
            address, credentials, now=now, expires_in=expires_in, method=method, headers=headers
        )
    else:
        check_expires_in(expires_in)  # before the cache, which takes True and 1.0 for 1
        signer = _bare_signer(address, credentials, _unix_second(now), expires_in, method)
    return signer.url(key, query)


# Without it a URL takes three times as long to sign (`python -m bench signing`, GET).
@lru_cache(maxsize=128)
def _bare_signer(
    address: BucketAddress, credentials: Credentials, second: int, expires_in: int, method: Method
) -> UrlSigner:
    now = datetime.fromtimestamp(second, UTC)
    return UrlSigner(address, credentials, now=now, expires_in=expires_in, method=method)


def presign_post(
    address: BucketAddress,
    key: str,
    *,
    credentials: Credentials,
    now: datetime,
    expires_in: int,
    fields: Mapping[str, str],
    size_range: tuple[int, int],
) -> tuple[str, dict[str, str]]:
    """Presign one POST upload: `(url, form fields)`, fields in the order to send them.

    The form ends with the `file` part, which is not among them. Each field, `bucket` and
    `key` included, is held by an exact condition; the body is `size_range` bytes, both ends
    included. `bucket` is sent as well because some stores (Garage) want a field for each
    condition.

    Raises UnsignableValue where an argument cannot be signed, or holds `$` (S3 expands
    `${filename}` before it compares, so such a field would not be pinned).
    """
    low, high = size_range
    if not (type(low) is int and type(high) is int and 0 <= low <= high):
        raise UnsignableValue("size range: must be two whole numbers of bytes, 0 <= low <= high")
    check_expires_in(expires_in)
    check_key(key)
    second = _unix_second(now)
    scope = _scope(credentials, address.region, second)
    form = {"key": key, "bucket": address.bucket, **fields}
    _check_field_names(tuple(fields))
    together = "".join(form.values())
    if "$" in together or not together.isprintable():  # what is printable can be sent
        for name, value in form.items():
            if "$" in value:
                raise UnsignableValue(f"form field {name}: holds '$', which S3 may expand")
            check_sendable(f"form field {name}", value)
    conditions = [f'{{"{name}":{_json_string(value)}}},' for name, value in form.items()]
    policy = b64encode(
        f'{{"expiration":"{_expiration(second + expires_in)}","conditions":[{"".join(conditions)}'
        f'{scope.conditions},["content-length-range",{low},{high}]]}}'.encode("ascii")
    ).decode("ascii")
    form |= scope.fields
    form["policy"] = policy
    form["x-amz-signature"] = _policy_signature(policy, scope)
    return f"{address.origin}{address.base_path or '/'}", form


# Forms of one second end together.
@lru_cache(maxsize=64)
def _expiration(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC).isoformat()[:19]}Z"


def policy_signature(policy: str, *, credentials: Credentials, region: str, now: datetime) -> str:
    """Sign a POST policy given in base64: the hexadecimal value of `x-amz-signature`."""
    return _policy_signature(policy, _scope(credentials, region, _unix_second(now)))


def _policy_signature(policy: str, scope: "_Scope") -> str:
    inner = scope.inner.copy()
    inner.update(policy.encode("ascii"))
    outer = scope.outer.copy()
    outer.update(inner.digest())
    return outer.hexdigest()


# Destinations are few, and so are the names that they sign. Without it a form takes a tenth longer.
@lru_cache(maxsize=256)
def _check_field_names(names: tuple[str, ...]) -> None:
    reason = "is filled in by the signer"
    lower = {_lower_name("form field", name, _RESERVED_FIELDS, reason) for name in names}
    if len(lower) != len(names):
        raise UnsignableValue("form fields: two names differ in capitals alone")


def _canonical_headers(headers: Mapping[str, str], host: str) -> tuple[str, str]:
    """Signed header names, joined by ";", and the canonical header block."""
    canonical = {"host": host}
    for name, value in headers.items():
        lower = _lower_name("header", name, _UNSIGNABLE_HEADERS, "cannot be signed")
        if lower in canonical:
            raise UnsignableValue(f"header {lower}: is given twice")
        if not (value.isascii() and value.isprintable()):
            raise UnsignableValue(
                f"header {lower}: must be printable ASCII (encode other characters, for a file "
                "name as RFC 8187 says)"
            )
        canonical[lower] = " ".join(value.split()) if " " in value else value
    names = sorted(canonical)
    return ";".join(names), "".join([f"{name}:{canonical[name]}\n" for name in names])


def _lower_name(role: str, name: str, excluded: frozenset[str], reason: str) -> str:
    """The name in lower case. Raises UnsignableValue for a malformed or an excluded one."""
    lower = name.lower()
    if not _FIELD_NAME.fullmatch(name):
        raise UnsignableValue(f"{role} name: must be ASCII letters, digits, '-', '_' and '.'")
    if lower in excluded:
        raise UnsignableValue(f"{role} {lower}: {reason}, leave it out")
    return lower


def _check_secret(role: str, text: str) -> None:
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise UnsignableValue(
            f"{role}: is empty or holds spaces, line ends or other characters that no key has; "
            "look for a slip in copying"
        )


def check_expires_in(expires_in: int) -> None:
    """Raises UnsignableValue unless `expires_in` is a whole number of seconds, 1 to 604,800."""
    if type(expires_in) is not int or not 1 <= expires_in <= MAX_EXPIRES_IN:
        raise UnsignableValue(
            f"expiry: must be a whole number of seconds from 1 to {MAX_EXPIRES_IN:,}"
        )


def _unix_second(now: datetime) -> int:
    if now.tzinfo is None:
        raise UnsignableValue("now: must carry a timezone")
    return int(now.timestamp())


class _Scope(NamedTuple):
    """The parts that all signatures of one second, region and credential share.

    The hash states are never updated, only copied.
    """

    inner: "_Hash"
    outer: "_Hash"
    string_to_sign: "_Hash"  # inner, updated with the string to sign but for the request's hash
    query: str
    fields: dict[str, str]
    conditions: str  # fields as JSON conditions


# Without it an announcement takes 8 % longer, a batch of fifty 15 %.
@lru_cache(maxsize=64)
def _scope(credentials: Credentials, region: str, second: int) -> _Scope:
    stamp = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
    date = stamp[:8]
    inner, outer = _signing_key(credentials.secret_key, date, region)
    string_to_sign = inner.copy()
    string_to_sign.update(
        f"{_ALGORITHM}\n{stamp}\n{date}/{region}/s3/aws4_request\n".encode("ascii")
    )
    query = (
        f"X-Amz-Algorithm={_ALGORITHM}"
        f"&X-Amz-Credential={credentials._quoted_access_key}"
        f"%2F{date}%2F{region}%2Fs3%2Faws4_request"
        f"&X-Amz-Date={stamp}"
    )
    fields = {
        "x-amz-algorithm": _ALGORITHM,
        "x-amz-credential": f"{credentials.access_key}/{date}/{region}/s3/aws4_request",
        "x-amz-date": stamp,
    }
    if credentials.session_token is not None:
        fields["x-amz-security-token"] = credentials.session_token
    conditions = ",".join([f'{{"{name}":{_json_string(value)}}}' for name, value in fields.items()])
    return _Scope(inner, outer, string_to_sign, query, fields, conditions)


def _signing_key(secret_key: str, date: str, region: str) -> "tuple[_Hash, _Hash]":
    """The day's signing key (AWS, API/sig-v4-header-based-auth), as hashes to copy."""
    key = f"AWS4{secret_key}".encode("ascii")
    for step in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, step.encode("ascii"), "sha256")
    return hmac_states(key)
