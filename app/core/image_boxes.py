"""Images in boxes: HEIF with AVIF, JPEG 2000 and JPEG XL. Pure.

Boxes are those of ISO/IEC 14496-12, section 4.2, which all of these have taken over.
"""

from typing import Final, NamedTuple

from app.core.image_headers import Image
from app.core.ranges import Reading, read_struct

# Brands of sequences (ISO/IEC 23008-12, annex B; AVIF, section 6.3).
_MOVING: Final = frozenset({b"avis", b"msf1", b"hevc", b"hevx", b"hevs", b"hevm"})
# Of the properties of one item, or of the items that have some.
_MOST: Final = 65_536
# The orientation for quarters of a turn against the clock, then a mirror: none, one that swaps top
# and bottom, one that swaps left and right (ISO/IEC 23008-12, sections 6.5.10 and 6.5.12).
_TURNED: Final = ((1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5))
# Width for a height (ISO/IEC 18181-1, annex D.2).
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Box(NamedTuple):
    kind: bytes
    start: int  # of what is in it
    end: int


def _boxes(start: int, end: int, until: tuple[bytes, ...] = ()) -> Reading[list[_Box]]:
    """The boxes side by side there, up to the first of a kind that is looked for."""
    found: list[_Box] = []
    while start + 8 <= end:
        length, kind = yield from read_struct(">I4s", start)
        header = 8
        if length == 1:
            [length], header = (yield from read_struct(">Q", start + 8)), 16
        if length == 0:
            length = end - start
        if length < header:
            raise ValueError("no box")
        found.append(_Box(kind, start + header, min(start + length, end)))
        if kind in until:
            break
        start += length
    return found


def _box(kind: bytes, boxes: list[_Box]) -> _Box:
    for box in boxes:
        if box.kind == kind:
            return box
    raise ValueError(f"no {kind!r}")


def heif(size: int) -> Reading[Image]:
    """ISO/IEC 23008-12: the primary item, by its properties."""
    [brand] = yield from read_struct("4s", 8)
    meta = _box(b"meta", (yield from _boxes(0, size, (b"meta",))))
    boxes = yield from _boxes(meta.start + 4, meta.end)
    primary = _box(b"pitm", boxes)
    [version] = yield from read_struct("B", primary.start)
    [item] = yield from read_struct(">I" if version else ">H", primary.start + 4)
    about = yield from _boxes(*_box(b"iprp", boxes)[1:])
    properties = yield from _boxes(*_box(b"ipco", about)[1:])
    width = height = decoded = turn = mirror = 0
    for number in (yield from _associated(_box(b"ipma", about), item)):
        kind, start, _ = properties[number - 1]
        if kind == b"ispe":
            width, height = yield from read_struct(">II", start + 4)
            decoded = width * height
        elif kind == b"clap":
            across, over, down, under = yield from read_struct(">4I", start)
            width, height = across // over, down // under
        elif kind == b"irot":
            [turn] = yield from read_struct("B", start)
        elif kind == b"imir":
            [axis] = yield from read_struct("B", start)
            mirror = 1 + (axis & 1)
    return Image(width, height, _TURNED[turn & 3][mirror], brand in _MOVING, decoded)


def _associated(box: _Box, item: int) -> Reading[list[int]]:
    """The numbers of the item's properties."""
    version, _, flags, count = yield from read_struct(">BHBI", box.start)
    at = box.start + 8
    wide, known = ">I" if version else ">H", 4 if version else 2
    for _ in range(min(count, _MOST)):
        [found] = yield from read_struct(wide, at)
        [length] = yield from read_struct("B", at + known)
        each = 2 if flags & 1 else 1
        if found == item:
            numbers = yield at + known + 1, each * length
            masked = 0x7FFF if flags & 1 else 0x7F
            pairs = range(0, len(numbers), each)
            return [int.from_bytes(numbers[i : i + each], "big") & masked for i in pairs]
        at += known + 1 + each * length
    return []


def jp2(size: int) -> Reading[Image]:
    """ISO/IEC 15444-1, annex I: the image header box."""
    header = _box(b"jp2h", (yield from _boxes(0, size, (b"jp2h",))))
    found = yield from _boxes(header.start, header.end, (b"ihdr",))
    height, width = yield from read_struct(">II", _box(b"ihdr", found).start)
    return Image(width, height)


def j2k() -> Reading[Image]:
    """ISO/IEC 15444-1, annex A.5.1: the reference grid without its offset."""
    right, bottom, left, top = yield from read_struct(">4I", 8)
    return Image(right - left, bottom - top)


def boxed_jxl(size: int) -> Reading[Image]:
    """ISO/IEC 18181-2: the codestream, whole or its first part."""
    kind, start, _ = (yield from _boxes(0, size, (b"jxlc", b"jxlp")))[-1]
    return (yield from bare_jxl(start + (4 if kind == b"jxlp" else 0)))


def bare_jxl(at: int = 0) -> Reading[Image]:
    """ISO/IEC 18181-1, annex D: the size, and of the metadata what comes first."""
    data = yield at, 64
    if data[:2] != b"\xff\x0a":
        raise ValueError("no codestream")
    bits = _Bits(data[2:])
    width, height = _jxl_size(bits)
    orientation, animated = 1, False
    if not bits.take(1) and bits.take(1):
        orientation = bits.take(3) + 1
        if bits.take(1):
            _jxl_size(bits)
        if bits.take(1):
            _skip_preview(bits)
        animated = bool(bits.take(1))
    return Image(width, height, orientation, animated)


class _Bits:
    """Bits from the lowest on."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header ends here")
        value = self._value & ((1 << count) - 1)
        self._value, self._left = self._value >> count, self._left - count
        return value

    def take_one_of(self, *counts: int) -> int:
        return self.take(counts[self.take(2)])


def _jxl_size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.take(1)

    def one() -> int:
        return (bits.take(5) + 1) * 8 if is_small else bits.take_one_of(9, 13, 18, 30) + 1

    height = one()
    ratio = bits.take(3)
    if ratio == 0:
        return one(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _skip_preview(bits: _Bits) -> None:
    in_eights = bits.take(1)

    def one() -> None:
        bits.take_one_of(*((0, 0, 5, 9) if in_eights else (6, 8, 10, 12)))

    one()
    if bits.take(3) == 0:
        one()
