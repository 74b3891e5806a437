"""File name + moment -> timestamped, slugified object key. Pure: no clock, no randomness.

The name that people see keeps its script, its spaces and its capitals; the key keeps none of them,
so that it survives every URL, shell, log and S3 dialect unescaped (S3 userguide, "Naming Amazon S3
objects": safe characters, at most 1,024 bytes of UTF-8).
"""

import hashlib
import re
import string
import unicodedata
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from slugify import slugify

from app.core.object_url import MAX_KEY_BYTES

MAX_NAME_UNITS: Final = 255
# Stores that keep objects as files (MinIO, rclone) have at most 255 bytes between slashes, and Ceph
# RGW cannot join parts under a key of 1,000 bytes. This leaves room for a UUID and an extension.
_MAX_SLUG: Final = 200
# Of a name with the path before it, as it is announced.
MAX_GIVEN_NAME: Final = 4096
# Of its last part, in code points: decomposed, and with invisible characters. What
# normalizes Unicode takes time that grows with the square of a run of marks.
_MAX_LAST: Final = 4 * MAX_NAME_UNITS
DEFAULT_TEMPLATE: Final = "{timestamp}--{slug}{extension}"
PLACEHOLDERS: Final = frozenset({"timestamp", "date", "uuid", "owner", "slug", "extension"})

# These make a key unique: a template must have one of them, or each retry after a collision would
# collide again.
UNIQUE_PLACEHOLDERS: Final = frozenset({"timestamp", "uuid"})

