"""moto's S3 as a plain store: no network, no signatures, no cross-origin headers.

moto's own server is left out: it serves every other AWS service, an unauthenticated reset and a
metadata address beside S3, folds `//` in keys, and parses a PUT of a form type as a form. Here
moto gets one request at a time, rebuilt from the parts that the gate has verified.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, Request, environ_key_for_header
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, s3_backends
from moto.s3.responses import S3Response
from werkzeug.wrappers import Response

from app.embedded import moto_checks, moto_objects
from app.embedded.contents import Contents
from app.embedded.gate_checks import (
    check_document,
    check_headers,
    check_parameters,
    copy_source,
    malformed_xml,
    without_unreadable_range,
)
from app.embedded.gate_cors import CorsRule
from app.embedded.gate_request import object_path
from app.embedded.s3_error import S3Error

# One region for all: moto keeps a store per partition, and takes it from the credential.
_AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=EMBEDDED/20000101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=verified-by-the-gate"
)
# Where there is no query, moto takes the headers for one.
_SOME_QUERY = ("x-id", "gate")
_HEADERS = {
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
}
# moto would store these as metadata of the object.
_NOT_METADATA = {"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}


# A PUT of one of these sends a document about an object, any other the object or a part of it.
_DOCUMENTS = {"acl", "legal-hold", "retention", "tagging"}
# DeleteObjects takes 1,000 keys of 1,024 bytes, CompleteMultipartUpload 10,000 parts.
_MAX_DOCUMENT = 4 << 20  # bytes
_ACL_HEADERS = (
    "x-amz-acl",
    *(
        f"x-amz-grant-{right}"
        for right in ("full-control", "read", "read-acp", "write", "write-acp")
    ),
)
_NOTHING = Contents()


# Policies are stored and not enforced: moto evaluates no conditions, so a denial of unencrypted
# requests or of old signatures would deny every request.
setattr(FakeBucket, "get_permission", lambda *_: PermissionResult.NEUTRAL)  # noqa: B010


class _MotoRequest(Request):
    # A body is never parsed as a form, whatever its type.
    want_form_data_parsed = False
    from_wsgi_server = True

    def __init__(self, environ: dict[str, Any], body: Contents | bytes) -> None:
        # Not in the environment: that cycle would keep the body until the next garbage collection.
        super().__init__(environ, populate_request=False)
        self._body = body

    @property
    def data(self) -> Any:
        return self._body


class MotoStore:
    """The buckets and objects of this process; bytes are in files (`contents`)."""

    def __init__(self) -> None:
        moto_objects.install()
        # moto's structures are not thread-safe, and a conditional write must be atomic.
        self._lock = threading.Lock()
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def call(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Contents = _NOTHING,
    ) -> Response:
        """Do one S3 operation, which the caller has authorized; return moto's answer.

        `query` holds the operation's parameters, decoded. Names in `headers` are in lower case;
        headers that a store has no use for are dropped.

        Raises S3Error for what S3 refuses; other exceptions of moto mean a request that it cannot
        parse.
        """
        headers = without_unreadable_range(headers or {})
        parameters = dict(reversed([*query]))  # of two of one name, moto takes the first
        check_headers(headers)
        check_parameters(method, parameters)
        source = copy_source(headers)
        sent = _document(method, key, parameters, headers, body)
        with self._lock:
            upload_id = parameters.get("uploadId")
            moto_checks.check_upload(self._backend, method, bucket, key, upload_id)
            moto_checks.check_page(self._backend, parameters)
            if source is not None:
                moto_checks.check_copy(self._backend, source, headers)
            part = None
            if method in ("GET", "HEAD") and key and upload_id is None:
                part = self._narrow(bucket, key, parameters, headers)
            environ = _environ(method, object_path(bucket, key), parameters, headers, len(body))
            status, answer, content = _dispatched(_MotoRequest(environ, sent), key)
            if method == "HEAD" and "x-amz-checksum-mode" in headers and int(status) == 200:
                self._describe_checksum(bucket, key, parameters.get("versionId"), answer)
        if part is not None and part.of is not None:
            answer["x-amz-mp-parts-count"] = part.of
        if isinstance(content, str):
            content = content.encode()
        chunks = content.chunks() if isinstance(content, Contents) else [content]
        response = Response(chunks, int(status))
        for name, value in answer.items():
            # Complete names the version "null" in a bucket that has no versions.
            if not (method == "POST" and name == "x-amz-version-id" and value == "null"):
                response.headers[name] = _wsgi_text(str(value))
        return response

    def cors_rules(self, bucket: str) -> list[CorsRule]:
        """The bucket's CORS rules; an empty list where it has none or does not exist."""
        with self._lock:
            found = self._backend.buckets.get(bucket)
            return [
                CorsRule(
                    tuple(rule.allowed_origins),
                    tuple(rule.allowed_methods),
                    tuple(rule.allowed_headers or ()),
                    tuple(rule.exposed_headers or ()),
                    rule.max_age_seconds,
                )
                for rule in (found.cors if found else ())
            ]

    def _describe_checksum(
        self, bucket: str, key: str, version_id: str | None, answer: dict[str, Any]
    ) -> None:
        """Correct the checksum in moto's answer to HEAD, which gives that of the parts as the
        object's own: set its type, and the number of parts for a composite one.
        """
        found = self._backend.get_object(bucket, key, version_id)
        if found is None or found.checksum_algorithm is None:
            return
        answer["x-amz-checksum-type"] = found.checksum_type or "FULL_OBJECT"
        if found.checksum_type == "COMPOSITE":
            name = f"x-amz-checksum-{found.checksum_algorithm.lower()}"
            answer[name] = f"{found.checksum_value}-{found.checksum_parts}"

    def _narrow(
        self, bucket: str, key: str, parameters: dict[str, str], headers: dict[str, str]
    ) -> moto_checks.Part | None:
        """Put what moto knows in place of what it does not: a range for the number of a part,
        which is returned, and no version for the one of a bucket without versions.
        """
        version_id = parameters.get("versionId")
        moto_checks.check_version(self._backend, bucket, key, version_id)
        if version_id == "null":
            found = self._backend.buckets.get(bucket)
            if found is not None and not found.is_versioned:
                del parameters["versionId"]
        number = parameters.pop("partNumber", None)
        if number is None:
            return None
        if "range" in headers:
            message = "Cannot specify both Range header and partNumber query parameter"
            raise S3Error(400, "InvalidRequest", message)
        part = moto_checks.part_of(self._backend, bucket, key, version_id, int(number))
        if part is not None and part.size:
            headers["range"] = f"bytes={part.first}-{part.first + part.size - 1}"
        return part


