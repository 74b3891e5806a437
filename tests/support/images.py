"""Images of twelve formats, as Pillow and its plug-ins write them."""

import io
import struct
import warnings
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pillow_heif
import pillow_jxl  # noqa: F401 (it registers JPEG XL)
from PIL import Image

pillow_heif.register_heif_opener()

SIZES: Final = [
    *((1, 1), (2, 3), (16, 16), (17, 31), (64, 64), (100, 40), (40, 100), (255, 256)),
    *((256, 255), (300, 7), (7, 300), (129, 65), (1000, 3), (33, 640)),
]
_ORIENTATION: Final = 0x0112


class Sample(NamedTuple):
    """An image, and what is to be found in it."""

    name: str
    data: bytes
    size: tuple[int, int]
    orientation: int = 1
    animated: bool = False


def written(size: tuple[int, int], kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """An image of that size in that format."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.new(mode, size, 7).save(buffer, kind, **options)
    return buffer.getvalue()


def frames(size: tuple[int, int], count: int = 3) -> dict[str, Any]:
    """Options to write more frames, none like another."""
    more = [Image.new("RGB", size, (n * 40, 90, 0)) for n in range(1, count)]
    return {"save_all": True, "append_images": more}


def exif(orientation: int) -> bytes:
    """Exif data that say how the image is to be turned."""
    found = Image.Exif()
    found[_ORIENTATION] = orientation
    return found.tobytes()


def samples() -> Iterator[Sample]:
    """Two hundred and more, of JPEG, PNG, APNG, GIF, WebP, AVIF, HEIC, TIFF, BMP, ICO, JPEG 2000
    and JPEG XL.
    """
    for size in SIZES:
        name = "{}x{}".format(*size)
        yield Sample(f"{name}.jpg", written(size, "JPEG"), size)
        yield Sample(f"{name}.png", written(size, "PNG"), size)
        yield Sample(f"{name}.apng", written(size, "PNG", **frames(size)), size, animated=True)
        yield Sample(f"{name}.gif", written(size, "GIF"), size)
        yield Sample(f"{name}-moving.gif", written(size, "GIF", **frames(size)), size, 1, True)
        yield Sample(f"{name}.webp", written(size, "WEBP"), size)
        yield Sample(f"{name}-lossless.webp", written(size, "WEBP", lossless=True), size)
        yield Sample(f"{name}.avif", written(size, "AVIF", speed=10), size)
        yield Sample(f"{name}.heic", written(size, "HEIF"), size)
        yield Sample(f"{name}.tif", written(size, "TIFF"), size)
        yield Sample(f"{name}.bmp", written(size, "BMP"), size)
        yield Sample(f"{name}.jp2", written(size, "JPEG2000"), size)
        yield Sample(f"{name}.jxl", written(size, "JXL"), size)
        if max(size) <= 256:
            yield Sample(f"{name}.ico", written(size, "ICO", sizes=[size]), size)
    yield from _turned()
    yield from _special()


def _turned() -> Iterator[Sample]:
    size = (40, 24)
    for turn in range(1, 9):
        for kind, extension in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
            data = written(size, kind, exif=exif(turn))
            yield Sample(f"turned-{turn}.{extension}", data, size, turn)
        yield Sample(
            f"turned-{turn}.tif", written(size, "TIFF", tiffinfo={_ORIENTATION: turn}), size, turn
        )
        yield Sample(f"turned-{turn}.avif", written(size, "AVIF", exif=exif(turn)), size, turn)


def _special() -> Iterator[Sample]:
    size = (40, 24)
    large = {"icc_profile": b"profile" * 90_000}
    yield Sample("progressive.jpg", written(size, "JPEG", progressive=True), size)
    yield Sample("profile.jpg", written(size, "JPEG", **large), size)
    yield Sample("cmyk.jpg", written(size, "JPEG", mode="CMYK"), size)
    yield Sample("fill-bytes.jpg", b"\xff\xd8\xff\xff" + written(size, "JPEG")[3:], size)
    yield Sample("moving.webp", written(size, "WEBP", **frames(size)), size, animated=True)
    yield Sample("moving.avif", written(size, "AVIF", speed=10, **frames(size)), size, 1, True)
    yield Sample("big.tif", written(size, "TIFF", big_tiff=True), size)
    yield Sample("pages.tif", written(size, "TIFF", **frames(size)), size)
    yield Sample("icons.ico", written((256, 256), "ICO", sizes=[(16, 16), (256, 256)]), (256, 256))
    yield Sample("codestream.jp2", written(size, "JPEG2000", no_jp2=True), size)
    yield Sample("rows-down.bmp", _rows_down(size), size)
    yield Sample("os2.bmp", _os2(size), size)
    yield Sample("once.gif", written(size, "GIF"), size)
    yield Sample("plays-once.gif", written(size, "GIF", **frames(size, 2)), size, animated=True)


def _rows_down(size: tuple[int, int]) -> bytes:
    data = written(size, "BMP")
    return data[:22] + struct.pack("<i", -size[1]) + data[26:]


def _os2(size: tuple[int, int]) -> bytes:
    pixels = bytes(3 * size[0] * size[1])
    head = struct.pack("<IHHHH", 12, *size, 1, 24)
    return struct.pack("<2sIHHI", b"BM", 26 + len(pixels), 0, 0, 26) + head + pixels
