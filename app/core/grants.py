"""Grants: permission to read one file until a moment, for URLs in pages, which send no bearer.

A grant is `<end>.<mac>`: the end in seconds since the Unix epoch, and 16 bytes of HMAC-SHA-256
over end and file in hexadecimal. Inside one window it stays the same, on every replica that has
the same secret, so that pages do not change without need.
"""

import hmac
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

from app.core.hmac_states import hmac_states

if TYPE_CHECKING:
    from hashlib import _Hash

_MAC_DIGITS: Final = 32
_MAX_DIGITS: Final = 12


def make_grant(secret: bytes, file_id: UUID, end: int) -> str:
    """The grant to read this file until `end`, which `window_end` gives."""
    return _grant(_states(secret, end), file_id, end)


def _grant(states: "tuple[_Hash, _Hash]", file_id: UUID, end: int) -> str:
    inner, outer = states[0].copy(), states[1].copy()
    inner.update(file_id.bytes)
    outer.update(inner.digest())
    return f"{end}.{outer.hexdigest()[:_MAC_DIGITS]}"


@lru_cache(maxsize=64)
def _states(secret: bytes, end: int) -> "tuple[_Hash, _Hash]":
    """HMAC that has read the end. A page's grants end together."""
    inner, outer = hmac_states(secret)
    inner.update(b"%d " % end)
    return inner, outer


def is_granted(secret: bytes, file_id: UUID, grant: str, now: float) -> bool:
    """Whether the grant is ours, is for this file, and has not ended at `now` (epoch seconds)."""
    digits = grant.partition(".")[0]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        return False
    end = int(digits)
    # Made again and compared as it is written, so that one grant has one spelling. Whatever ends
    # somebody makes up, they push nothing out of the cache.
    ours = _grant(_states.__wrapped__(secret, end), file_id, end)
    return hmac.compare_digest(grant.encode("utf-8", "replace"), ours.encode()) and now < end


def window_end(now: float, expires_in: int, window: int) -> int:
    """When a grant made now ends: `expires_in` seconds from now, and up to a window more."""
    start = int(now)
    if window:
        start -= start % window
    return start + expires_in + window
