"""Detects a file's type from its first bytes, and compares it with the announced one. Pure.

Detection uses libmagic's rules (pure-magic-rs, which has them built in); docs/contents.md says how
they were compared. Which names are of one format is in app/core/formats.py. A file is refused only
where it certainly is another thing: what is delivered is safe because of how it is served
(app/core/delivery.py), not because of what is found here.
"""

import codecs
import re
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Final

from app.core.content_types import OCTET_STREAM, charset_of, essence
from app.core.formats import (
    OLE,
    PDF,
    confusable,
    family_of,
    group_of,
    has_signature,
    is_textual,
    may_be,
    office_format,
    usual_names,
)

if TYPE_CHECKING:
    from pure_magic_rs import MagicDb

# Enough for every signature distinguished here, the first entries of an office file included.
HEAD_BYTES: Final = 4096

EMPTY: Final = "application/x-empty"
PLAIN: Final = "text/plain"

# Control characters that no text has (WHATWG MIME Sniffing, "binary data byte").
_BINARY: Final = bytes({*range(0x20)} - {*b"\t\n\x0c\r\x1b"})
# And those that text has all the same: overstriking, the frame of an HL7 message, the end of a
# text of MS-DOS.
_IN_TEXT: Final = b"\x08\x0b\x1a\x1c"
_MARKS: Final = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Readers look for a PDF's beginning in the first KiB (ISO 32000-1, annex H, note 13), on a line of
# its own or behind other bytes. Lines may end in CR alone.
_PDF_START: Final = re.compile(rb"%PDF-[12]\.\d")
_PDF_OBJECT: Final = re.compile(rb"[\r\n][ \t]*\d+[ \t]+\d+[ \t]+obj\b")
_PDF_PROSE: Final = re.compile(rb"%PDF-[\d.]*[ \t]+[A-Za-z]+[ \t]+[A-Za-z]+")
_MPEG_TS: Final = "video/mp2t"
_POSTSCRIPT: Final = "application/postscript"  # text, and data at times
_BACKUP_HEADER: Final = 128
# All that the rules ask of a JPEG is in it.
_SIGNATURE: Final = 16
_JPEG_START: Final = b"\xff\xd8\xff"
# Before the sound of an MP3, which tells what it is.
_TAG: Final = b"ID3"
# With its first chunk, behind which an animated one says so (PNG, third edition, 5.2 and 11.3.6).
_PNG_START: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_SECOND_CHUNK: Final = slice(37, 41)
_OLE_START: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

# What UTF-8 text has not, though it could: NUL, by which UTF-16 is told, and the shifts of
# ISO-2022-JP, which is ASCII otherwise.
_NOT_UTF8: Final = (b"\0", b"\x1b$")
_UTF8: Final = frozenset({"utf-8", "utf8"})
_REFUTED_BY_ASCII: Final = {None, *_UTF8, "utf-16", "utf-16le", "utf-16be"}

_MARKUP: Final = frozenset({"text/html", "application/xhtml+xml", "image/svg+xml"})
_MEDIA: Final = frozenset({"image", "audio", "video", "font"})


