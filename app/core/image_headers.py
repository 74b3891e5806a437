"""Width, height, orientation and motion of an image, from its header. Pure.

Own readers: the best-kept library of headers alone, imagesize 2.0.1, knows neither ICO nor JPEG XL
nor which images move, nor the size of an AVIF that is turned
(findings/imagesize-turned-avif-unmeasured.sh). Formats in boxes are in app/core/image_boxes.py.
"""

import struct
from typing import Final, NamedTuple

from pydantic_core import to_json

from app.core.ranges import MALFORMED, Reading, read_struct

_UPRIGHT: Final = 1
# Exif 2.32, section 4.6.4: the tags of TIFF 6.0.
_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
# BYTE, SHORT, LONG, and LONG8 of BigTIFF.
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MOST_TAGS: Final = 4096
# Frames of every coding (ITU-T T.81, table B.1), and markers that stand alone.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


class Image(NamedTuple):
    """Pixels as they are stored, before they are turned as `orientation` says (Exif: 1 to 8)."""

    width: int
    height: int
    orientation: int = _UPRIGHT
    animated: bool = False
    # How many pixels a decoder makes before it cuts some off; 0: no more than are shown.
    decoded: int = 0

    @property
    def pixels(self) -> int:
        return max(self.decoded, self.width * self.height)

    def as_json(self) -> str | None:
        """As a file's JSON shows it; None where it has no size."""
        shown = self._asdict()
        del shown["decoded"]
        return to_json(shown).decode() if self.pixels else None


def jpeg() -> Reading[Image]:
    """ITU-T T.81, annex B."""
    at, orientation = 2, _UPRIGHT
    while True:
        mark, kind, length = yield from read_struct(">BBH", at)
        if mark != 0xFF or kind in {_SCAN, _END}:
            raise ValueError("no frame before the scan")
        if kind == 0xFF:  # a fill byte
            at += 1
        elif kind in _ALONE:
            at += 2
        elif kind in _FRAMES:
            height, width = yield from read_struct(">HH", at + 5)
            return Image(width, height, orientation)
        else:
            if kind == _APP1 and (yield at + 4, 6) == b"Exif\0\0":
                orientation = yield from orientation_at(at + 10)
            at += 2 + length


def png() -> Reading[Image]:
    """PNG third edition (W3C), with APNG: of chunks those before the pixels."""
    kind, width, height = yield from read_struct(">4sII", 12)
    if kind != b"IHDR":
        raise ValueError("no IHDR")
    at, orientation, animated = 33, _UPRIGHT, False
    try:
        while True:
            length, kind = yield from read_struct(">I4s", at)
            if kind in {b"IDAT", b"IEND"}:
                break
            if kind == b"acTL":
                [frames] = yield from read_struct(">I", at + 8)
                animated = frames > 1
            elif kind == b"eXIf":
                orientation = yield from orientation_at(at + 8)
            at += 12 + length
    except MALFORMED:
        pass  # the size is known
    return Image(width, height, orientation, animated)


def gif() -> Reading[Image]:
    """GIF89a: the screen, and the first frame where that is larger.

    Where the second frame is too far away, the image moves if it says that it loops.
    """
    width, height, flags = yield from read_struct("<HHB", 6)
    at, frames, loops = 13 + _colours(flags), 0, False
    try:
        while frames < 2:
            [kind] = yield from read_struct("B", at)
            if kind == 0x2C:
                left, top, across, down, flags = yield from read_struct("<4HB", at + 1)
                width, height = max(width, left + across), max(height, top + down)
                frames += 1
                at = yield from _behind_blocks(at + 11 + _colours(flags))
            elif kind == 0x21:
                loops = loops or (yield at + 3, 11) in _LOOPS
                at = yield from _behind_blocks(at + 2)
            else:
                break
        loops = frames > 1
    except MALFORMED:
        pass
    return Image(width, height, animated=loops)


