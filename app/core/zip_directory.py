"""Judges a zip by its directory, before anything is unpacked. Pure.

The end record comes last in the file and says where the directory is; a program may stand in front
of all, and a comment of up to 65,535 bytes after it (APPNOTE.TXT 6.3.10, sections 4.3 to 4.5).
What the directory says may be a lie: whoever unpacks has to count for themselves. Where two readers
could find two directories, nothing is judged.
"""

import re
import stat
from struct import Struct
from typing import Final, NamedTuple

from pydantic_core import to_json

from app.core.ranges import MALFORMED, Reading

_END: Final = Struct("<4s4H2LH")
_LOCATOR: Final = Struct("<4sLQL")
_END64: Final = Struct("<4sQ2H2L4Q")
_ENTRY: Final = Struct("<4s6H3L5H2L")
_EXTRA: Final = Struct("<HH")
_LONG: Final = Struct("<Q")
_END_MARK, _LOCATOR_MARK, _END64_MARK = b"PK\5\6", b"PK\6\7", b"PK\6\6"
_ENTRY_MARK: Final = b"PK\1\2"
# So much is read of the end: all records with the longest comment, and a small directory.
TAIL: Final = _END.size + 65_535 + _LOCATOR.size + _END64.size
# Of the directory: in one read, and in all.
READ: Final = 1024**2
MOST: Final = 8 * READ
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
# Extra fields: of zip64, and Info-ZIP's name in UTF-8, which counts before the other.
_ZIP64, _UNICODE_NAME = 0x0001, 0x7075
_ENCRYPTED: Final = 0x0001
# Out of the folder: up, from the root, or of a drive of Windows, whose separators are others.
_LEAVES: Final = re.compile(rb"[/\\]|[A-Za-z]:|(?:.*[/\\])?\.\.(?:[/\\]|$)", re.DOTALL)


class Archive(NamedTuple):
    """A directory's sum. Where it was not read, `judged` is False and all but `entries` say
    nothing; None: not even the end record makes sense. `unpacked` is in bytes.
    """

    judged: bool = False
    entries: int | None = None
    unpacked: int = 0
    encrypted: bool = False
    symlinks: bool = False
    leaves: bool = False  # a path leads out of the folder it is unpacked into

    def as_json(self) -> str:
        """As a file's JSON shows it."""
        known = (self.unpacked, self.encrypted, self.symlinks) if self.judged else (None,) * 3
        names = ("judged", "entries", "unpacked_size", "encrypted", "symlinks")
        return to_json(dict(zip(names, (self.judged, self.entries, *known), strict=True))).decode()


class _End(NamedTuple):
    """An end record: where the directory is said to be, and where its end is in truth."""

    entries: int
    length: int
    offset: int
    directory_end: int


def judge(size: int, most_entries: int, *, surely: bool) -> Reading[Archive | None]:
    """Of an object of `size` bytes. None: it is no zip.

    Unless it is `surely` one, its end record has to be the very end of it. A directory is read in
    parts of 1 MiB, and not at all if it has more than `most_entries`, or 8 MiB.
    """
    tail = yield max(0, size - TAIL), TAIL
    at = tail.rfind(_END_MARK)
    if not (surely or _ends(tail, at)):
        return None
    try:
        return (yield from _judge(tail, at, size - len(tail), most_entries))
    except MALFORMED:
        return Archive()


def _judge(tail: bytes, at: int, before: int, most_entries: int) -> Reading[Archive]:
    """By the end record at that place of the tail; `before` is the tail's own place."""
    if any(_ends(tail, other.start()) for other in re.finditer(_END_MARK, tail[:at])):
        raise ValueError("two end records")
    end = _end_record(tail, at, before)
    if end.entries > most_entries or end.length > MOST:
        return Archive(entries=end.entries)
    start = yield from _start(end)
    tally, rest, stop = _Tally(most_entries), b"", start + end.length
    while start < stop and tally.entries <= most_entries:
        part = yield start, min(READ, stop - start)
        if not part:
            raise ValueError("the object ends here")
        start += len(part)
        rest = tally.count(rest + part)
    if tally.entries > most_entries:
        return Archive(entries=tally.entries)
    # Old programs count to 65,535 and begin anew.
    if rest or tally.entries < end.entries:
        raise ValueError("fewer entries than are said")
    return tally.sum()


