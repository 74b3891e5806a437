"""Metadata of files, and their paths in folders, as clients give them. Pure."""

import json
import math
import re
from collections.abc import Mapping
from typing import Final

from app.core.key_normalizer import MAX_GIVEN_NAME, InvalidName, clean_filename

Value = str | bool | int | float

MAX_ENTRIES: Final = 20
MAX_KEY: Final = 64
MAX_BYTES: Final = 2048
# Of a path in a folder. Deeper ones are no path of ours.
MAX_PATH: Final = 1024
assert MAX_PATH <= MAX_GIVEN_NAME
# Beyond it no JSON number is sure to arrive as it was meant (RFC 8259 section 6).
_MAX_WHOLE: Final = 2**53
_NAME: Final = re.compile(r"[^=\s](?:[^=]*[^=\s])?")
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def write_metadata(metadata: Mapping[str, Value]) -> str | None:
    """The metadata as an object of JSON, None if there is none.

    Raises ValueError, with a message for people, for more than 20 names or 2 KiB in all, and for
    names and values that cannot be kept.
    """
    if len(metadata) > MAX_ENTRIES:
        raise ValueError(f"there are {len(metadata)} names; give at most {MAX_ENTRIES}")
    for name, value in metadata.items():
        if not 0 < len(name) <= MAX_KEY or not _NAME.fullmatch(name) or not name.isprintable():
            raise ValueError(
                f"each name must have 1 to {MAX_KEY} printable characters, no `=` among them, and "
                "no spaces around it"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name}: give a finite number")
        if isinstance(value, int | float) and abs(value) >= _MAX_WHOLE:
            raise ValueError(
                f"{name}: numbers must lie between -2^53 and 2^53; send others as strings"
            )
    if not metadata:
        return None
    written = json.dumps(dict(metadata), ensure_ascii=False, separators=(",", ":"))
    try:
        size = len(written.encode())
    except UnicodeEncodeError:
        raise ValueError("a name or value is not valid Unicode: it has a lone surrogate") from None
    if size > MAX_BYTES:
        raise ValueError(f"it takes {size:,} bytes as JSON; at most {MAX_BYTES:,} are kept")
    return written


def read_metadata(written: str | None) -> dict[str, Value]:
    """The metadata that `write_metadata` has written."""
    found: dict[str, Value] = {} if written is None else json.loads(written)
    return found


def merge_metadata(written: str | None, changes: Mapping[str, Value | None]) -> str | None:
    """The metadata with these changes, as JSON Merge Patch has it (RFC 7396).

    None takes a name out. Raises ValueError, as `write_metadata` does.
    """
    merged = {**read_metadata(written), **changes}
    return write_metadata({name: value for name, value in merged.items() if value is not None})


def clean_path(path: str) -> str:
    """A file's path in the folder that it was uploaded with, each part cleaned as file names are.

    Relative, with slashes, the file's name at its end. Raises ValueError, with a message for
    people, for paths that could lead out of their folder, and for longer ones than 1,024.
    """
    if len(path) > MAX_PATH:
        raise ValueError(f"give at most {MAX_PATH:,} characters")
    if "\\" in path or path.startswith("/") or _DRIVE.match(path):
        raise ValueError("give a relative path, with `/` between its parts and no `\\`")
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ValueError("its parts must be names: not empty, `.` or `..`")
    try:
        return "/".join(clean_filename(part).display for part in parts)
    except InvalidName as error:
        raise ValueError(f"a part of it cannot be a name. {error}") from None


def as_lines(written: str | None) -> str:
    """The metadata for people to change: `name = value`, each on a line of its own."""
    return "\n".join(f"{name} = {_shown(value)}" for name, value in read_metadata(written).items())


def read_lines(text: str) -> str | None:
    """The metadata that lines of `as_lines` say; empty lines say nothing.

    `3`, `true` and `"3"` are values of JSON, all else is a string as it stands. Raises ValueError,
    with a message for people.
    """
    found: dict[str, Value] = {}
    for line in filter(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"write `name = value` on each line; this one has no `=`: {line[:80]}")
        found[name.strip()] = _said(value.strip())
    return write_metadata(found)


def _shown(value: Value) -> str:
    is_plain = isinstance(value, str) and value.isprintable() and value == value.strip()
    if is_plain and value and _said(str(value)) == value:
        return str(value)
    return json.dumps(value, ensure_ascii=not isinstance(value, str) or not value.isprintable())


def _said(text: str) -> Value:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float) else text
