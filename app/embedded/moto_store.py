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

from app.embedded import moto_objects
from app.embedded.contents import Contents
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

        Raises S3Error (404 NoSuchUpload), which moto does not know; other exceptions of moto mean
        a request that it cannot parse.
        """
        query = [*query, _SOME_QUERY]
        parameters = dict(reversed(query))  # of two of one name, moto takes the first
        is_object = method == "PUT" and key and _DOCUMENTS.isdisjoint(parameters)
        environ = _environ(method, object_path(bucket, key), query, headers or {}, len(body))
        request = _MotoRequest(environ, body if is_object else _document(body))
        dispatch = S3Response.key_dispatch if key else S3Response.bucket_dispatch
        with self._lock:
            self._check_upload(method, bucket, key, parameters.get("uploadId"))
            status, answer, content = dispatch(request, request.raw_url, dict(request.headers))
            if method == "HEAD" and "x-amz-checksum-mode" in (headers or {}) and int(status) == 200:
                self._describe_checksum(bucket, key, parameters.get("versionId"), answer)
        if isinstance(content, str):
            content = content.encode()
        sent = content.chunks() if isinstance(content, Contents) else [content]
        response = Response(sent, int(status))
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

    def _check_upload(self, method: str, bucket: str, key: str, upload_id: str | None) -> None:
        found = self._backend.buckets.get(bucket)
        if upload_id is None or found is None:
            return
        upload = found.multiparts.get(upload_id)
        if upload is not None and upload.key_name == key:
            return
        if upload is None and method == "POST" and key in found.keys:
            # A repeated Complete: moto answers as it did the first time.
            made_by = getattr(found.keys[key], "multipart", None)
            if made_by is not None and made_by.id == upload_id:
                return
        message = (
            "The specified multipart upload does not exist. The upload ID might be invalid, or the "
            "multipart upload might have been aborted or completed."
        )
        raise S3Error(404, "NoSuchUpload", message, UploadId=upload_id)


def _document(body: Contents) -> bytes:
    if len(body) > _MAX_DOCUMENT:
        raise S3Error(400, "MalformedXML", f"A document has at most {_MAX_DOCUMENT} bytes.")
    return b"".join(body.chunks())


def _environ(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    length: int,
) -> dict[str, Any]:
    query_string = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query
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
