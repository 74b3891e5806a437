"""Measures an image by its header, whichever of twelve formats it has. Pure.

Headers may lie: what a decoder makes of the pixels is not known here.
"""

from app.core import image_boxes as boxes
from app.core import image_headers as headers
from app.core.content_types import types_in
from app.core.image_headers import Image
from app.core.ranges import Reading

_HEAD = 16
_HEIF = frozenset(
    b"avif avis mif1 mif2 msf1 miaf heic heix heim heis hevc hevx hevm hevs heif".split()
)


# Drawings, which have as many pixels as whoever shows them likes.
_VECTORS = types_in(
    "image/svg+xml image/emf image/wmf image/x-emf image/x-wmf image/vnd.dwg image/vnd.dxf",
    "image/x-eps image/x-xfig image/cgm image/vnd.dgn",
)


def is_raster(kind: str) -> bool:
    """Whether the type that a detector found is an image of pixels."""
    return kind.startswith("image/") and kind not in _VECTORS


def measure(size: int) -> Reading[Image | None]:
    """The image in an object of `size` bytes; None where it has no size, or is of no format that
    is known here. Fails as `app.core.ranges` says where its header is malformed.
    """
    head = yield 0, _HEAD
    reading = _reader(head, size)
    if reading is None:
        return None
    found = yield from reading
    return found if found.width > 0 and found.height > 0 else None


def _reader(head: bytes, size: int) -> Reading[Image] | None:
    match head[:4], head[4:8]:
        case b"\x89PNG", b"\r\n\x1a\n":
            return headers.png()
        case b"RIFF", _ if head[8:12] == b"WEBP":
            return headers.webp()
        case ((b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+"), _):
            return headers.tiff()
        case ((b"\0\0\1\0" | b"\0\0\2\0"), _):
            return headers.ico()
        case b"\0\0\0\x0c", b"jP  ":
            return boxes.jp2(size)
        case b"\0\0\0\x0c", b"JXL ":
            return boxes.boxed_jxl(size)
        case b"\xff\x4f\xff\x51", _:
            return boxes.j2k()
        case _, b"ftyp" if head[8:12] in _HEIF:
            return boxes.heif(size)
    if head.startswith(b"\xff\xd8\xff"):
        return headers.jpeg()
    if head.startswith((b"GIF87a", b"GIF89a")):
        return headers.gif()
    if head.startswith(b"BM"):
        return headers.bmp()
    return boxes.bare_jxl() if head.startswith(b"\xff\x0a") else None
