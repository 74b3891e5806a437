"""Sizes and content types as text for people; `clients/js/src/words.js` writes them alike. Pure."""

import re
from collections.abc import Sequence
from typing import Final

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
# `image/svg+xml` is SVG, `application/x-tar` TAR. Longer names are no abbreviations, nor is PLAIN.
_AFFIXES: Final = re.compile(r"^x-|\+.*$")
_SHORT: Final = re.compile(r"[a-z0-9-]{1,8}")


def in_bytes(count: int) -> str:
    """A size in powers of 1024, with three digits."""
    value, power = float(count), 0
    while value >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1024, power + 1
    return f"{value:.3g} {_UNITS[power]}" if power else exact_bytes(count)


def exact_bytes(count: int) -> str:
    """A size to the byte."""
    return f"{count:,} byte{'' if count == 1 else 's'}"


def two_sizes(one: int, other: int) -> tuple[str, str]:
    """Two sizes that differ, in texts that differ too: to the byte where rounded ones would not."""
    rounded = in_bytes(one), in_bytes(other)
    return rounded if rounded[0] != rounded[1] else (exact_bytes(one), exact_bytes(other))


def in_time(seconds: int) -> str:
    """A duration in the largest unit that says it exactly."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            return f"{seconds // size:,} {unit}{'' if seconds == size else 's'}"
    return f"{seconds:,} second{'' if seconds == 1 else 's'}"


def in_kinds(content_types: Sequence[str], conjunction: str = "or") -> str:
    """Content types, `image/*` among them, as a list: "any image, PDF or text/csv"."""
    return in_list([_kind(one) for one in content_types], conjunction)


def in_list(words: Sequence[str], conjunction: str = "or") -> str:
    """Words as a list: "a, b or c"."""
    *others, last = words
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def _kind(content_type: str) -> str:
    family, _, name = content_type.partition("/")
    if name == "*":
        return "any type" if family == "*" else f"any {family}"
    short = _AFFIXES.sub("", name)
    known = family != "text" and _SHORT.fullmatch(short)
    return short.upper() if known else content_type
