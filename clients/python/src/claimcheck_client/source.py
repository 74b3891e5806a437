"""Bytes to be sent: of a path, of a file that is open, or in memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, TypeAlias

from claimcheck_client.errors import FileChanged

Given: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes]
BLOCK = 256 << 10  # bytes that are read and sent at once
PIPED = 16 << 20  # bytes that are read of a pipe before it is known how it goes on
_SAMPLE, _SAMPLES = 64 << 10, 16


class Source:
    """A file to be read at any place, by several threads.

    Of what cannot be read twice, as a pipe, the first `piped` bytes are copied to a temporary file;
    `rest` is then the pipe, or None where it has ended.
    """

    def __init__(self, given: Given, piped: int = PIPED) -> None:
        self._lock = threading.Lock()
        self.rest: IO[bytes] | None = None
        self._is_ours = True
        self.name = "file"
        self._file: IO[bytes]
        if isinstance(given, bytes | bytearray | memoryview):
            self._file = BytesIO(given)
        elif isinstance(given, str | os.PathLike):
            self._file = Path(given).open("rb")  # noqa: SIM115 - closed by `close`
            self.name = Path(given).name
        else:
            self._open(given, piped)
        self.size = self._file.seek(0, os.SEEK_END)
        self._begun_with = self._stamp()

    def _open(self, given: IO[bytes], piped: int) -> None:
        if isinstance(name := getattr(given, "name", None), str):
            self.name = Path(name).name
        if given.seekable():
            self._file, self._is_ours = given, False
            return
        self._file, self.rest = tempfile.TemporaryFile(), given  # noqa: SIM115
        self.size = 0
        try:
            self.fill(piped)
        except BaseException:
            self._file.close()
            raise

    def fill(self, size: int | None = None) -> None:
        """Copy more of the pipe, until there are so many bytes; None: all."""
        self._file.seek(0, os.SEEK_END)
        while self.rest is not None and (size is None or self.size < size):
            block = self.rest.read(BLOCK if size is None else min(BLOCK, size - self.size))
            if not block:
                self.rest = None
            self._file.write(block)
            self.size += len(block)
        self._file.flush()
        self._begun_with = self._stamp()

    def _stamp(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = os.fstat(self._file.fileno())
            return found.st_size, found.st_mtime_ns
        return None

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from there on. Raises FileChanged if the file has fewer by now."""
        with self._lock:
            self._file.seek(offset)
            found = self._file.read(size)
        if len(found) != size:
            raise FileChanged(f"{self.name} is shorter than it was: send it again.")
        return found

    def blocks(self, offset: int, size: int) -> Iterator[bytes]:
        """So many bytes from there on, block by block."""
        for start in range(offset, offset + size, BLOCK):
            yield self.read(start, min(BLOCK, offset + size - start))

    def digest(self, algorithm: str, offset: int = 0, size: int | None = None) -> bytes:
        """MD5 or SHA-256 of all, or of a piece. MD5 finds damage here; it does not protect."""
        made = hashlib.new(algorithm, usedforsecurity=False)
        for block in self.blocks(offset, self.size if size is None else size):
            made.update(block)
        return made.digest()

    def sample(self) -> str:
        """SHA-256 (hex) of the size and of a megabyte from all over the file.

        Equal files have equal ones; unequal files may have, so what goes on by it compares more.
        """
        made = hashlib.sha256(str(self.size).encode())
        last = max(0, self.size - _SAMPLE)
        for offset in sorted({last * i // (_SAMPLES - 1) for i in range(_SAMPLES)}):
            made.update(self.read(offset, min(_SAMPLE, self.size - offset)))
        return made.hexdigest()

    def require_unchanged(self) -> None:
        """Raises FileChanged where size or time are not what they were at first."""
        if self._stamp() != self._begun_with:
            raise FileChanged(f"{self.name} was changed while it was sent: send it again.")

    def close(self) -> None:
        if self._is_ours:
            self._file.close()


class Body:
    """A piece of a source as the body of a request, between the two ends of a form, if it is one.

    Each iteration begins anew, and tells `sent` how many bytes of the piece were taken.
    """

    def __init__(
        self,
        source: Source,
        offset: int,
        size: int,
        sent: Callable[[int], None],
        ends: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        self.length = len(ends[0]) + size + len(ends[1])
        self._piece = (offset, size)
        self._source, self._sent, self._ends = source, sent, ends

    def __iter__(self) -> Iterator[bytes]:
        before, after = self._ends
        if before:
            yield before
        for block in self._source.blocks(*self._piece):
            yield block
            self._sent(len(block))
        if after:
            yield after
