"""Grants: permission to read one file until a moment, for URLs in pages, which send no bearer.

A grant is `<end>.<mac>`: the end in seconds since the Unix epoch, and 16 bytes of HMAC-SHA-256
over end and file in URL-safe base64. Inside one window it stays the same, on every replica that
has the same secret, so that pages do not change without need.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Final
from uuid import UUID

_MAC_BYTES: Final = 16
_MAX_DIGITS: Final = 12


@lru_cache(maxsize=20_000)
def make_grant(secret: bytes, file_id: UUID, end: int) -> str:
    """The grant to read this file until `end`, which `window_end` gives."""
    mac = hmac.digest(secret, b"%d %b" % (end, file_id.bytes), hashlib.sha256)
    return f"{end}.{urlsafe_b64encode(mac[:_MAC_BYTES]).decode().rstrip('=')}"


def is_granted(secret: bytes, file_id: UUID, grant: str, now: float) -> bool:
    """Whether the grant is ours, is for this file, and has not ended at `now` (epoch seconds)."""
    digits = grant.partition(".")[0]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        return False
    end = int(digits)
    # Made again and compared as it is written, so that one grant has one spelling.
    ours = make_grant.__wrapped__(secret, file_id, end)
    return hmac.compare_digest(grant.encode("utf-8", "replace"), ours.encode()) and now < end


def window_end(now: float, expires_in: int, window: int) -> int:
    """When a grant made now ends: `expires_in` seconds from now, and up to a window more."""
    start = int(now)
    if window:
        start -= start % window
    return start + expires_in + window
