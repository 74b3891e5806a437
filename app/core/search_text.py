"""Texts and terms that files are found by: parts of the name, and exact metadata. Pure.

A text has a line for the name and one for each exact property. Whether a file has what is looked
for is asked of its text; its terms, hashes of three letters of the name and of whole lines, say
only where it is worth asking.
"""

import json
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

_LINE: Final = "\x1f"
_FILE: Final = "\x1e"
# Hexadecimal digits of an id.
_ID: Final = 32
_GRAM: Final = 3
# Terms that one search asks the index for; the text is asked for everything.
_MAX_TERMS: Final = 16


def fold(text: str) -> str:
    """The text as names are compared: without case, and without what only looks different."""
    return unicodedata.normalize("NFKC", text).casefold().replace(_LINE, "").replace(_FILE, "")


def as_text(value: str | float | bool) -> str:
    """A value of metadata as an address writes it: numbers and booleans as in JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def property_line(kind: str, value: str) -> str:
    """The line of an exact property. JSON has none of the separators in it."""
    return f"{kind}={json.dumps(value)}"


def metadata_line(name: str, value: str) -> str:
    return property_line(f"metadata.{json.dumps(name)}", value)


def text_of(name: str, properties: Mapping[str, str], metadata: str | None) -> str:
    """The text of a file with this name, these properties and this metadata, an object of JSON."""
    lines = [fold(name), *(property_line(kind, value) for kind, value in properties.items())]
    if metadata is not None:
        found: dict[str, Any] = json.loads(metadata)
        lines += (metadata_line(key, as_text(value)) for key, value in found.items())
    return _LINE.join([*lines, ""])


@dataclass(frozen=True, slots=True)
class Wanted:
    """`words`, folded, which a name must have all of somewhere; `lines`, of which it needs all."""

    words: tuple[str, ...]
    lines: tuple[str, ...]

    def is_in(self, text: str) -> bool:
        """Whether the file with this text is one."""
        if any(f"{_LINE}{line}{_LINE}" not in text for line in self.lines):
            return False
        if not self.words:
            return True
        name = text[: text.index(_LINE)]
        return all(word in name for word in self.words)

    def terms(self, tenant: str) -> list[int]:
        """Terms that a block has which has such a file, 16 at most."""
        chosen = list(self.lines)
        for word in self.words:
            chosen += _covering(word)
        return sorted(_hashes(tenant, chosen[:_MAX_TERMS]))


def join(files: Mapping[UUID, str]) -> str:
    """The texts of files as one, in the order of their ids, each with the file's id behind it."""
    return _FILE.join(text + file_id.hex for file_id, text in sorted(files.items()))


def split(joined: str) -> Iterator[tuple[UUID, str]]:
    """The ids and texts that `join` made one of."""
    for one in _each(joined):
        yield UUID(one[-_ID:]), one[:-_ID]


def matches(joined: str, wanted: Wanted) -> list[UUID]:
    """The ids of those that are wanted."""
    return [UUID(one[-_ID:]) for one in _each(joined) if wanted.is_in(one)]


def _each(joined: str) -> list[str]:
    return joined.split(_FILE) if joined else []


def terms_of(tenant: str, texts: Iterable[str]) -> list[int]:
    """The terms of all these texts, each once."""
    terms: set[str] = set()
    for text in texts:
        name, *lines = text.split(_LINE)[:-1]
        terms.update(lines)
        terms.update(_grams(name))
    return sorted(_hashes(tenant, terms))


def wanted(q: str, lines: Sequence[str]) -> Wanted:
    """Files whose names have each of the words of `q` in them, and whose texts all the lines."""
    return Wanted(tuple(dict.fromkeys(fold(q).split())), tuple(lines))


def _grams(name: str) -> Iterable[str]:
    yield from (name[at : at + _GRAM] for at in range(len(name) - _GRAM + 1))
    # Words of two letters are usual where letters are many.
    if not name.isascii():
        yield from (a + b for a, b in pairwise(name) if not (a.isascii() and b.isascii()))


def _covering(word: str) -> list[str]:
    """As few grams as have every letter of the word; none where it is too short for any."""
    last = len(word) - _GRAM
    if last < 0:
        return [word] if len(word) == _GRAM - 1 and not word.isascii() else []
    return [word[at : at + _GRAM] for at in {*range(0, last, _GRAM), last}]


def _hashes(tenant: str, terms: Iterable[str]) -> set[int]:
    """32 bits with a sign, as PostgreSQL has integers. Two terms may have one hash."""
    seed = zlib.crc32(tenant.encode() + b"\0")
    return {zlib.crc32(term.encode("utf-8", "replace"), seed) - 2**31 for term in terms}
