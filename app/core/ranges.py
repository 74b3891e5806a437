"""Reads parts of an object where the reader of some format asks for them. Pure.

A reading is a generator: it yields `(offset, length)` and is given those bytes, fewer where the
object ends before. So it knows nothing of where they come from, and a test gives it a file's.
"""

import struct
from collections.abc import Generator
from typing import Any, Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Reading: TypeAlias = Generator[tuple[int, int], bytes, T]
# How a reading fails at bytes that are not as the format has them.
MALFORMED: Final = (ValueError, LookupError, ArithmeticError, struct.error)


# So many parts a reading may ask for, read or kept: a tenth of a second's work.
_MOST_STEPS: Final = 65_536


class NoMoreReads(ValueError):
    """Thrown into a reading that has asked for too many parts."""


def read_struct(form: str, offset: int) -> Reading[tuple[Any, ...]]:
    """The values at that place, as `struct` writes the form. Raises ValueError at the end."""
    length = struct.calcsize(form)
    data = yield offset, length
    if len(data) < length:
        raise ValueError("the object ends here")
    return struct.unpack(form, data)


class Reader(Generic[T]):
    """Runs a reading over an object of `size` bytes that begins with `start`.

    It keeps the start and the two parts that were read last. `found` is what the reading returns,
    None before and where it fails.
    """

    def __init__(self, reading: Reading[T], size: int, start: bytes) -> None:
        self._reading, self._size, self._start = reading, size, start
        self._last: list[tuple[int, bytes]] = []
        self._wanted: tuple[int, int] | None = None
        self._steps = 0
        self.found: T | None = None

    def run(self, part: bytes = b"") -> tuple[int, int] | None:
        """Go on, with the part that was wanted last, as far as what is kept goes.

        Returns the offset and the length of the part that is wanted next, None at the end.
        """
        if self._wanted is not None:
            self._last = [(self._wanted[0], part), *self._last[:1]]
        try:
            wanted = self._within(*(self._wanted or next(self._reading)))
            while (data := self._kept(*wanted)) is not None:
                self._steps += 1
                if self._steps > _MOST_STEPS:
                    self.give_up()
                    return None
                wanted = self._within(*self._reading.send(data))
        except StopIteration as end:
            self.found = end.value
        except MALFORMED:
            pass
        else:
            # What is given back at last is never asked for twice.
            self._wanted = None if wanted == self._wanted else wanted
            return self._wanted
        return None

    def give_up(self) -> None:
        """Have the reading make do with what it has read."""
        try:
            self._reading.throw(NoMoreReads())
        except StopIteration as end:
            self.found = end.value
        except MALFORMED:
            pass

    def _within(self, offset: int, length: int) -> tuple[int, int]:
        """The part as far as the object goes: none of what is not there."""
        if not 0 <= offset <= self._size or length < 0:
            return 0, 0
        return offset, min(length, self._size - offset)

    def _kept(self, offset: int, length: int) -> bytes | None:
        for begin, data in ((0, self._start), *self._last):
            if begin <= offset and offset + length <= begin + len(data):
                return data[offset - begin : offset - begin + length]
        return None
