"""The bytes of objects: in files that are open only while they are written or read.

A file is removed with the last `Contents` that needs it. Slices and joins of contents share their
files, so that copies and parts cost no bytes. All files are in the process's temporary directory
(`tempfile.gettempdir`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_IN_MEMORY = 16 << 10  # bytes; more go to a file
_CHUNK = 64 << 10


class _File:
    """A file, removed with this object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        weakref.finalize(self, path.unlink, missing_ok=True)


class _Piece(NamedTuple):
    source: _File | bytes
    start: int
    length: int


class Contents:
    """Bytes that are never held in memory as a whole; immutable.

    As much of a `bytes` as moto asks of one: `len`, a slice without a step, and whether there are
    any.
    """

    def __init__(self, pieces: Iterable[_Piece] = (), md5: str | None = None) -> None:
        self._pieces = tuple(pieces)
        self._length = sum(piece.length for piece in self._pieces)
        self._md5 = md5

    @classmethod
    def joined(cls, contents: Iterable[Contents]) -> Contents:
        """One after the other."""
        return cls(piece for each in contents for piece in each._pieces)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> Contents:
        start, end, _ = part.indices(self._length)
        pieces, position = [], 0
        for source, offset, length in self._pieces:
            first, last = max(start - position, 0), min(end - position, length)
            if first < last:
                pieces.append(_Piece(source, offset + first, last - first))
            position += length
        return Contents(pieces)

    def chunks(self) -> Iterator[bytes]:
        """The bytes in order; a file is open while its own are read."""
        for source, start, length in self._pieces:
            if isinstance(source, bytes):
                yield source[start : start + length]
                continue
            with source.path.open("rb", buffering=0) as file:
                file.seek(start)
                left = length
                while left and (data := file.read(min(_CHUNK, left))):
                    left -= len(data)
                    yield data

    @property
    def md5(self) -> str:
        """MD5 in hexadecimal, which is the ETag of an object that was sent whole."""
        if self._md5 is None:
            digest = hashlib.md5(usedforsecurity=False)
            for data in self.chunks():
                digest.update(data)
            self._md5 = digest.hexdigest()
        return self._md5


class Writer:
    """Takes bytes as they arrive, and makes `Contents` of them."""

    def __init__(self) -> None:
        self.length = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._memory = bytearray()
        self._file: _File | None = None

    def write(self, data: bytes) -> None:
        """Append the bytes."""
        self.length += len(data)
        self._md5.update(data)
        self._memory += data
        if len(self._memory) > _IN_MEMORY:
            self._flush()

    def finish(self) -> Contents:
        """All that was written; the writer is done."""
        source: _File | bytes = bytes(self._memory)
        if self._file is not None:
            self._flush()
            source = self._file
        return Contents([_Piece(source, 0, self.length)], self._md5.hexdigest())

    def _flush(self) -> None:
        # Opened for each chunk: a slow sender holds no descriptor but that of its connection.
        if self._file is None:
            descriptor, path = tempfile.mkstemp(prefix="object-")
            os.close(descriptor)
            self._file = _File(Path(path))
        with self._file.path.open("ab") as file:
            file.write(self._memory)
        self._memory.clear()
