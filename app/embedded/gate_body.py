"""A request body on its way to the store: spooled to disk, and its digests compared."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Protocol

from app.embedded.s3_error import S3Error, invalid_argument

_IN_MEMORY = 1 << 20
_CHUNK = 1 << 18
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


def _md5() -> _Hasher:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> _Hasher:
    return hashlib.sha1(usedforsecurity=False)


_ALGORITHMS: dict[str, Callable[[], _Hasher]] = {
    "crc32": _Crc32,
    "sha1": _sha1,
    "sha256": hashlib.sha256,
}


@dataclass(frozen=True)
class _Promise:
    """A digest that the sender gave, and the error for a body of another one."""

    hasher: _Hasher
    digest: bytes
    broken: S3Error


class Body:
    """Bytes in a file without a name, hashed as they come; gone when it is closed or killed."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Takes the promised digests from ``headers`` (lower case), or from a form's fields.

        Raises:
            S3Error: 400 for a digest that cannot be read, 501 for one that cannot be verified.
        """
        self._promises = _promises(headers)
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  closed by __exit__
        self.length = 0

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        """Appends."""
        self.file.write(data)
        self.length += len(data)
        for promise in self._promises:
            promise.hasher.update(data)

    def read_from(self, stream: IO[bytes], length: int) -> None:
        """Appends ``length`` bytes of ``stream``; S3Error (400 IncompleteBody) if it has fewer."""
        for data in read_chunks(stream, length):
            self.write(data)

    def finish(self) -> None:
        """Rewinds; S3Error (400) if a promised digest is not the one of the bytes."""
        for promise in self._promises:
            if not hmac.compare_digest(promise.hasher.digest(), promise.digest):
                raise promise.broken
        self.file.seek(0)


def read_chunks(stream: IO[bytes], length: int) -> Iterator[bytes]:
    """``length`` bytes of ``stream``, in pieces; S3Error (400 IncompleteBody) if it has fewer."""
    while length:
        data = stream.read(min(_CHUNK, length))
        if not data:
            message = "The request body ended before the number of bytes in Content-Length."
            raise S3Error(400, "IncompleteBody", message)
        length -= len(data)
        yield data


def checksum_algorithm(headers: Mapping[str, str]) -> str | None:
    """The algorithm of the one ``x-amz-checksum-*`` header, in lower case.

    Raises:
        S3Error: 400 for more than one, or for an algorithm that is named without a value.
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


def _promises(headers: Mapping[str, str]) -> list[_Promise]:
    promises = []
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
        promises.append(_Promise(hashlib.sha256(), bytes.fromhex(content_sha256), mismatch))

    if (content_md5 := headers.get("content-md5")) is not None:
        unreadable = S3Error(400, "InvalidDigest", "Content-MD5 must be 16 bytes in Base64.")
        promises.append(_promise(_md5(), content_md5, "Content-MD5", unreadable))

    if (algorithm := checksum_algorithm(headers)) is not None:
        name = f"{_CHECKSUM}{algorithm}"
        if algorithm not in _ALGORITHMS:
            known = ", ".join(_ALGORITHMS)
            message = f"The embedded S3 cannot verify {name}; choose one of {known}."
            raise S3Error(501, "NotImplemented", message)
        unreadable = S3Error(400, "InvalidRequest", f"Value for {name} header is invalid.")
        promises.append(_promise(_ALGORITHMS[algorithm](), headers[name], name, unreadable))
    return promises


def _promise(hasher: _Hasher, value: str, name: str, unreadable: S3Error) -> _Promise:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise unreadable from error
    if len(digest) != hasher.digest_size:
        raise unreadable
    message = f"The {name} you specified did not match the calculated checksum."
    return _Promise(hasher, digest, S3Error(400, "BadDigest", message))