class Verdict(StrEnum):
    """How the detected type compares with the announced one."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "unknown"  # neither confirmed nor refuted


def detect(head: bytes) -> str:
    """The type of a file that begins with `head`, as `type/subtype`.

    `text/plain` for text of no known kind, `application/octet-stream` where nothing is known,
    `application/x-empty` for no bytes.
    """
    if not head:
        return EMPTY
    # The rules recognize markup in ASCII-compatible encodings alone.
    head = _recoded(head)
    if head.startswith(_PNG_START):
        # The rules say the same, after as long as a fifth of an announcement.
        return "image/apng" if head[_PNG_SECOND_CHUNK] == b"acTL" else "image/png"
    if head.startswith(_OLE_START):
        return OLE
    if _is_mpeg_ts(head):
        return _MPEG_TS if _is_binary(head) else PLAIN
    kind = _by_rules(head)
    if kind in {PLAIN, OCTET_STREAM, PDF} and not head.startswith(b"%PDF-"):
        # Not a text that speaks of PDF.
        kind = PDF if _has_pdf_within(head) else PLAIN if kind == PDF else kind
    if is_textual(kind) or _is_binary(head) or (family_of(kind) == PDF and not _is_prose(head)):
        return kind
    # Text of no known kind, and text that happens to begin like some format ("GIF89a is ...").
    return PLAIN


def is_slow(head: bytes) -> bool:
    """Whether `detect` may take as long as several announcements: the rules search what they take
    for text, which is whatever has no NUL.
    """
    return b"\0" not in _recoded(head) and bool(head)


def charset_to_say(content_type: str, head: bytes, *, is_whole: bool) -> str | None:
    """The charset to serve plain text with, by its first bytes: `utf-8`; or "" for none, because
    the announced one is wrong; or None where the announced type is to stand as it is.

    Without one browsers take UTF-8 for windows-1252 (WHATWG Encoding, "legacy" default). Text in
    another charset is served with the announced one, or else without: whatever has a byte order
    mark is read by that. `is_whole`: `head` is the whole file, not cut within a character perhaps.
    """
    if essence(content_type) != PLAIN:
        return None
    announced = charset_of(content_type)
    if _is_utf8(head, is_whole=is_whole):
        # ASCII is valid in almost every charset, so it refutes no other announced one.
        stands = announced not in _REFUTED_BY_ASCII and head.isascii()
        return None if stands else "utf-8"
    return "" if announced in _UTF8 else None


def _is_utf8(head: bytes, *, is_whole: bool) -> bool:
    if any(mark in head for mark in _NOT_UTF8):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=is_whole)
    except UnicodeDecodeError:
        return False
    return True


def _recoded(head: bytes) -> bytes:
    """Text in UTF-16 or UTF-32 as UTF-8, also without a mark if it is mostly ASCII."""
    encoding = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    if encoding is None and len(head) >= 8 and b"\0" in head[:2]:
        encoding = "utf-16-be" if head[0] == 0 else "utf-16-le"
        if head[0 if encoding == "utf-16-be" else 1 :: 2].count(0) < len(head) // 4:
            return head
        if _is_binary(head.decode(encoding, "replace").encode("utf-8", "replace")):
            return head
    return head.decode(encoding, "ignore").encode("utf-8", "ignore") if encoding else head


def _is_mpeg_ts(head: bytes) -> bool:
    """Whether packets of 188 bytes begin with their sync byte; on Blu-ray each has a time before
    it (ISO/IEC 13818-1, 2.4.3.2).
    """
    return any(
        len(head) > start + 2 * size and {*head[start::size]} == {0x47}
        for start, size in ((0, 188), (4, 192))
    )


def _has_pdf_within(head: bytes) -> bool:
    """Whether a PDF begins in the first KiB: its version, and on some line after it an object."""
    start = _PDF_START.search(head, 0, 1024)
    return start is not None and _PDF_OBJECT.search(head, start.end()) is not None


def _is_prose(head: bytes) -> bool:
    """Whether a text begins like a PDF, goes on with words, and has no object to its end."""
    is_whole = len(head) < HEAD_BYTES
    return is_whole and bool(_PDF_PROSE.match(head)) and not _PDF_OBJECT.search(head)


def _is_binary(head: bytes) -> bool:
    return len(head.translate(None, _BINARY)) < len(head.translate(None, _IN_TEXT))


@cache
def rules() -> "MagicDb":
    """The rules. Loaded late, by the first confirm, in a thread: they take 12 MiB, and 20 ms."""
    from pure_magic_rs import MagicDb

    loaded = MagicDb()
    # Text has it make ready what it else would with the first one, which takes 5 ms.
    loaded.best_magic_buffer(b"text\n")
    return loaded


def _by_rules(head: bytes) -> str:
    head = _without_chains(head)
    # A rule that recurses too deeply raises ValueError; then the signature alone is enough.
    for part in (head, head[:64]):
        try:
            return rules().best_magic_buffer(part).mime_type.strip().lower()
        except ValueError:
            continue
    return OCTET_STREAM


def _without_chains(head: bytes) -> bytes:
    """The head, without what the rules would follow from one segment, tag or file to the next. Each
    takes them as long as a file does, and a head has room for hundreds: they would stop the event
    loop for as long as fifty announcements.
    """
    if head.startswith(_JPEG_START):
        return head[:_SIGNATURE]
    if _is_backup(head):
        return head[:_BACKUP_HEADER]
    if head.find(_TAG, 1) > 0:
        return head[:1] + head[1:].replace(_TAG, _TAG.lower())
    return head


def _is_backup(head: bytes) -> bool:
    """Whether the rules may take it for a file of the BACKUP of MS-DOS 2.0 to 3.2: a header with a
    path, its length, and any other file behind it.
    """
    return (
        len(head) > _BACKUP_HEADER
        and head[0] in {0, 0xFF}
        and head[5] & 0x0C == 0x0C
        and head[82] == 0
        and head[83] != 0
    )


def compare(announced: str, detected: str) -> Verdict:
    """Whether contents of the type that `detect` returned may be of the announced type."""
    kind = essence(announced)
    if kind in {detected, OCTET_STREAM} or may_be(kind, detected):
        return Verdict.AGREES
    text_found = is_textual(detected)
    if is_textual(kind):
        if text_found or detected in {EMPTY, _POSTSCRIPT}:
            return Verdict.AGREES
        return Verdict.DIFFERS if family_of(detected) else Verdict.UNKNOWN
    if detected == EMPTY and group_of(kind) == "office":
        return Verdict.UNKNOWN  # as Windows makes a new document of Word or PowerPoint
    # Rules for rare formats check a byte or two, and match other contents by chance.
    certain = text_found or detected == EMPTY or family_of(detected) is not None
    if certain and has_signature(kind) and not confusable(kind, detected):
        return Verdict.DIFFERS
    return Verdict.UNKNOWN


def correction(announced: str, detected: str) -> tuple[str, ...]:
    """Names of the type that a file truly is, where its announced one is harmlessly mistaken.

    Harmlessly: a picture for a picture, a sound or a film for either, an office file for an office
    file, an archive for an archive. Nothing where the announced type may be right, nor across
    these.
    """
    kind = essence(announced)
    group = group_of(kind)
    if group is None or group != group_of(detected):
        return ()
    if group == "office":
        mistaken = office_format(kind) != office_format(detected)
    else:
        mistaken = compare(kind, detected) is Verdict.DIFFERS
    return usual_names(detected) if mistaken else ()


def is_markup(kind: str) -> bool:
    """Whether browsers render the type as a document, and so run the scripts in it."""
    return kind in _MARKUP


def is_media(kind: str) -> bool:
    """Whether the type is a picture's, a sound's, a film's or a font's, known or not."""
    return essence(kind).partition("/")[0] in _MEDIA