def _document(
    method: str,
    key: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    body: Contents,
) -> Contents | bytes:
    """The body for moto: a document, checked and in memory, or the bytes of an object as they are.

    Raises S3Error (400) for a document that is too long, or is not what it should be.
    """
    if method == "PUT" and key and _DOCUMENTS.isdisjoint(parameters):
        return body
    if len(body) > _MAX_DOCUMENT:
        raise malformed_xml()
    document = b"".join(body.chunks())
    by_headers = "acl" in parameters and any(name in headers for name in _ACL_HEADERS)
    is_wanted = method in ("PUT", "POST") and parameters.keys() - {"x-id", "uploads"}
    if document or (is_wanted and not by_headers):
        check_document(parameters, document)
    return document


def _dispatched(request: _MotoRequest, key: str) -> Any:
    """moto's status, headers and body. Raises S3Error (400) for a document that it cannot use."""
    dispatch = S3Response.key_dispatch if key else S3Response.bucket_dispatch
    try:
        return dispatch(request, request.raw_url, dict(request.headers))
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(request.data, bytes) and request.data:
            raise malformed_xml() from error
        raise


def _environ(
    method: str,
    path: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    length: int,
) -> dict[str, Any]:
    query_string = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in [*parameters.items(), _SOME_QUERY]
    )
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": query_string,
        # With another name moto might look for the bucket in it.
        "HTTP_HOST": "localhost",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_AUTHORIZATION": _AUTHORIZATION,
        "CONTENT_LENGTH": str(length),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    names: dict[str, str] = {}
    for name, value in headers.items():
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _NOT_METADATA):
            environ_key = environ_key_for_header(name)
            # Not the Latin-1 of PEP 3333: moto stores the text as it is, and never decodes it.
            environ[environ_key] = value
            names[environ_key] = name
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = names
    return environ


def _wsgi_text(value: str) -> str:
    """Text as WSGI carries it: the bytes of its UTF-8, read as Latin-1 (PEP 3333)."""
    return value if value.isascii() else value.encode().decode("latin-1")
