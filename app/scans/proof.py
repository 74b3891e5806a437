"""Prove how large a file may be for clamd to find something at its very end.

clamd says OK of what lies beyond its limits, and nothing tells them. So it is sent archives that
hold the anti-malware industry's harmless test file, which every scanner reports (EICAR, "Anti-virus
test file"): as the last entry of an archive of the largest size that is to be scanned; and inside
of more archives in each other than clamd opens.
"""

import struct
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, NamedTuple

from app.core.scans import Scan
from app.core.words import in_bytes
from app.scans.clamd import Clamd

# In two halves, so that no scanner reports this file.
MARK: Final = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
_CHUNK: Final = 256 * 1024
# clamd.conf(5): MaxRecursion is 100 at most.
_DEPTH: Final = 102
# The name of each entry, and the smallest archive with two of them.
_NAME: Final = b"entry"
_ENTRY: Final = 2 * len(_NAME) + 30 + 46
SMALLEST: Final = 2 * _ENTRY + 22 + len(MARK)


class Objection(NamedTuple):
    """Something that clamd's verdicts cannot be trusted for, and how to mend it."""

    meaning: str
    remedy: str


async def prove(clamd: Clamd, size: int) -> list[Objection]:
    """Why clamd is not sure to find malware at the end of a file of so many bytes; empty if it is.

    Raises ClamdUnavailable.
    """
    objections = []
    answer = await clamd.scan(_streamed(marked(size)))
    if answer.verdict is not Scan.INFECTED:
        said = answer.reason or "it is clean"
        objections.append(
            Objection(
                f"clamd does not find a test file at the end of {in_bytes(size)} ({said}).",
                f"Set StreamMaxLength and MaxFileSize in clamd.conf to {size} or more and "
                "MaxScanSize to three times that, and have it load ClamAV's signatures; or set "
                "CLAIMCHECK_CLAMD_MAX_SIZE to what it scans.",
            )
        )
    answer = await clamd.scan(_streamed(iter([nested()])))
    if answer.verdict is Scan.CLEAN:
        objections.append(
            Objection(
                "clamd calls clean what it has not scanned: archives deeper, larger or with more "
                "in them than its limits.",
                "Set `AlertExceedsMax yes` in clamd.conf.",
            )
        )
    return objections


def marked(size: int) -> Iterator[bytes]:
    """The chunks of a zip archive of `size` bytes, at least `SMALLEST`: zeros, then the mark."""
    filler = size - SMALLEST
    checksum = 0
    for chunk in _zeros(filler):
        checksum = zlib.crc32(chunk, checksum)
    yield _local(filler, checksum)
    yield from _zeros(filler)
    yield _end(
        [(filler, checksum, 0), (len(MARK), zlib.crc32(MARK), filler + 30 + len(_NAME))],
        _local(len(MARK), zlib.crc32(MARK)) + MARK,
    )


def nested(depth: int = _DEPTH) -> bytes:
    """The mark in so many archives, each in the next."""
    data = MARK
    for _ in range(depth):
        entry = len(data), zlib.crc32(data), 0
        data = _end([entry], _local(len(data), zlib.crc32(data)) + data)
    return data


async def _streamed(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _zeros(count: int) -> Iterator[bytes]:
    zeros = bytes(_CHUNK)
    for start in range(0, count, _CHUNK):
        yield zeros[: min(_CHUNK, count - start)]


def _local(size: int, checksum: int) -> bytes:
    """The header of a stored entry (PKWARE, APPNOTE.TXT 4.3.7)."""
    fields = b"PK\x03\x04", 10, 0, 0, 0, 0x21, checksum, size, size, len(_NAME), 0
    return struct.pack("<4s5H3I2H", *fields) + _NAME


def _end(entries: Sequence[tuple[int, int, int]], last: bytes) -> bytes:
    """The last entry, the directory of all of them (size, checksum, offset) and its end (APPNOTE
    4.3.12 and 4.3.16).
    """
    directory = b""
    for size, checksum, offset in entries:
        fields = b"PK\x01\x02", 10, 10, 0, 0, 0, 0x21, checksum, size, size, len(_NAME)
        directory += struct.pack("<4s6H3I5H2I", *fields, 0, 0, 0, 0, 0, offset) + _NAME
    begins = entries[-1][2] + len(last)
    count = len(entries)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), begins, 0)
    return last + directory + end
