"""Detects a file's type from its first bytes, and compares it with the announced one. Pure.

Detection uses libmagic's rules (pure-magic-rs, which has them built in); docs/contents.md says how
they were compared. The rest is decided here: text has no signature, one container has many names,
and a file without the signature that its format always has is not of that format.
"""

from enum import StrEnum
from typing import Final

from pure_magic_rs import MagicDb

from app.core.content_types import OCTET_STREAM, essence, types_in

# Enough for every signature distinguished here, the first entries of an office file included.
HEAD_BYTES: Final = 4096

EMPTY: Final = "application/x-empty"
PLAIN: Final = "text/plain"

_RULES: Final = MagicDb()

# Control characters that no text has (WHATWG MIME Sniffing, "binary data byte").
_BINARY: Final = bytes({*range(0x20)} - {*b"\t\n\x0c\r\x1b"})
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class Verdict(StrEnum):
    """How the detected type compares with the announced one."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "unknown"  # neither confirmed nor refuted


def _families(*lines: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in lines)


# Each line has the names of one format, or of formats in one container that only a player can
# distinguish; the first stands for all. Files of these always begin with their signature:
_WITH_SIGNATURE: Final = _families(
    "image/png image/apng image/x-png image/vnd.mozilla.apng",
    "image/jpeg image/jpg image/pjpeg",
    "image/gif",
    "image/webp",
    "image/bmp image/x-ms-bmp image/x-bmp image/x-windows-bmp",
    "image/x-icon image/vnd.microsoft.icon image/ico",
    "image/tiff image/tif image/x-tiff",
    "image/jxl",
    "application/gzip application/x-gzip application/x-tgz application/tar+gzip",
    "application/x-7z-compressed",
    "application/vnd.rar application/x-rar application/x-rar-compressed",
    "application/x-bzip2 application/bzip2 application/x-bzip",
    "application/x-xz",
    "application/zstd",
    "font/woff application/font-woff",
    "font/woff2",
)
# Files of these usually do: media files may have other bytes in front, or an unlisted brand.
_USUALLY_WITH_SIGNATURE: Final = _families(
    "image/heif image/heic image/avif image/heif-sequence image/heic-sequence image/avif-sequence",
    "video/mp4 video/quicktime video/x-m4v video/3gpp video/3gpp2 video/mpeg4 application/mp4"
    " audio/mp4 audio/x-m4a audio/m4a audio/x-m4b audio/3gpp audio/3gpp2",
    "video/webm audio/webm video/matroska video/x-matroska audio/matroska audio/x-matroska",
    "audio/ogg video/ogg application/ogg audio/opus audio/vorbis",
    "audio/mpeg audio/mp3 audio/x-mp3 audio/x-mpeg audio/mpeg3",
    "audio/aac audio/x-aac audio/aacp audio/x-hx-aac-adts audio/x-hx-aac-adif audio/vnd.dlna.adts",
    "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav",
    "audio/flac audio/x-flac",
    "audio/aiff audio/x-aiff",
    "audio/midi audio/x-midi audio/mid",
    "audio/amr audio/x-amr",
    "video/x-msvideo video/avi video/msvideo",
    "video/mpeg video/x-mpeg video/mp2p",
    "video/mp2t video/x-mpegts",
    "video/x-flv video/flv",
    "video/x-ms-asf video/x-ms-wmv audio/x-ms-wma application/vnd.ms-asf",
    # Illustrator's files are PDF, under whichever name.
    "application/pdf application/x-pdf application/illustrator"
    " application/postscript application/eps application/x-eps image/x-eps",
    "application/x-tar application/tar",
    "application/vnd.microsoft.portable-executable application/x-msdownload application/x-dosexec",
    "application/x-executable application/x-pie-executable application/x-sharedlib"
    " application/x-mach-binary",
)
_ZIP: Final = "application/zip"
_ZIPPED: Final = types_in(
    "application/zip application/x-zip application/x-zip-compressed",
    "application/java-archive application/vnd.android.package-archive",
    "application/vnd.apple.pages application/vnd.apple.numbers application/vnd.apple.keynote",
    "application/vnd.google-earth.kmz application/x-xpinstall model/3mf",
    "application/vnd.ms-word.document.macroenabled.12",
    "application/vnd.ms-excel.sheet.macroenabled.12",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12",
)
_ZIPPED_STARTS: Final = (
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/x-iwork-",
)
_FAMILY_OF: Final = {
    kind: family[0] for family in _WITH_SIGNATURE + _USUALLY_WITH_SIGNATURE for kind in family
}
_FAMILIES_WITH_SIGNATURE: Final = frozenset({_ZIP, *(family[0] for family in _WITH_SIGNATURE)})

_TEXTUAL: Final = frozenset(
    f"application/{name}"
    for name in types_in(
        "json x-json jsonl ndjson x-ndjson xml xml-dtd javascript x-javascript ecmascript",
        "typescript yaml x-yaml toml x-toml csv sql x-sql graphql rtf x-subrip x-tex x-latex",
        "x-sh x-shellscript x-csh x-perl x-python x-ruby x-php x-httpd-php x-pem-file",
        "pgp-keys pgp-signature vnd.apple.mpegurl x-mpegurl mbox",
    )
)
# Types under which text is announced too: TypeScript (.ts), playlists, drawings and bitmaps.
_ALSO_TEXT: Final = types_in(
    "video/mp2t audio/x-mpegurl audio/mpegurl audio/x-scpls image/vnd.dxf",
    "application/postscript application/eps application/x-eps image/x-eps",
    "image/x-xbitmap image/x-xpixmap",
    "image/x-portable-bitmap image/x-portable-graymap image/x-portable-pixmap",
)
_MARKUP: Final = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml"})
# An unlisted type of these cannot be another known format; an unlisted application/... can, since
# it may be in any container.
_DISTINCT_TYPES: Final = frozenset({"image", "audio", "video", "font"})


def detect(head: bytes) -> str:
    """The type of a file that begins with `head`, as `type/subtype`.

    `text/plain` for text of no known kind, `application/octet-stream` where nothing is known,
    `application/x-empty` for no bytes.
    """
    if not head:
        return EMPTY
    if head.startswith(_UTF_16):
        # The rules recognize markup in ASCII-compatible encodings alone.
        head = head.decode("utf-16", "ignore").encode("utf-8", "ignore")
    kind = _by_rules(head)
    if is_textual(kind) or _family_of(kind) is not None or _is_binary(head):
        return kind
    # Text of no known kind, and text that happens to begin like some rare format.
    return PLAIN


def _is_binary(head: bytes) -> bool:
    return len(head.translate(None, _BINARY)) < len(head)


def _by_rules(head: bytes) -> str:
    # A rule that recurses too deeply (a JPEG of 200 comments) raises ValueError; then the signature
    # alone is enough.
    for part in (head, head[:64]):
        try:
            return _RULES.best_magic_buffer(part).mime_type.strip().lower()
        except ValueError:
            continue
    return OCTET_STREAM


def compare(announced: str, detected: str) -> Verdict:
    """Whether contents of the type that `detect` returned may be of the announced type."""
    kind = essence(announced)
    family = _family_of(kind)
    if kind in {detected, OCTET_STREAM} or (family is not None and family == _family_of(detected)):
        return Verdict.AGREES
    if is_textual(detected) and (is_textual(kind) or kind in _ALSO_TEXT):
        return Verdict.AGREES
    if is_textual(kind):
        return Verdict.AGREES if detected == EMPTY else Verdict.DIFFERS
    if family in _FAMILIES_WITH_SIGNATURE:
        return Verdict.DIFFERS
    # Rules for rare formats check a byte or two, and match other contents by chance.
    certain = is_textual(detected) or _family_of(detected) is not None
    distinct = family is not None or kind.partition("/")[0] in _DISTINCT_TYPES
    return Verdict.DIFFERS if certain and distinct else Verdict.UNKNOWN


def is_textual(kind: str) -> bool:
    """Whether files of this type are text."""
    return (
        kind.startswith(("text/", "message/"))
        or kind.endswith(("+xml", "+json", "+yaml"))
        or kind in _TEXTUAL
    )


def is_markup(kind: str) -> bool:
    """Whether browsers render the type as a document, and so run the scripts in it."""
    return kind in _MARKUP


def _family_of(kind: str) -> str | None:
    if kind in _ZIPPED or kind.startswith(_ZIPPED_STARTS) or kind.endswith("+zip"):
        return _ZIP
    return _FAMILY_OF.get(kind)