def _ends(tail: bytes, at: int) -> bool:
    """Whether an end record is there whose comment reaches the end."""
    if at < 0 or at + _END.size > len(tail):
        return False
    return at + _END.size + int(_END.unpack_from(tail, at)[-1]) == len(tail)


def _end_record(tail: bytes, at: int, before: int) -> _End:
    """That record, or zip64's in front of it. Raises ValueError where the two differ."""
    _, disk, first_disk, here, count, size, start, _ = _END.unpack_from(tail, at)
    if disk not in {0, _FULL16} or first_disk not in {0, _FULL16} or here != count:
        raise ValueError("an archive on several disks")
    locator = at - _LOCATOR.size
    if locator < 0 or not tail.startswith(_LOCATOR_MARK, locator):
        return _End(count, size, start, before + at)
    place = locator - _END64.size
    if place < 0 or not tail.startswith(_END64_MARK, place):
        # With fields of later versions it is longer, and where the locator says.
        place = _LOCATOR.unpack_from(tail, locator)[2] - before
        if place < 0 or not tail.startswith(_END64_MARK, place):
            raise ValueError("no end record of zip64")
    *_, _, entries, length, offset = _END64.unpack_from(tail, place)
    for value, small, full in zip(
        (entries, length, offset), (count, size, start), (_FULL16, _FULL32, _FULL32), strict=True
    ):
        if small not in {value, full}:
            raise ValueError("two end records that differ")
    return _End(entries, length, offset, before + place)


def _start(end: _End) -> Reading[int]:
    """Where the directory begins: right before the end record, as most read it, or where that says.

    Raises ValueError where it is at both places, or at neither.
    """
    places = sorted({end.directory_end - end.length, end.offset})
    first, last = places[0], places[-1]
    if end.length == 0:
        return last
    if last + end.length - first <= READ:  # in one read
        part = yield first, last + end.length - first
        found = [one for one in places if part.startswith(_ENTRY_MARK, one - first)]
    else:
        found = []
        for one in places:
            if (yield one, min(READ, end.length)).startswith(_ENTRY_MARK):
                found.append(one)
    [start] = found
    return start


class _Tally:
    """Counts entries as their directory is read."""

    def __init__(self, most_entries: int) -> None:
        self.entries = self._unpacked = self._flags = 0
        self._symlinks = self._leaves = False
        self._most = most_entries

    def count(self, data: bytes) -> bytes:
        """Count what is whole, and return the rest. Raises ValueError at what is no entry."""
        at, end = 0, len(data)
        while at + _ENTRY.size <= end and self.entries <= self._most:
            entry = _ENTRY.unpack_from(data, at)
            name, extra, comment = entry[10:13]
            behind = at + _ENTRY.size + name + extra + comment
            if behind > end:
                break
            if entry[0] != _ENTRY_MARK:
                raise ValueError("no entry")
            at += _ENTRY.size
            self._add(entry, data[at : at + name], data[at + name : at + name + extra])
            at = behind
        return data[at:]

    def _add(self, entry: tuple[int, ...], name: bytes, extra: bytes) -> None:
        unpacked, at = entry[9], 0
        while at + _EXTRA.size <= len(extra):
            kind, length = _EXTRA.unpack_from(extra, at)
            at += _EXTRA.size
            if kind == _ZIP64 and unpacked == _FULL32:
                [unpacked] = _LONG.unpack_from(extra, at)
            elif kind == _UNICODE_NAME:  # behind its version and a checksum
                self._leaves = self._leaves or bool(_LEAVES.match(extra[at + 5 : at + length]))
            at += length
        self.entries += 1
        self._unpacked += unpacked
        self._flags |= entry[3]
        self._symlinks = self._symlinks or stat.S_ISLNK(entry[15] >> 16)
        self._leaves = self._leaves or bool(_LEAVES.match(name))

    def sum(self) -> Archive:
        return Archive(
            True,
            self.entries,
            self._unpacked,
            bool(self._flags & _ENCRYPTED),
            self._symlinks,
            self._leaves,
        )
