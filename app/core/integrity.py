"""MD5s of what is sent, and the ETags that S3 makes of them. Pure.

An ETag is the MD5 of an object that was sent whole, in hexadecimal; of one in parts it is the MD5
of their MD5s with `-` and their number (AWS, API/API_Object). Not under SSE-KMS or SSE-C, and not
on every store: so nothing here says that an ETag is one.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

# Base64 of 16 bytes.
MD5_PATTERN: Final = r"^[A-Za-z0-9+/]{21}[AQgw]==$"
MD5_LENGTH: Final = 24


def from_base64(checksum: str) -> bytes:
    """The 16 bytes of an MD5 as `Content-MD5` has it (RFC 1864)."""
    return b64decode(checksum, validate=True)


def to_base64(digest: bytes) -> str:
    return b64encode(digest).decode()


def bare(etag: str) -> str:
    """The ETag without quotes, in lower case."""
    return etag.strip('"').lower()


def is_etag_of(etag: str, digest: bytes) -> bool:
    """Whether it is the ETag of one request's bytes with this MD5."""
    return bare(etag) == digest.hex()


def joined_etag(digests: Sequence[bytes]) -> str:
    """The ETag, without quotes, of parts with these MD5s in order."""
    joined = hashlib.md5(b"".join(digests), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(digests)}"