# Stands for the slug until its room is known; no template has this character.
_GAP: Final = "\0"
# ZWNJ and ZWJ.
_JOINERS: Final = frozenset("\u200c\u200d")
# What they may follow: letters and marks of scripts without Latin's neighbours, Han, kana and
# Hangul; the selector and the skin tones of emoji.
_JOINS: Final = re.compile(
    "[\u0590-\u10ff\u1200-\u1cff\ua800-\uabff\ufb1d-\ufdff\ufe0f\ufe70-\ufefc"
    "\U00010800-\U00011fff\U0001e800-\U0001eeff\U0001f3fb-\U0001f3ff]"
)
_TAGS: Final = frozenset(map(chr, range(0xE0020, 0xE0080)))
# Format characters that are seen: Arabic, Syriac and Kaithi signs (Unicode Standard, 9.2).
_SIGNS: Final = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
# All but the dots and spaces at the end. Greedy, so that it takes linear time.
_VISIBLE_END = re.compile(r".*[^\s.]", re.DOTALL)
# The longest value of each placeholder but the extension; of the slug the shortest, as it is cut.
_LONGEST: Final = {
    "timestamp": "x" * 26,
    "date": "x" * 10,
    "uuid": "x" * 36,
    "owner": "x" * 16,
    "slug": "file",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_TOO_LONG: Final = (
    f"The file name is longer than {MAX_NAME_UNITS} characters of UTF-16, the most that Windows "
    "and macOS allow."
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_SEPARATOR = re.compile(r"[/\\]")
_WORD = re.compile(r"[a-z0-9]+")
_EXTENSION = re.compile(r"[A-Za-z0-9]{1,16}")
_KEY_SEGMENT = re.compile(r"[a-z0-9_-][a-z0-9._-]*")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*(?:[A-Za-z0-9_][A-Za-z0-9._-]*)?")


class InvalidName(ValueError):
    """The file name or key cannot be used; the message says why, for people."""


class Filename(NamedTuple):
    """A cleaned name: `display` (NFC, last path part), `stem` and `extension` ("png", or "")."""

    display: str
    stem: str
    extension: str


def clean_filename(name: str) -> Filename:
    """The name to store and to show, split where its extension begins.

    Takes what browsers and scripts send: paths (the last part counts), decomposed Unicode, tabs
    and newlines, which file systems allow, and invisible characters (removed, unless the script
    needs them). Raises InvalidName for other control characters, lone surrogates, names that are
    empty or only dots, and names of more than 255 UTF-16 units, the most that Windows and macOS
    have.
    """
    # Most names are printable ASCII, and need no normalization.
    is_plain = name.isascii() and name.isprintable()
    if not is_plain:
        _refuse_unreadable(name)
    # Before it is normalized, which makes no separator, and undoes none.
    display = _stripped(_SEPARATOR.split(name)[-1])
    if len(display) > _MAX_LAST:
        raise InvalidName(_TOO_LONG)
    if not is_plain:
        display = _stripped(_visible(display))
    # A character takes one or two units.
    if 2 * len(display) > MAX_NAME_UNITS < len(display.encode("utf-16-le")) // 2:
        raise InvalidName(_TOO_LONG)
    stem, dot, extension = display.rpartition(".")
    # A leading dot starts a hidden file's name (.htaccess), not an extension.
    if dot and stem.strip(".") and _EXTENSION.fullmatch(extension):
        return Filename(display, stem, extension.lower())
    return Filename(display, display, "")


def _stripped(name: str) -> str:
    """The name without spaces around it and dots at its end. Raises InvalidName if none is left."""
    kept = _VISIBLE_END.match(name.lstrip())
    if kept is None:
        raise InvalidName("The file name is empty, or has nothing but dots and spaces in it.")
    return kept[0]


def _refuse_unreadable(name: str) -> None:
    """Raises InvalidName for control characters, but not for tabs and newlines, and for lone
    surrogates.
    """
    if _CONTROLS.search(name):
        raise InvalidName("The file name has a control character in it.")
    if _SURROGATES.search(name):
        raise InvalidName("The file name is not valid Unicode: it has a lone surrogate in it.")


def _visible(name: str) -> str:
    """The name in NFC, without characters that only deceive."""
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", name):
        category = unicodedata.category(character)
        # Cf: bidirectional marks, zero-width characters. Zl, Zp: line and paragraph separators.
        if category not in {"Cf", "Zl", "Zp"} or _belongs(character, kept):
            kept.append(character)
    # A joiner at the end joins nothing.
    while kept and kept[-1] in _JOINERS:
        kept.pop()
    return unicodedata.normalize("NFC", "".join(kept))


def _belongs(character: str, before: list[str]) -> bool:
    """Whether a format character (Cf) is part of how the script is written.

    Joiners are after letters of scripts that join, marks and emoji (Unicode Standard, 23.2); tags
    make flags of regions (UTS #51, 1.4.6); signs of number and end are seen. Not after Latin,
    Greek or Cyrillic, where joiners make two names look like one.
    """
    if character in _SIGNS:
        return True
    if not before:
        return False
    if character in _JOINERS:
        return bool(_JOINS.fullmatch(before[-1])) or unicodedata.category(before[-1]) == "So"
    if character == "\u180e":  # separates Mongolian vowels
        return "\u1820" <= before[-1] <= "\u18aa"
    return character in _TAGS and (before[-1] == "\U0001f3f4" or before[-1] in _TAGS)


def check_template(template: str) -> str:
    """Return the template. Raises ValueError with a message that says what is wrong with it."""
    try:
        fields = [field for field in string.Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"key_template {template!r} is malformed: {error}") from None
    names = {name or "" for _, name, _, _ in fields}
    unknown = sorted(names - PLACEHOLDERS)
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
        raise ValueError(f"key_template has unknown placeholder {{{unknown[0]}}}; known: {known}")
    if any(spec or conversion for _, _, spec, conversion in fields):
        raise ValueError(f"key_template {template!r}: placeholders take no format, write {{slug}}")
    if not UNIQUE_PLACEHOLDERS & names:
        raise ValueError("key_template needs {timestamp} or {uuid}, or two files would collide")
    for extension in ("", f".{'x' * 16}"):
        key = template.format(**_LONGEST, extension=extension)
        if not _PREFIX.fullmatch(key) or key.endswith("/") or len(key) > MAX_KEY_BYTES // 2:
            raise ValueError(
                f"key_template {template!r} makes unusable keys: around its placeholders use "
                "letters, digits, '.', '_', '-' and '/'; no part between slashes may be empty or "
                "start with a dot, with or without an extension; at most 512 characters filled in"
            )
    return template


def check_prefix(prefix: str) -> str:
    """Return the prefix. Raises ValueError unless it is segments of ASCII letters, digits, `.`, `_`
    and `-`.
    """
    if not _PREFIX.fullmatch(prefix) or len(prefix) > MAX_KEY_BYTES // 2:
        raise ValueError(
            f"{prefix!r} is not usable in a key: use letters, digits, '.', '_', '-' and single "
            "slashes, with no slash or dot in front, at most 512 characters"
        )
    return prefix


def normalize_key(
    filename: Filename,
    *,
    now: datetime,
    unique: UUID,
    owner: str,
    prefix: str = "",
    template: str = DEFAULT_TEMPLATE,
) -> str:
    """The object key for a cleaned file name: ASCII, at most 1,024 bytes.

    `now` is an aware datetime in UTC, `unique` fills `{uuid}`; `{owner}` is 16 hexadecimal digits
    of the owner's SHA-256, never the owner's text. The slug is cut at a word boundary to at most
    200 bytes, and fewer where the key would be too long.
    """
    parts = {"extension": f".{filename.extension}" if filename.extension else "", "slug": _GAP}
    if "{timestamp}" in template:
        parts["timestamp"] = _timestamp(now)
    if "{date}" in template:
        parts["date"] = now.date().isoformat()
    if "{uuid}" in template:
        parts["uuid"] = str(unique)
    if "{owner}" in template:
        parts["owner"] = hashlib.sha256(owner.encode()).hexdigest()[:16]
    rest = template.format_map(parts)
    gaps = rest.count(_GAP)
    room = MAX_KEY_BYTES - len(prefix) - len(rest) + gaps
    return prefix + rest.replace(_GAP, _slug(filename.stem, min(_MAX_SLUG, room // max(1, gaps))))


def _timestamp(now: datetime) -> str:
    """The moment as strftime writes `%m-%d-%Y_%H-%M-%S-%f`, in a tenth of its time."""
    return f"{_second((now - _EPOCH) // _SECOND)}-{now.microsecond:06d}"


# Files of one batch have it in common.
@lru_cache(maxsize=16)
def _second(second: int) -> str:
    return (_EPOCH + second * _SECOND).strftime("%m-%d-%Y_%H-%M-%S")


def check_client_key(key: str, prefixes: Collection[str]) -> None:
    """Raises InvalidName unless a key that a client chose can be used.

    The key must begin with one of the prefixes, and continue as `normalize_key` writes keys:
    lower-case ASCII segments, no `$`, no `.` or `..` segment.
    """
    prefix = next((p for p in prefixes if key.startswith(p)), None)
    if prefix is None:
        raise InvalidName("The key lies in no destination's prefix.")
    if len(key.encode(errors="replace")) > MAX_KEY_BYTES:
        raise InvalidName(f"The key is longer than {MAX_KEY_BYTES} bytes.")
    segments = key.removeprefix(prefix).split("/")
    if not all(_KEY_SEGMENT.fullmatch(s) and ".." not in s and s[-1] != "." for s in segments):
        raise InvalidName(
            "After its prefix a key may have lower-case letters, digits, '-', '_', single dots "
            "and single slashes in it."
        )


def suggest_key(key: str, prefix: str) -> str | None:
    """A key similar to a refused one that `check_client_key` accepts, or None."""
    try:
        name = clean_filename(key.removeprefix(prefix))
    except InvalidName:
        return None
    extension = f".{name.extension}" if name.extension else ""
    return prefix + _slug(name.stem, _MAX_SLUG) + extension


def _slug(stem: str, room: int) -> str:
    if stem.isascii() and "," not in stem:  # which slugify drops between digits
        slug = "-".join(_WORD.findall(stem.lower()))
        if len(slug) < room:
            return slug or "file"
    # HTML entities are left alone: "&#36;" in a file name is six characters, not a dollar sign.
    slug = slugify(
        stem,
        entities=False,
        decimal=False,
        hexadecimal=False,
        max_length=room,
        word_boundary=True,
        save_order=True,
        # Named, because looking for another installed one takes longer than the whole key.
        backend="text-unidecode",
    )
    return slug or "file"


@cache
def load_tables() -> None:
    """Load the tables of other scripts, which takes 5 ms, and 4 MiB. Else the first name that is
    not ASCII does.
    """
    _slug("é", 10)