def _colours(flags: int) -> int:
    """Bytes of the table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _behind_blocks(at: int) -> Reading[int]:
    """Where the chain of blocks that begins there has ended."""
    while True:
        [length] = yield from read_struct("B", at)
        at += 1 + length
        if length == 0:
            return at


def webp() -> Reading[Image]:
    """RFC 9649: the canvas, or the only frame."""
    kind, _, flags = yield from read_struct("<4sIB", 12)
    if kind == b"VP8X":
        low_width, width, low_height, height = yield from read_struct("<HBHB", 24)
        orientation = _UPRIGHT
        if flags & 0x08:
            orientation = yield from _orientation_of_webp()
        size = (low_width | width << 16) + 1, (low_height | height << 16) + 1
        return Image(*size, orientation, bool(flags & 0x02))
    if kind == b"VP8L":
        [bits] = yield from read_struct("<I", 21)
        return Image((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8 ":
        raise ValueError("no frame")
    # The upper two bits are a scale, which nobody applies (RFC 6386, section 9.1).
    width, height = yield from read_struct("<HH", 26)
    return Image(width & 0x3FFF, height & 0x3FFF)


def _orientation_of_webp() -> Reading[int]:
    at = 12
    try:
        while True:
            kind, length = yield from read_struct("<4sI", at)
            if kind == b"EXIF":
                # Some put JPEG's name in front of it.
                named = (yield at + 8, 6) == b"Exif\0\0"
                return (yield from orientation_at(at + (14 if named else 8)))
            at += 8 + length + length % 2
    except MALFORMED:
        return _UPRIGHT


def bmp() -> Reading[Image]:
    """BITMAPCOREHEADER, or any later one: its height is negative where rows go down."""
    [length] = yield from read_struct("<I", 14)
    width, height = yield from read_struct("<HH" if length == 12 else "<ii", 18)
    return Image(width, abs(height))


def ico() -> Reading[Image]:
    """The largest of the icons, 0 being 256; each is a PNG or a bitmap, with a size of its own that
    decoders go by.
    """
    [count] = yield from read_struct("<H", 4)
    entries = yield 6, 16 * count
    width = height = decoded = 0
    for at in range(0, len(entries) - 15, 16):
        across, over, place = struct.unpack_from("<BB10xI", entries, at)
        across, over = across or 256, over or 256
        if across * over > width * height:
            width, height = across, over
        head = yield place, 24
        if head.startswith(b"\x89PNG"):
            size = struct.unpack_from(">II", head, 16)
        else:
            size = struct.unpack_from("<ii", head, 4)  # twice as high: behind it is a mask
        decoded = max(decoded, abs(size[0] * size[1]))
    return Image(width, height, decoded=decoded if decoded > 2 * width * height else 0)


def tiff() -> Reading[Image]:
    """TIFF 6.0 and BigTIFF: the first page."""
    tags = yield from _tags(0)
    return Image(tags[_WIDTH], tags[_HEIGHT], _valid(tags.get(_ORIENTATION)))


def orientation_at(offset: int) -> Reading[int]:
    """The orientation in Exif data, which is a TIFF within; 1 where it has none."""
    try:
        tags = yield from _tags(offset)
    except MALFORMED:
        return _UPRIGHT
    return _valid(tags.get(_ORIENTATION))


def _valid(orientation: int | None) -> int:
    return orientation if orientation and orientation <= 8 else _UPRIGHT


def _tags(base: int) -> Reading[dict[int, int]]:
    """The single numbers of the first directory, by tag."""
    head = yield base, 16
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    [version] = struct.unpack_from(f"{order}H", head, 2)
    # Places in the head, sizes of the count and of an entry, and where an entry has its value.
    place, number, entry, value = {42: (4, "I", 12, 8), 43: (8, "Q", 20, 12)}[version]
    [offset] = struct.unpack_from(order + number, head, place)
    counted = "H" if version == 42 else "Q"
    [count] = yield from read_struct(order + counted, base + offset)
    first = base + offset + struct.calcsize(order + counted)
    entries = yield first, entry * min(count, _MOST_TAGS)
    found = {}
    for at in range(0, len(entries) - entry + 1, entry):
        tag, kind, values = struct.unpack_from(f"{order}HH{number}", entries, at)
        if values == 1 and kind in _INTEGERS and struct.calcsize(_INTEGERS[kind]) <= entry - value:
            [found[tag]] = struct.unpack_from(order + _INTEGERS[kind], entries, at + value)
    return found
