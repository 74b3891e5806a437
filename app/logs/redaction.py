"""Redaction of secrets in log text. Pure.

The service itself logs none. This is for messages of others: a URL in a library's exception, the
fields of a form, a header, a token in a path by mistake.
"""

import re
from typing import Final

from app.core.opaque_tokens import KEY_PREFIX, REQUEST_PREFIX, SESSION_PREFIX, STAFF_PREFIX
from app.core.webhook_signature import SECRET_PREFIX

# Between a name and its value: in a URL, a header, a dict, JSON within JSON.
_SEPARATOR: Final = r"[\\\"']*\s*(?:=|%3D|:)\s*[\\\"']*"
# Prefixes of secrets, which end with the word: a mistyped secret is redacted as well.
_PREFIXES: Final = (
    KEY_PREFIX,
    SESSION_PREFIX,
    REQUEST_PREFIX,
    STAFF_PREFIX,
    rf"X-Amz-Credential{_SEPARATOR}",
    rf"Signature{_SEPARATOR}",
    r"grant=",
    r"(?<=[?&])token=",
)
# Those of what may be Base64, in which a slash is not the end of it.
_WITH_SLASHES: Final = (
    SECRET_PREFIX,
    rf"X-Amz-Security-Token{_SEPARATOR}",
    r"Bearer ",
)
_PREFIXED: Final = re.compile(
    rf"({'|'.join(_PREFIXES)})[^\s/&\"'\\]+|({'|'.join(_WITH_SLASHES)})[^\s&\"'\\]+",
    re.IGNORECASE,
)
# JSON Web Tokens and POST policies begin with the Base64 of {".
_ENCODED: Final = re.compile(r"(eyJ)[A-Za-z0-9+/_=.-]{30,}", re.IGNORECASE)
# A grant without a prefix. The search begins at its dot, because dots are few.
_GRANT: Final = re.compile(r"\.(?<=\d{10}\.)[0-9a-f]{32}(?![0-9a-f])", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text with `...` in place of each secret."""
    # These searches are many times faster than the patterns, and hardly any line has a match; those
    # for a character that few lines have are many times faster again.
    low = text.lower()
    if (
        "claimcheck_" in low
        or SECRET_PREFIX in low
        or "signature" in low
        or ("z" in low and "x-amz-" in low)
        or ("=" in low and ("grant=" in low or "token=" in low))
        or (" " in low and "bearer " in low)
    ):
        text = _PREFIXED.sub(r"\1\2...", text)
    if "j" in low and "eyj" in low:
        text = _ENCODED.sub(r"\1...", text)
    return _GRANT.sub("....", text)
