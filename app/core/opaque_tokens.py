"""Opaque tokens: API keys, upload sessions, requests for files and sessions of staff. Pure.

256 random bits behind a prefix by which people and secret scanners recognize them. Only the
SHA-256 is stored: at that entropy no slower hash is needed, and the table is of no use to whoever
reads it.
"""

import base64
import hashlib
import re
from typing import Final

KEY_PREFIX: Final = "claimcheck_key_"
SESSION_PREFIX: Final = "claimcheck_upload_"
REQUEST_PREFIX: Final = "claimcheck_request_"
STAFF_PREFIX: Final = "claimcheck_staff_"
RANDOM_BYTES: Final = 32

_PREFIXES: Final = f"{KEY_PREFIX}|{SESSION_PREFIX}|{REQUEST_PREFIX}|{STAFF_PREFIX}"
_TOKEN: Final = re.compile(rf"(?:{_PREFIXES})[A-Za-z0-9_-]{{43}}")


def make_token(prefix: str, randomness: bytes) -> str:
    """A token of that prefix and 32 random bytes, in URL-safe characters alone."""
    assert len(randomness) == RANDOM_BYTES
    return prefix + base64.urlsafe_b64encode(randomness).decode().rstrip("=")


def is_token(text: str) -> bool:
    """Whether the text has the form of one of these tokens."""
    return _TOKEN.fullmatch(text) is not None


def hash_token(token: str) -> bytes:
    """The token's SHA-256 (32 bytes), which is stored and looked up instead of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
