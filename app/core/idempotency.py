"""Idempotency keys: the value that a client sends with a POST, and again with each repeat. Pure.

The header is that of draft-ietf-httpapi-idempotency-key-header: a String of Structured Fields (RFC
9651 section 3.3.3). Keys are told apart by who sends them, and stored as hashes alone.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from app.core.principal import Identity

MAX_KEY: Final = 255
# A UUID without quotation marks is no String of the draft, but is how many clients send it.
_GIVEN: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"|([A-Za-z0-9._:~+/=-]+)')


class RequestKey(NamedTuple):
    """A request that has a key: SHA-256 of the key and its sender, and SHA-256 of the request."""

    key_hash: bytes
    request_hash: bytes


def read_key(value: str) -> str:
    """The key in a header's value. Raises ValueError."""
    found = _GIVEN.fullmatch(value)
    if found is None or len(value) > MAX_KEY:
        raise ValueError(
            f"must be a string in quotation marks, of at most {MAX_KEY} ASCII characters with them"
        )
    quoted, bare = found.groups()
    return bare or quoted


def request_key(identity: Identity, key: str, kind: str, body: Mapping[str, Any]) -> RequestKey:
    """The key of one caller's request for a kind of thing, the body as its model has it.

    Another order of a JSON object's members, or other white space, make no other request.
    """
    request = json.dumps([kind, body], sort_keys=True, default=str)
    return RequestKey(_sha256(repr((*identity, key))), _sha256(request))


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
