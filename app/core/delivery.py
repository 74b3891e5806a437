"""Delivery of files: Content-Disposition, and which types a browser may render.

S3 sends no `X-Content-Type-Options`, and its origin is shared by all files of a bucket: a page or
an SVG served inline there is stored cross-site scripting. So only types that no browser runs are
shown inline; all else is downloaded, as bytes of no type (OWASP File Upload Cheat Sheet).
"""

import re
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from app.core.content_types import OCTET_STREAM, essence, types_in
from app.core.contents import PLAIN, is_markup
from app.core.formats import is_textual
from app.core.object_url import UNRESERVED, percent_encode

Disposition = Literal["inline", "attachment"]

# Each by its name, never a whole family: browsers show any type that ends in +xml as a document,
# `video/x+xml` too, and run the scripts in it (WHATWG MIME Sniffing, "XML MIME type").
_INLINE: Final = types_in(
    "text/plain",
    "image/png image/apng image/jpeg image/jpg image/pjpeg image/gif image/webp image/avif",
    "image/bmp image/x-ms-bmp image/x-icon image/vnd.microsoft.icon image/heic image/heif",
    "image/jxl",
    "audio/mpeg audio/mp3 audio/mp4 audio/m4a audio/x-m4a audio/aac audio/ogg audio/opus",
    "audio/webm audio/matroska audio/x-matroska audio/wav audio/x-wav audio/wave",
    "audio/vnd.wave audio/flac audio/x-flac audio/aiff audio/x-aiff audio/midi audio/x-midi",
    "audio/3gpp audio/3gpp2 audio/amr",
    "video/mp4 video/webm video/ogg video/quicktime video/x-m4v video/matroska",
    "video/x-matroska video/mpeg video/mp2t video/3gpp video/3gpp2 video/x-msvideo",
    "video/x-ms-wmv video/x-flv",
)

# RFC 8187 attr-char, what may stand unescaped in filename*.
_ATTR_CHARS: Final = UNRESERVED + b"!#$&+^`|"
_SPACES: Final = re.compile(r"[\t\r\n]+")
# ASCII that can be trusted within quotation marks.
_PLAIN: Final = bytes(set(range(0x20, 0x7F)) - set(b'"%\\'))
# All else, where "?" stands for what is not ASCII.
_FALLBACK: Final = bytes.maketrans(b'"\\%?', b"____")


def shown_inline(content_type: str, detected: str | None = None) -> bool:
    """Whether a browser can show this type without running anything in it.

    `detected` is the type found in the contents, None where they were not examined.
    """
    kind = essence(content_type)
    if kind not in _INLINE:
        return False
    if detected is None:
        return True
    if is_markup(detected) or detected.endswith("xml") or detected == "application/pdf":
        return False
    # TypeScript under the name of a film: text has no use there.
    return kind == "text/plain" or not is_textual(detected)


def content_disposition(disposition: Disposition, filename: str) -> str:
    """The header value of RFC 6266, with an ASCII fallback and RFC 8187's `filename*`.

    `filename` is one that `clean_filename` has made. Its tabs and newlines become spaces, as in
    browsers.
    """
    return before_name(disposition) + from_name_on(filename)


def before_name(disposition: Disposition) -> str:
    """As all values of `content_disposition` begin that have this disposition."""
    return f'{disposition}; filename="'


def from_name_on(filename: str) -> str:
    """The rest of them: the name, and all that follows."""
    if not filename.isprintable():
        filename = _SPACES.sub(" ", filename)
    if filename.isascii() and not filename.encode().translate(None, _PLAIN):
        return f'{filename}"'
    fallback = filename.encode("ascii", "replace").translate(_FALLBACK).decode()
    extended = percent_encode(filename, _ATTR_CHARS)
    return f"{fallback}\"; filename*=UTF-8''{extended}"


def served_type(content_type: str, charset: str | None) -> str:
    """The type that links say, with the charset that `contents.charset_to_say` has found."""
    if charset is None:
        return content_type
    return f"{PLAIN}; charset={charset}" if charset else PLAIN


class Presentation(NamedTuple):
    """How a link has a file presented: the type to say, None for the stored one."""

    disposition: Disposition
    content_type: str | None


# Without it a link takes a tenth longer.
@lru_cache(maxsize=256)
def presentation(
    disposition: Disposition, content_type: str, stored_type: str, detected: str | None
) -> Presentation:
    """How to present a file that was asked for with this disposition.

    What a browser might run is downloaded whatever `disposition` says. `stored_type` is the type
    that the object is stored with, `detected` as in `shown_inline`.
    """
    if not shown_inline(content_type, detected):
        return Presentation("attachment", OCTET_STREAM)
    return Presentation(disposition, None if content_type == stored_type else content_type)
