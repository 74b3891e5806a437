"""Zip archives, honest and hostile, and what is to be found in each."""

import io
import stat
import struct
import zipfile
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from app.core.zip_directory import Archive
from tests.support.samples import DOCX, EXE

ENCRYPTED, UTF8 = 0x1, 0x800
_FULL: Final = 0xFFFFFFFF


class Sample(NamedTuple):
    """An archive, and how it is judged with at most 10,000 entries; None: it is none."""

    name: str
    data: bytes
    archive: Archive | None


class Entry(NamedTuple):
    """An entry of a directory, as it says it is."""

    name: bytes = b"a.txt"
    unpacked: int = 5
    flags: int = UTF8
    mode: int = 0
    extra: bytes = b""
    comment: bytes = b""

    def written(self) -> bytes:
        return (
            struct.pack(
                "<4s6H3L5H2L",
                *(b"PK\1\2", 0x031E, 20, self.flags, 8, 0, 0, 0, 5, self.unpacked),
                *(len(self.name), len(self.extra), len(self.comment), 0, 0, self.mode << 16, 0),
            )
            + self.name
            + self.extra
            + self.comment
        )


def zipped(
    entries: Iterable[Entry],
    *,
    before: bytes = b"PK\3\4" + bytes(60),
    comment: bytes = b"",
    count: int | None = None,
    length: int | None = None,
    offset: int | None = None,
) -> bytes:
    """A zip of that directory, behind what stands before it; the numbers are lies of its end."""
    listed = list(entries)
    directory = b"".join(entry.written() for entry in listed)
    said = len(listed) & 0xFFFF if count is None else count
    end = struct.pack(
        "<4s4H2LH",
        *(b"PK\5\6", 0, 0, said, said),
        len(directory) if length is None else length,
        len(before) if offset is None else offset,
        len(comment),
    )
    return before + directory + end + comment


def zip64(
    entries: Iterable[Entry], *, more: bytes = b"", classic: tuple[int, int, int] | None = None
) -> bytes:
    """A zip64, with `more` fields in its end record; `classic`: what the old end record says."""
    listed = list(entries)
    before, directory = b"PK\3\4" + bytes(60), b"".join(entry.written() for entry in listed)
    count = len(listed)
    record = struct.pack(
        "<4sQ2H2L4Q",
        *(b"PK\6\6", 44 + len(more), 45, 45, 0, 0, count, count, len(directory), len(before)),
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(before) + len(directory), 1)
    old, length, offset = classic or (0xFFFF, _FULL, _FULL)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, old, old, length, offset, 0)
    return before + directory + record + more + locator + end


def by_python(*names: str, size: int = 5, stored: bool = False, comment: bytes = b"") -> bytes:
    """A zip as Python writes it."""
    buffer = io.BytesIO()
    how = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name in names:
            archive.writestr(name, bytes(size))
        archive.comment = comment
    return buffer.getvalue()


def _long(unpacked: int) -> Entry:
    """An entry whose size stands in zip64's extra field."""
    return Entry(unpacked=_FULL, extra=struct.pack("<HHQ", 1, 8, unpacked))


def _named(name: bytes) -> Entry:
    """An entry with another name in Info-ZIP's extra field."""
    return Entry(extra=struct.pack("<HHBL", 0x7075, 5 + len(name), 1, 0) + name)


