"""The door for browsers: URLs and forms, which the store takes as they were signed or not.

Signatures are verified by the gate of the embedded store, that is by botocore: the service's own
signer has no part in it.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from app.embedded.gate_auth import Verifier
from app.embedded.gate_post import check_policy
from app.embedded.gate_request import BodyStream, S3Request
from app.embedded.s3_error import S3Error
from tests.simulation.store.body import Body
from tests.simulation.store.lists import list_operation, page
from tests.simulation.store.state import NULL, Bucket, Version

if TYPE_CHECKING:
    from tests.simulation.store.simulated import Store

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")
_OVERRIDES: Final = ("content-type", "content-disposition", "cache-control")
_OBJECT_FIELDS: Final = ("content-type", "x-amz-checksum-sha256")
_DRESS: Final = ("cache-control", "content-disposition")


@dataclass(frozen=True)
class Reply:
    """The store's answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = field(default_factory=Body)
    code: str | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Request(S3Request):
    """A request of either style: `raw` is the canonical path that was signed."""

    raw: str = ""

    @property
    def path(self) -> str:
        return self.raw


def parsed(
    store: "Store", method: str, url: str, headers: Mapping[str, str], length: int
) -> Request:
    """The request as it arrives; browsers add the host, and the length where there is a body."""
    parts = urlsplit(url)
    sent = {name.lower(): value for name, value in headers.items()}
    sent["host"] = parts.netloc
    sent.pop("content-length", None)
    if method in ("PUT", "POST"):
        sent["content-length"] = str(length)
    path = unquote(parts.path)
    label = next((name for name in store.buckets if parts.netloc.startswith(f"{name}.")), None)
    bucket, _, key = (label, "", path[1:]) if label else path[1:].partition("/")
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    nothing = BodyStream(BytesIO(), 0)
    return Request(method, bucket, key, query, sent, nothing, quote(path, safe="/-_.~"))


def answer(
    store: "Store",
    request: Request,
    body: Body,
    form: Mapping[str, str] | None,
    begun: datetime,
    who: str,
) -> Reply:
    """Do what is asked, if it was signed so. A URL must have lived when the request began."""
    now = store.clock()
    try:
        if form is not None:
            return _form(store, request, body, form, begun, now, who)
        _verify(store, request, begun)
        bucket = store.bucket(request.bucket)
        match request.method:
            case "PUT" if request.has("uploadId"):
                return _part(store, bucket, request, body, begun, now, who)
            case "PUT":
                return _put(store, bucket, request, body, now, who)
            case "GET" if (listing := list_operation(request)) is not None:
                return Reply(200, body=Body.real(page(store, listing, request, who)))
            case "GET" | "HEAD":
                return _read(store, bucket, request)
        raise S3Error(405, "MethodNotAllowed", "Nobody signs that.")
    except S3Error as error:
        return refusal(store, request.method, error)


def refusal(store: "Store", method: str, error: S3Error) -> Reply:
    """The error as it is answered: nothing but a status, to a HEAD."""
    headers = {"date": format_datetime(store.clock(), usegmt=True)}
    if method == "HEAD":
        return Reply(error.status, headers)
    xml = f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
    return Reply(error.status, headers, Body.real(xml.encode()), error.code)


