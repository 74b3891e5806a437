"""Parts of a multipart upload: how large they are, how many, which are missing. Pure.

Source: AWS userguide, "Amazon S3 multipart upload limits".
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024**2
MIN_PART_SIZE: Final = 5 * MIB  # of every part but the last
MAX_PART_SIZE: Final = 5 * 1024**3
MAX_PARTS: Final = 10_000
MAX_OBJECT_SIZE: Final = MAX_PARTS * MAX_PART_SIZE  # 48.8 TiB


@dataclass(frozen=True, slots=True)
class Layout:
    """A file cut into parts of `part_size` bytes, numbered from 1; only the last may be smaller.

    Equal sizes, because R2 takes no others. An empty file is one empty part.
    """

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """The number of parts."""
        return _ceil(self.size, self.part_size) if self.size else 1

    def size_of(self, number: int) -> int:
        """Bytes in the part."""
        return min(self.part_size, self.size - (number - 1) * self.part_size)

    def missing(self, arrived: Mapping[int, int]) -> list[int]:
        """The numbers of parts that are not in `arrived` (sizes by number) in the right size."""
        return [n for n in range(1, self.count + 1) if arrived.get(n) != self.size_of(n)]


def lay_out(size: int, preferred: int) -> Layout:
    """Parts of `preferred` bytes, or larger ones in whole MiB where 10,000 would not be enough.

    Raises ValueError where the file is larger than S3's largest object, or `preferred` is no part
    size that S3 takes.
    """
    if not (0 <= size <= MAX_OBJECT_SIZE and MIN_PART_SIZE <= preferred <= MAX_PART_SIZE):
        raise ValueError(f"no parts of {preferred} bytes make {size} bytes")
    return Layout(size, max(preferred, _ceil(_ceil(size, MAX_PARTS), MIB) * MIB))


def lay_out_as_uppy(size: int) -> Layout:
    """Parts as Uppy 5 and 6 cut a file, unless a page has a `getChunkSize` of its own."""
    return Layout(size, max(MIN_PART_SIZE, _ceil(size, MAX_PARTS)))


def fitting_parts(size: int) -> int:
    """How many parts of unknown size may be under way where `size` bytes are left, rounded up."""
    return min(MAX_PARTS, max(0, _ceil(size, MIN_PART_SIZE)))


def gaps(arrived: Container[int], count: int) -> list[int]:
    """The numbers from 1 to `count` that are missing."""
    return [n for n in range(1, count + 1) if n not in arrived]


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