def _nested(*inner: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for n, data in enumerate(inner):
            archive.writestr(f"{n}.zip", data)
    return buffer.getvalue()


def _unpacked(data: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _two_directories() -> bytes:
    """One where its end says, and another right before it."""
    first, second = Entry(unpacked=2**31).written(), Entry().written()
    before = b"PK\3\4" + bytes(60)
    data = zipped([], before=before + first + second, count=1, length=len(second))
    return data[:-6] + struct.pack("<LH", len(before), 0)


def samples() -> Iterator[Sample]:
    """Forty and more."""
    plain = Archive(True, 1, 5)
    unread = Archive()
    yield Sample("python", by_python("a", "b/c"), Archive(True, 2, 10))
    yield Sample("stored", by_python("a", stored=True), plain)
    yield Sample("empty", by_python(), Archive(True, 0, 0))
    yield Sample("office", DOCX, Archive(True, 3, _unpacked(DOCX)))
    bomb = zipped([Entry(unpacked=2**32 - 2)])
    inside = len(bomb) + len(DOCX)
    yield Sample("nested", _nested(bomb, DOCX), Archive(True, 2, inside))
    yield Sample("bomb", zipped([Entry(unpacked=2**32 - 2)] * 3), Archive(True, 3, 3 * 2**32 - 6))
    yield Sample("bomb-zip64", zipped([_long(2**50)]), Archive(True, 1, 2**50))
    yield Sample(
        "bomb-of-many", zipped([Entry(unpacked=2**30)] * 9999), Archive(True, 9999, 9999 << 30)
    )
    yield Sample("long-without-size", zipped([Entry(unpacked=_FULL)]), Archive(True, 1, _FULL))
    yield Sample("long-cut", zipped([Entry(unpacked=_FULL, extra=b"\1\0\4\0\0\0\0\0")]), unread)
    link = stat.S_IFLNK | 0o777
    yield Sample("symlink", zipped([Entry(mode=link)]), plain._replace(symlinks=True))
    yield Sample("folder", zipped([Entry(b"a/", 0, mode=stat.S_IFDIR)]), Archive(True, 1, 0))
    yield Sample("encrypted", zipped([Entry(flags=ENCRYPTED)]), plain._replace(encrypted=True))
    yield Sample(
        "encrypted-last",
        zipped([Entry(), Entry(flags=ENCRYPTED | UTF8)]),
        Archive(True, 2, 10, encrypted=True),
    )
    leaving = plain._replace(leaves=True)
    for n, name in enumerate(
        (
            b"../a",
            b"a/../../b",
            b"/etc/passwd",
            b"\\a",
            b"C:\\a",
            b"c:a",
            b"a\\..\\b",
            b"..",
            b"a/..",
        )
    ):
        yield Sample(f"leaves-{n}", zipped([Entry(name)]), leaving)
    for n, name in enumerate((b"..a/b", b"a..", b"a/...", b"ab:c/d", b"~/a", b".a")):
        yield Sample(f"stays-{n}", zipped([Entry(name)]), plain)
    yield Sample("other-name", zipped([_named(b"../../a")]), leaving)
    yield Sample("65536-entries", zipped([Entry(unpacked=1)] * 65_536), Archive(entries=10_001))
    yield Sample("65536-entries-zip64", zip64([Entry()] * 65_536), Archive(entries=65_536))
    yield Sample("10000-entries", zipped([Entry()] * 10_000), Archive(True, 10_000, 50_000))
    yield Sample("10001-entries", zipped([Entry()] * 10_001), Archive(entries=10_001))
    yield Sample("zip64", zip64([Entry()] * 3), Archive(True, 3, 15))
    yield Sample("zip64-with-fields", zip64([Entry()], more=bytes(30)), plain)
    yield Sample("zip64-same", zip64([Entry()], classic=(1, 51, 64)), plain)
    yield Sample("zip64-other-count", zip64([Entry()] * 2, classic=(1, _FULL, _FULL)), unread)
    yield Sample("zip64-other-place", zip64([Entry()], classic=(1, 51, 0)), unread)
    alone = by_python("a", "b")
    yield Sample("program-in-front", EXE + bytes(9000) + alone, Archive(True, 2, 10))
    yield Sample("script-in-front", b"#!/bin/sh\nexec java -jar $0\n" + alone, Archive(True, 2, 10))
    yield Sample("adjusted-program", zipped([Entry()], before=EXE + bytes(9000)), plain)
    yield Sample("far-behind-a-program", EXE + bytes(3_000_000) + alone, Archive(True, 2, 10))
    far = EXE + bytes(2_000_000)
    yield Sample("program-between", far + zipped([Entry()], before=bytes(9000)), plain)
    yield Sample("comment", by_python("a", comment=b"c" * 65_535), plain)
    yield Sample("comment-and-program", EXE + by_python("a", comment=b"c" * 65_535), plain)
    yield Sample("two-end-records", by_python("a", comment=zipped([])), unread)
    yield Sample("trailing-bytes", zipped([Entry()]) + bytes(500), plain)
    yield Sample("cut", zipped([Entry()])[:-1], unread)
    yield Sample("no-end", zipped([Entry()])[:-22], unread)
    yield Sample("two-directories", _two_directories(), unread)
    yield Sample("fewer-than-said", zipped([Entry()], count=2), unread)
    yield Sample(
        "more-than-said", zipped([Entry(unpacked=2**30)] * 3, count=1), Archive(True, 3, 3 << 30)
    )
    yield Sample("too-short", zipped([Entry()] * 2, length=60), unread)
    yield Sample("too-long", zipped([Entry()], length=5000), unread)
    yield Sample("elsewhere", zipped([Entry()], offset=10), plain)
    yield Sample("no-signature", zipped([Entry()]).replace(b"PK\1\2", b"PK\1\3"), unread)
    yield Sample("several-disks", zipped([Entry()]).replace(b"PK\5\6\0", b"PK\5\6\2"), unread)
    yield Sample("large-directory", zipped([Entry(b"n" * 400)] * 9000), Archive(True, 9000, 45_000))
    yield Sample(
        "huge-directory", zipped([Entry(comment=bytes(60_000))] * 150), Archive(entries=150)
    )
    yield Sample("text", b"no archive at all, PK\5\6" + bytes(100), None)
    yield Sample("office-in-a-document", b"\xd0\xcf\x11\xe0" + bytes(900) + DOCX + bytes(512), None)
