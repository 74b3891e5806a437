"""Bytes that may be many: small ones are there, large ones are described.

A file of 12 MiB that thousands of seeds upload must not be 12 MiB of memory each time. So a body is
a row of pieces, and a piece is either real bytes or a stretch of an endless stream that a seed
names. Cut up and joined again a body equals itself, and its digests do too.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

# Digests of longer bodies are made of their description.
_HASHED = 64 * 1024
_BLOCK = 64


@dataclass(frozen=True)
class Piece:
    """`length` bytes: `data`, or those of the stream `seed` from `offset` on."""

    length: int
    data: bytes = b""
    seed: str = ""
    offset: int = 0

    def cut(self, start: int, stop: int) -> "Piece":
        if self.seed:
            return Piece(stop - start, b"", self.seed, self.offset + start)
        return Piece(stop - start, self.data[start:stop])

    def read(self) -> bytes:
        if not self.seed:
            return self.data
        first, last = self.offset // _BLOCK, (self.offset + self.length - 1) // _BLOCK
        blocks = (
            hashlib.blake2b(f"{self.seed}:{number}".encode()).digest()
            for number in range(first, last + 1)
        )
        start = self.offset % _BLOCK
        return b"".join(blocks)[start : start + self.length]


@dataclass(frozen=True)
class Body:
    """Made by `real` and `large`; equal if its bytes are."""

    pieces: tuple[Piece, ...] = ()

    @classmethod
    def real(cls, data: bytes) -> "Body":
        """These bytes."""
        return cls((Piece(len(data), data),) if data else ())

    @classmethod
    def large(cls, length: int, seed: str, head: bytes = b"") -> "Body":
        """So many bytes, which begin with the head and go on with noise of the seed."""
        return cls.real(head[:length]) + cls(
            (Piece(length - len(head), b"", seed),) if length > len(head) else ()
        )

    def __add__(self, other: "Body") -> "Body":
        pieces = list(self.pieces)
        for piece in other.pieces:
            last = pieces[-1] if pieces else None
            if last and last.seed == piece.seed == "":
                pieces[-1] = Piece(last.length + piece.length, last.data + piece.data)
            elif last and last.seed == piece.seed and last.offset + last.length == piece.offset:
                pieces[-1] = Piece(last.length + piece.length, b"", last.seed, last.offset)
            else:
                pieces.append(piece)
        return Body(tuple(pieces))

    @cached_property
    def length(self) -> int:
        return sum(piece.length for piece in self.pieces)

    def __len__(self) -> int:
        return self.length

    @property
    def head(self) -> bytes:
        """The first 4,096 bytes."""
        return self.read(0, 4096)

    def slice(self, start: int, stop: int) -> "Body":
        """The bytes from `start` to before `stop`."""
        found, at = Body(), 0
        for piece in self.pieces:
            low, high = max(start - at, 0), min(stop - at, piece.length)
            if low < high:
                found += Body((piece.cut(low, high),))
            at += piece.length
        return found

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """These bytes, made if they have to be."""
        wanted = self.slice(start, self.length if stop is None else stop)
        return b"".join(piece.read() for piece in wanted.pieces)

    @cached_property
    def _hashed(self) -> bytes:
        return self.read() if self.length <= _HASHED else repr(self.pieces).encode()

    @cached_property
    def md5(self) -> bytes:
        """16 bytes: the MD5 of a body of up to 64 KiB, else what stands for it."""
        return hashlib.md5(self._hashed, usedforsecurity=False).digest()

    @cached_property
    def sha256(self) -> bytes:
        """32 bytes, as `md5`."""
        return hashlib.sha256(self._hashed).digest()

    @property
    def digest(self) -> str:
        """`sha256` in hexadecimal: the body's identity."""
        return self.sha256.hex()
