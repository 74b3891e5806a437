"""Grants: permission to read one file until a moment, for URLs in pages, which send no bearer.

A grant is `<end>.<mac>`: the end in seconds since the Unix epoch, and 16 bytes of keyed BLAKE2b
(RFC 7693) over end and file id, in hexadecimal. Within one window it stays the same on every
replica with the same secret, so that browsers can cache pages and images.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final
from uuid import UUID

_MAC_BYTES: Final = 16
_MAX_DIGITS: Final = 12


def grant_maker(secret: bytes, end: int) -> Callable[[bytes], str]:
    """A function from a file's id, its 16 bytes, to the grant to read it until `end` (from
    `window_end`).

    It hashes the shared part once for many files. The secret has 64 bytes at most.
    """
    state = hashlib.blake2b(b"%d " % end, key=secret, digest_size=_MAC_BYTES)
    prefix = f"{end}."

    def grant(file_id: bytes) -> str:
        mac = state.copy()
        mac.update(file_id)
        return prefix + mac.hexdigest()

    return grant


def is_granted(secret: bytes, file_id: UUID, grant: str, now: float) -> bool:
    """Whether the grant is ours, is for this file, and has not ended at `now` (epoch seconds)."""
    digits = grant.partition(".")[0]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        return False
    end = int(digits)
    # Made again and compared as it is written, so that one grant has one spelling.
    ours = grant_maker(secret, end)(file_id.bytes)
    return hmac.compare_digest(grant.encode("utf-8", "replace"), ours.encode()) and now < end


def window_end(now: float, expires_in: int, window: int) -> int:
    """When a grant made now ends: `expires_in` seconds from now, and up to a window more."""
    start = int(now)
    if window:
        start -= start % window
    return start + expires_in + window
