"""Texts and terms that files are found by: parts of the name, and exact metadata. Pure.

A text has a line for the name and one for each exact property. Whether a file has what is looked
for is asked of its text; its terms, hashes of three letters of the name or of the owner and of
whole lines, say only where it is worth asking.
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
_OWNER: Final = "owner="
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
    """`words`, folded, which a name must have all of somewhere, or with `owners` the owner; and
    `lines`, of which it needs all.
    """

    words: tuple[str, ...]
    lines: tuple[str, ...]
    owners: bool = False

    def is_in(self, text: str) -> bool:
        """Whether the file with this text is one."""
        if any(f"{_LINE}{line}{_LINE}" not in text for line in self.lines):
            return False
        if not self.words:
            return True
        name = text[: text.index(_LINE)]
        if all(word in name for word in self.words):
            return True
        if not self.owners:
            return False
        owner = _owner_of(text.split(_LINE)[1:])
        return all(word in owner for word in self.words)

    def terms(self, tenant: str) -> list[list[int]]:
        """Terms of which a block that has such a file has those of one list, 16 at most in each."""
        grams = [gram for word in self.words for gram in _covering(word)]
        choices = [grams, _of_owner(grams)] if self.words and self.owners else [grams]
        return [sorted(_hashes(tenant, [*self.lines, *choice][:_MAX_TERMS])) for choice in choices]


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
        terms.update(_of_owner(_grams(_owner_of(lines))))
    return sorted(_hashes(tenant, terms))


def words_of(q: str) -> tuple[str, ...]:
    """The words of what is looked for, folded, each once."""
    return tuple(dict.fromkeys(fold(q).split()))


def wanted(q: str, lines: Sequence[str], *, owners: bool = False) -> Wanted:
    """Files whose names have each of the words of `q` in them, and whose texts all the lines.

    `owners`: also those whose owners have each of the words.
    """
    return Wanted(words_of(q), tuple(lines), owners)


def _owner_of(lines: Sequence[str]) -> str:
    """The owner that one of the lines names, folded; empty where none does."""
    for line in lines:
        if line.startswith(_OWNER):
            return fold(json.loads(line.removeprefix(_OWNER)))
    return ""


def _of_owner(grams: Iterable[str]) -> list[str]:
    """The grams as those of an owner, which no search of names is led to."""
    return [f"{_OWNER}{gram}" for gram in grams]


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
