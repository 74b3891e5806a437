"""How a stored file may be shown: Content-Disposition, and which types a browser may render.

S3 sends no `X-Content-Type-Options`, and its origin is shared by all files of a bucket: a page or
an SVG served inline there is stored cross-site scripting. So only types that no browser runs are
shown inline; all else is downloaded (OWASP File Upload Cheat Sheet).
"""

import re
from functools import lru_cache
from typing import Final, Literal

from app.core.object_url import UNRESERVED, percent_encode

Disposition = Literal["inline", "attachment"]

_INLINE_IMAGES: Final = frozenset(
    f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "avif", "bmp", "x-icon", "heic")
)
_INLINE_TEXT: Final = frozenset({"text/plain"})
_INLINE_FAMILIES: Final = frozenset({"audio", "video"})

# RFC 8187 attr-char, what may stand unescaped in filename*.
_ATTR_CHARS: Final = UNRESERVED + b"!#$&+^`|"
# Beyond ASCII, or not to be trusted within quotation marks.
_NOT_PLAIN: Final = re.compile(r'[^ -~]|["\\%]')


def essence(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def shown_inline(content_type: str) -> bool:
    """Whether a browser can show this type without running anything that is in it."""
    kind = essence(content_type)
    family = kind.partition("/")[0]
    return kind in _INLINE_IMAGES or kind in _INLINE_TEXT or family in _INLINE_FAMILIES


@lru_cache(maxsize=1024)
def content_disposition(disposition: Disposition, filename: str) -> str:
    """The header value of RFC 6266, with an ASCII fallback and RFC 8187's `filename*`.

    `filename` must be free of control characters, as `clean_filename` leaves it.
    """
    fallback = _NOT_PLAIN.sub("_", filename)
    value = f'{disposition}; filename="{fallback}"'
    if fallback == filename:
        return value
    return f"{value}; filename*=UTF-8''{percent_encode(filename, _ATTR_CHARS)}"


def response_overrides(
    content_type: str, *, disposition: Disposition | None, filename: str
) -> dict[str, str]:
    """The `response-*` query parameters for a read link; sign them, they need a signed request.

    With `disposition` None a type that is safe inline gets none at all: the plain link is the
    fastest to sign and the best to cache.
    """
    if not shown_inline(content_type):
        return {
            "response-content-disposition": content_disposition("attachment", filename),
            "response-content-type": "application/octet-stream",
        }
    if disposition is None:
        return {}
    return {"response-content-disposition": content_disposition(disposition, filename)}
