"""A request body: written to disk as it arrives, and compared with the digests of its sender."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from app.embedded.contents import Contents, Writer
from app.embedded.gate_request import BodyStream
from app.embedded.s3_error import S3Error, invalid_argument

_CHUNK = 64 << 10
_CHECKSUM = "x-amz-checksum-"
# Headers of that prefix that carry no digest.
_NOT_DIGESTS = {f"{_CHECKSUM}{name}" for name in ("algorithm", "mode", "type")}
_UNSIGNED = "UNSIGNED-PAYLOAD"


class _Hasher(Protocol):
    @property
    def digest_size(self) -> int: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    digest_size = 4

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


_ALGORITHMS: dict[str, Callable[[], _Hasher]] = {
    "crc32": _Crc32,
    "sha1": partial(hashlib.sha1, usedforsecurity=False),
    "sha256": hashlib.sha256,
}


@dataclass(frozen=True)
class _ExpectedDigest:
    """A digest that the sender gave, and the error for a body with another one."""

    hasher: _Hasher
    digest: bytes
    mismatch: S3Error


class Body:
    """The bytes, hashed as they arrive."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Take the expected digests from `headers`, or a form's fields (names in lower case).

        Raises S3Error: 400 for a digest that cannot be parsed, 501 for one that cannot be verified.
        """
        self._expected = _expected_digests(headers)
        self._writer = Writer()

    @property
    def length(self) -> int:
        """Bytes so far."""
        return self._writer.length

    def write(self, data: bytes) -> None:
        """Append the bytes."""
        self._writer.write(data)
        for expected in self._expected:
            expected.hasher.update(data)

    def read_from(self, stream: BodyStream) -> None:
        """Append what is left of `stream`. Raises S3Error (400) where it ends too early."""
        for data in read_chunks(stream):
            self.write(data)

    def finish(self) -> Contents:
        """All of it. Raises S3Error (400) where a digest is not the expected one."""
        for expected in self._expected:
            if not hmac.compare_digest(expected.hasher.digest(), expected.digest):
                raise expected.mismatch
        return self._writer.finish()


def read_chunks(stream: BodyStream) -> Iterator[bytes]:
    """Yield what is left of `stream` in chunks.

    Raises S3Error: 400 IncompleteBody where it ends too early, 400 RequestTimeout where nothing
    arrives for so long that the server gives up.
    """
    while stream.left:
        try:
            data = stream.read(_CHUNK)
        except TimeoutError as error:
            message = (
                "Your socket connection to the server was not read from or written to within the "
                "timeout period. Idle connections will be closed."
            )
            raise S3Error(400, "RequestTimeout", message) from error
        if not data:
            message = "The request body ended before the number of bytes in Content-Length."
            raise S3Error(400, "IncompleteBody", message)
        yield data


def checksum_algorithm(headers: Mapping[str, str]) -> str | None:
    """The algorithm of the one `x-amz-checksum-*` header in lower case, None without one.

    Raises S3Error: 400 for more than one, or for an algorithm that is named without a value.
    """
    algorithms = [
        name.removeprefix(_CHECKSUM)
        for name in headers
        if name.startswith(_CHECKSUM) and name not in _NOT_DIGESTS
    ]
    if len(algorithms) > 1:
        message = (
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
        raise S3Error(400, "InvalidRequest", message)
    if "x-amz-sdk-checksum-algorithm" in headers and not algorithms:
        message = (
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found."
        )
        raise S3Error(400, "InvalidRequest", message)
    return algorithms[0] if algorithms else None


def _expected_digests(headers: Mapping[str, str]) -> list[_ExpectedDigest]:
    digests = []
    content_sha256 = headers.get("x-amz-content-sha256", _UNSIGNED)
    if content_sha256.startswith("STREAMING-") or "x-amz-trailer" in headers:
        raise S3Error(
            501,
            "NotImplemented",
            "The embedded S3 takes no aws-chunked bodies: sign the body's hash, and send checksums "
            'as headers (botocore: request_checksum_calculation="when_required").',
        )
    if content_sha256 != _UNSIGNED:
        if not re.fullmatch("[0-9a-f]{64}", content_sha256):
            message = "x-amz-content-sha256 must be a SHA-256 in hexadecimal, or UNSIGNED-PAYLOAD."
            raise invalid_argument(message)
        message = "The provided 'x-amz-content-sha256' header does not match what was computed."
        mismatch = S3Error(400, "XAmzContentSHA256Mismatch", message)
        digests.append(_ExpectedDigest(hashlib.sha256(), bytes.fromhex(content_sha256), mismatch))

    if (content_md5 := headers.get("content-md5")) is not None:
        unreadable = S3Error(400, "InvalidDigest", "Content-MD5 must be 16 bytes in Base64.")
        md5 = hashlib.md5(usedforsecurity=False)
        digests.append(_expect(md5, content_md5, "Content-MD5", unreadable))

    if (algorithm := checksum_algorithm(headers)) is not None:
        name = f"{_CHECKSUM}{algorithm}"
        if algorithm not in _ALGORITHMS:
            known = ", ".join(_ALGORITHMS)
            message = f"The embedded S3 cannot verify {name}; choose one of {known}."
            raise S3Error(501, "NotImplemented", message)
        unreadable = S3Error(400, "InvalidRequest", f"Value for {name} header is invalid.")
        digests.append(_expect(_ALGORITHMS[algorithm](), headers[name], name, unreadable))
    return digests


def _expect(hasher: _Hasher, value: str, name: str, unreadable: S3Error) -> _ExpectedDigest:
    """The digest from Base64. Raises `unreadable` for another encoding or length."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise unreadable from error
    if len(digest) != hasher.digest_size:
        raise unreadable
    message = f"The {name} you specified did not match the calculated checksum."
    return _ExpectedDigest(hasher, digest, S3Error(400, "BadDigest", message))
