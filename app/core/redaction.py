"""What must not be read in a log: secrets in text, cut out. Pure.

Nothing of ours logs any. This is for what others put into their messages: a URL in a library's
exception, a token that got lost in a path.
"""

import re
from typing import Final

from app.core.opaque_tokens import KEY_PREFIX, SESSION_PREFIX, STAFF_PREFIX

# What a secret stands behind. It goes to the end of the word: one with a slip in it is as secret.
_MARKS: Final = (
    KEY_PREFIX,
    SESSION_PREFIX,
    STAFF_PREFIX,
    STAFF_PREFIX,
    r"X-Amz-(?:Signature|Security-Token|Credential)(?:=|%3D)",
    r"[?&]grant=",
    r"Bearer ",
    r"Signature=",
)
_SECRET: Final = re.compile(rf"({'|'.join(_MARKS)})[^\s/&\"'\\]+", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with `...` for each secret in it."""
    # Looking for these first is ten times as fast as looking for the pattern, and nearly no line
    # has any. Whoever writes them otherwise is looked for in vain.
    if (
        "claimcheck_" in text
        or "mz-" in text
        or "grant=" in text
        or "earer " in text
        or "ignature=" in text
    ):
        return _SECRET.sub(r"\1...", text)
    return text