def _verify(store: "Store", request: Request, begun: datetime) -> None:
    manners = store.manners
    moment, checked = begun, request
    if not manners.future_refused:
        signed_at = request.first("X-Amz-Date")
        try:
            start = datetime.strptime(signed_at or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            start = begun
        moment = max(begun, start)
    if manners.obeys_unsigned:
        signed = (request.first("X-Amz-SignedHeaders") or "").split(";")
        headers = {
            name: value
            for name, value in request.headers.items()
            if name in signed or not name.startswith("x-amz-")
        }
        checked = Request(
            *(request.method, request.bucket, request.key, request.query, headers),
            *(request.stream, request.raw),
        )
    try:
        Verifier(store.keys).verify_request(checked, moment)
    except S3Error as error:
        if not request.has("X-Amz-Signature"):
            raise S3Error(manners.unsigned, error.code, error.message) from None
        if "expired" in error.message and error.code == "AccessDenied":
            raise S3Error(manners.expired, error.code, error.message) from None
        raise


def _check_digests(store: "Store", headers: Mapping[str, str], body: Body) -> None:
    given = headers.get("content-md5")
    if given is not None and given != base64.b64encode(body.md5).decode():
        raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match.")
    given = headers.get("x-amz-checksum-sha256")
    if store.manners.checksums == "ignored" or given is None:
        return
    if given != base64.b64encode(body.sha256).decode():
        raise S3Error(400, "BadDigest", "The SHA-256 you specified did not match.")


def _put(
    store: "Store", bucket: Bucket, request: Request, body: Body, now: datetime, who: str
) -> Reply:
    headers = request.headers
    source = headers.get("x-amz-copy-source")
    if source is not None:
        # Only a store that obeys what nobody signed comes here: a copy asks for no condition.
        name, _, key = unquote(source).lstrip("/").partition("/")
        copied = store.bucket(name).find(key, None)
        body = copied.body
        if headers.get("x-amz-metadata-directive") != "REPLACE":
            headers = copied.headers | {f"x-amz-meta-{n}": v for n, v in copied.metadata.items()}
        headers = {n: v for n, v in headers.items() if n != "if-none-match"}
    else:
        _check_digests(store, headers, body)
    version = bucket.put(request.key, body, headers, now, who)
    store.created(bucket, request.key, version, "Copy" if source else "Put")
    return Reply(200, {} if source else _told(version) | {"etag": version.etag})


def _part(
    store: "Store",
    bucket: Bucket,
    request: Request,
    body: Body,
    begun: datetime,
    now: datetime,
    who: str,
) -> Reply:
    upload_id, number = request.first("uploadId") or "", int(request.first("partNumber") or 0)
    source = request.headers.get("x-amz-copy-source")
    if source is not None:
        name, _, key = unquote(source).lstrip("/").partition("/")
        body = store.bucket(name).find(key, None).body
    stays = store.manners.parts_outlive_abort and store.happens(0.5)
    if bucket.was_aborted_since(upload_id, begun) and stays:
        bucket.revive(upload_id)
    try:
        _check_digests(store, request.headers, body)
    except S3Error:
        if store.manners.drops_on_md5 and upload_id in bucket.uploads:
            bucket.abort(request.key, upload_id, now, who)
        raise
    etag = bucket.put_part(request.key, upload_id, number, body, now, who)
    return Reply(200, {"etag": etag})


def _form(
    store: "Store",
    request: Request,
    body: Body,
    form: Mapping[str, str],
    begun: datetime,
    now: datetime,
    who: str,
) -> Reply:
    manners = store.manners
    if not manners.forms:
        raise S3Error(manners.form_refusal, "MethodNotAllowed", "There are no forms here.")
    fields = {name.lower(): value for name, value in form.items()}
    Verifier(store.keys).verify_policy(fields, begun)
    bucket = store.bucket(request.bucket)
    covered = fields
    if not manners.strict_forms:
        covered = {n: v for n, v in fields.items() if f'"{n}"' in _policy(fields) or n in _SIGNING}
    least, most = check_policy(covered, bucket.name, begun)
    if most is not None and body.length > most:
        raise S3Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum.")
    if body.length < least:
        raise S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum.")
    kept = _OBJECT_FIELDS + (_DRESS if manners.form_headers else ())
    headers = {n: v for n, v in fields.items() if n in kept or n.startswith("x-amz-meta-")}
    _check_digests(store, headers, body)
    version = bucket.put(fields["key"], body, headers, now, who)
    store.created(bucket, fields["key"], version, "Post")
    return Reply(int(fields.get("success_action_status", "204")), _told(version))


_SIGNING: Final = (
    *("policy", "x-amz-signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date"),
    "x-amz-security-token",
)


def _policy(fields: Mapping[str, str]) -> str:
    return base64.b64decode(fields["policy"]).decode()


def _read(store: "Store", bucket: Bucket, request: Request) -> Reply:
    head = request.method == "HEAD"
    version = bucket.find(request.key, request.first("versionId"), head=head)
    headers = _told(version) | version.headers | {"etag": version.etag}
    headers |= {f"x-amz-meta-{name}": value for name, value in version.metadata.items()}
    headers["last-modified"] = format_datetime(version.at, usegmt=True)
    headers["date"] = format_datetime(store.clock(), usegmt=True)
    for name in _OVERRIDES:
        if (value := request.first(f"response-{name}")) is not None:
            headers[name] = value
    if version.checksum and request.headers.get("x-amz-checksum-mode") == "ENABLED":
        headers |= {
            "x-amz-checksum-sha256": version.checksum,
            "x-amz-checksum-type": "FULL_OBJECT",
        }
    body, status = version.body, 200
    wanted = _RANGE.fullmatch(request.headers.get("range", ""))
    if wanted:
        start = int(wanted[1])
        stop = min(int(wanted[2] or version.size) + 1, version.size)
        if start >= version.size:
            raise S3Error(416, "InvalidRange", "The requested range is not satisfiable")
        body = body.slice(start, stop)
        headers["content-range"] = f"bytes {start}-{stop - 1}/{version.size}"
        status = 206 if store.manners.ranges else 200
    headers["content-length"] = str(body.length)
    return Reply(status, headers, Body() if head else body)


def _told(version: Version) -> dict[str, str]:
    return {} if version.id == NULL else {"x-amz-version-id": version.id}
