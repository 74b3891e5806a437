"""What must not be read in a log: secrets in text, cut out. Pure.

Nothing of ours logs any. This is for what others put into their messages: a URL in a library's
exception, a form's fields, a header, a token that got lost in a path.
"""

import re
from typing import Final

from app.core.opaque_tokens import KEY_PREFIX, SESSION_PREFIX, STAFF_PREFIX

# What stands between a name and its value: in a URL, a header, a dict, JSON within JSON.
_IS: Final = r"[\\\"']*\s*(?:=|%3D|:)\s*[\\\"']*"
# What a secret stands behind. It goes to the end of the word: one with a slip in it is as secret.
_MARKS: Final = (
    KEY_PREFIX,
    SESSION_PREFIX,
    STAFF_PREFIX,
    rf"X-Amz-(?:Security-Token|Credential){_IS}",
    rf"Signature{_IS}",
    r"grant=",
    r"Bearer ",
)
_MARKED: Final = re.compile(rf"({'|'.join(_MARKS)})[^\s/&\"'\\]+", re.IGNORECASE)
# Base64 of {" is how web tokens and policies begin.
_ENCODED: Final = re.compile(r"(eyJ)[A-Za-z0-9+/_=.-]{30,}", re.IGNORECASE)
# A grant by itself. It is looked for by its dot, of which there are few.
_GRANT: Final = re.compile(r"\.(?<=\d{10}\.)[0-9a-f]{32}(?![0-9a-f])", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with `...` for each secret in it."""
    # Looking for these first is many times as fast as looking for the patterns, and nearly no line
    # has any.
    low = text.lower()
    if (
        "claimcheck_" in low
        or "x-amz-" in low
        or "signature" in low
        or "grant=" in low
        or "bearer " in low
    ):
        text = _MARKED.sub(r"\1...", text)
    if "eyj" in low:
        text = _ENCODED.sub(r"\1...", text)
    return _GRANT.sub("....", text)
