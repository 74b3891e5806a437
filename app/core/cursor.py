"""Opaque, signed cursors for keyset pagination: the last id of a page, bound to its list."""

import base64
import binascii
import hashlib
import hmac
from typing import Final
from uuid import UUID

_MAC_BYTES: Final = 16


def encode_cursor(secret: bytes, scope: str, last: UUID) -> str:
    """A cursor of 43 URL-safe characters, which `decode_cursor` accepts for this scope alone."""
    return base64.urlsafe_b64encode(last.bytes + _mac(secret, scope, last)).decode().rstrip("=")


def decode_cursor(secret: bytes, scope: str, cursor: str) -> UUID:
    """The last id of the page before. Raises ValueError unless it was signed for this scope."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        last = UUID(bytes=raw[:16])
    except (binascii.Error, ValueError) as error:
        raise ValueError("not a cursor") from error
    if not hmac.compare_digest(raw[16:], _mac(secret, scope, last)):
        raise ValueError("not a cursor for this list")
    return last


def _mac(secret: bytes, scope: str, last: UUID) -> bytes:
    message = b"cursor\0" + scope.encode() + b"\0" + last.bytes
    return hmac.digest(secret, message, hashlib.sha256)[:_MAC_BYTES]
