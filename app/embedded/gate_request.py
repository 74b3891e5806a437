"""Parses a raw HTTP request into bucket, key, query and headers, each in canonical form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote, unquote, unquote_plus

from werkzeug.serving import WSGIRequestHandler

from app.embedded.s3_error import S3Error

_HEADERS = "gate.headers"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TARGET = re.compile(r"/[!-~]*")
_SINGLE = ("authorization", "content-length", "content-type", "host", "x-amz-date")
_MAX_KEY_BYTES = 1024


class GateRequestHandler(WSGIRequestHandler):
    """Passes the headers to the gate as they were sent, and logs errors only.

    WSGI does not distinguish `-` and `_`, and werkzeug therefore drops names with an underscore;
    S3 allows them in metadata and signs them.
    """

    # Seconds for which nothing may arrive: a client that has gone silent holds a connection.
    timeout = 60

    def make_environ(self) -> dict[str, Any]:
        environ = super().make_environ()
        environ[_HEADERS] = self.headers.items()
        return environ

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: query strings hold signatures, and errors are logged elsewhere."""


class BodyStream:
    """The bytes of a request's body, from which no more can be read than it announced."""

    def __init__(self, raw: IO[bytes], length: int) -> None:
        self._raw = raw
        self.left = length

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end, announced or not. Raises TimeoutError."""
        data = self._raw.read(min(size, self.left))
        self.left -= len(data)
        return data


@dataclass(frozen=True)
class S3Request:
    """One request, path style. Header names are in lower case; query and key are decoded."""

    method: str
    bucket: str
    key: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    stream: BodyStream

    @property
    def path(self) -> str:
        """The canonical URI: all bytes percent-encoded but the unreserved ones and `/`."""
        return object_path(self.bucket, self.key)

    def first(self, name: str) -> str | None:
        """The value of the first query parameter of that name, None without one."""
        return next((value for each, value in self.query if each == name), None)

    def has(self, name: str) -> bool:
        """Whether the query has a parameter `name`, with a value or without."""
        return self.first(name) is not None


def object_path(bucket: str, key: str) -> str:
    """`/bucket/key` percent-encoded; `/bucket` and `/` where key and bucket are empty."""
    return quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/-_.~")


def check_key(key: str) -> None:
    """Raises S3Error (400 KeyTooLongError) where a key exceeds 1,024 bytes of UTF-8."""
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise S3Error(400, "KeyTooLongError", f"A key has at most {_MAX_KEY_BYTES} bytes of UTF-8.")


def parse_request(environ: Mapping[str, Any]) -> S3Request:
    """Parse a request that GateRequestHandler received; its body stays unread.

    Raises S3Error: 400 for a target, bucket name, key or header that S3 does not accept; 411 for a
    body of unknown length.
    """
    target: str = environ["RAW_URI"]
    if not _TARGET.fullmatch(target) or "#" in target:
        raise S3Error(400, "InvalidURI", "The request target must be a percent-encoded path.")
    raw_path, _, raw_query = target.partition("?")
    try:
        bucket, _, key = unquote(raw_path, errors="strict")[1:].partition("/")
        query = tuple(_parse_query(raw_query))
    except UnicodeDecodeError as error:
        raise S3Error(400, "InvalidURI", "Path and query must be UTF-8.") from error
    if (bucket or key) and not _BUCKET.fullmatch(bucket):
        raise S3Error(400, "InvalidBucketName", "The specified bucket is not valid.")
    check_key(key)
    headers = _parse_headers(environ[_HEADERS])
    return S3Request(
        method=environ["REQUEST_METHOD"],
        bucket=bucket,
        key=key,
        query=query,
        headers=headers,
        stream=BodyStream(environ["wsgi.input"], _content_length(headers)),
    )


def _parse_query(raw_query: str) -> Iterable[tuple[str, str]]:
    for pair in filter(None, raw_query.split("&")):
        name, _, value = pair.partition("=")
        yield unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")


def _parse_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.lower(), _as_utf8(raw_value)
        if name not in headers:
            headers[name] = value
        elif name in _SINGLE:
            raise S3Error(400, "InvalidRequest", f"{raw_name} must be sent once.")
        else:
            headers[name] += f",{value}"
    return headers


def _as_utf8(value: str) -> str:
    """The header value as UTF-8, which clients sign and most send; http.server decodes Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def _content_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise S3Error(
            411,
            "MissingContentLength",
            "Send Content-Length instead of Transfer-Encoding.",
        )
    value = headers.get("content-length", "0")
    if not (value.isascii() and value.isdigit()):
        raise S3Error(400, "InvalidRequest", "Content-Length must be a number of bytes.")
    return int(value)
