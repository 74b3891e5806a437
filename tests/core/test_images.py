"""Images are measured as Pillow measures them, from few reads, whatever stands in their headers."""

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.core.contents import HEAD_BYTES, detect
from app.core.image_headers import Image as Found
from app.core.images import is_raster, measure
from app.core.ranges import Reader
from tests.support.images import Sample, samples, written

SAMPLES = list(samples())
_MOST, _AT_ONCE = 8, 131_072


def measured(data: bytes) -> tuple[Found | None, int]:
    """The image, as confirm measures it, and how many reads followed the first."""
    reader = Reader(measure(len(data)), len(data), data[:HEAD_BYTES])
    reads, wanted = 0, reader.run()
    while wanted is not None:
        if reads == _MOST:
            reader.give_up()
            break
        reads += 1
        offset, length = wanted
        wanted = reader.run(data[offset : offset + max(length, _AT_ONCE)])
    return reader.found, reads


def test_there_are_two_hundred_of_twelve_formats() -> None:
    assert len(SAMPLES) >= 200
    kinds = {sample.name.rpartition(".")[2] for sample in SAMPLES}
    assert " ".join(sorted(kinds)) == "apng avif bmp gif heic ico jp2 jpg jxl png tif webp"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_width_and_height_are_what_pillow_says(sample: Sample) -> None:
    found, reads = measured(sample.data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(sample.data)) as image:
            # Pillow gives a TIFF's size as it is shown.
            is_swapped = image.format == "TIFF" and sample.orientation > 4
            assert image.size == (sample.size[::-1] if is_swapped else sample.size)
            moves = getattr(image, "is_animated", False)
            assert sample.animated == moves or sample.name == "pages.tif"
    assert found is not None
    assert (found.width, found.height) == sample.size
    assert (found.orientation, found.animated) == (sample.orientation, sample.animated)
    assert reads <= (0 if len(sample.data) <= HEAD_BYTES else 6)
    assert is_raster(detect(sample.data[:HEAD_BYTES]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_heif_is_measured_as_it_is_stored(orientation: int) -> None:
    """As AVIF has it: turned by properties of the item, which Pillow's plug-in applies itself."""
    angles = {1: 0, 2: 0, 3: 2, 4: 0, 5: 1, 6: 3, 7: 1, 8: 1}
    sample = next(one for one in SAMPLES if one.name == f"turned-{orientation}.avif")
    found, _ = measured(sample.data)
    assert found == Found(40, 24, orientation, False, 40 * 24)
    assert (b"irot" in sample.data) == bool(angles[orientation])


def test_a_heif_that_is_cut_counts_all_pixels_that_are_decoded() -> None:
    found, _ = measured(written((17, 31), "HEIF"))
    assert found is not None
    assert (found.width, found.height) == (17, 31)
    assert found.pixels >= 64 * 64


def test_a_picture_larger_than_its_icon_counts() -> None:
    """Decoders go by the header of the PNG, and not by the directory in front of it."""
    data = bytearray(written((16, 16), "ICO", sizes=[(16, 16)]))
    inner = written((3000, 2000), "PNG")
    data[14:18] = len(inner).to_bytes(4, "little")
    found, reads = measured(bytes(data[:22]) + inner)
    assert found is not None
    assert (found.width, found.height, found.pixels) == (16, 16, 6_000_000)
    assert reads == 0


def test_a_frame_beyond_the_screen_counts() -> None:
    """GIF's decoders make room for it."""
    data = bytearray(written((4, 4), "GIF"))
    frame = data.index(b",", 13)
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    found, _ = measured(bytes(data))
    assert found is not None
    assert (found.width, found.height) == (65_535, 65_535)


def test_an_animation_whose_second_frame_is_far_away_is_told_by_its_loop() -> None:
    block = b"\xff" + bytes(255)
    head = b"GIF89a\x10\0\x10\0\0\0\0"
    loop = b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0"
    frame = b",\0\0\0\0\x10\0\x10\0\0\x08" + block * 8000 + b"\0"
    for says_so in (True, False):
        data = head + (loop if says_so else b"") + frame * 2 + b";"
        assert measured(data) == (Found(16, 16, 1, says_so), _MOST)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xda\0\2" + bytes(50),
        b"GIF89a",
        b"RIFF\0\0\0\0WEBPJUNK" + bytes(20),
        b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + bytes(30),
        b"BM" + bytes(40),
        b"\0\0\1\0\0\0",
        b"II*\0\xff\xff\xff\xff" + bytes(20),
        b"II*\0\x08\0\0\0\xff\xff" + bytes(20),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20),
        b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20),
        b"\xff\x0a",
        b"\0\0\0\x14ftypheic\0\0\0\0mif1\0\0\0\0meta\0\0\0\0",
        b"%PDF-1.7",
    ],
)
def test_a_header_that_is_none_measures_nothing(data: bytes) -> None:
    assert measured(data)[0] is None


@given(st.integers(0, len(SAMPLES) - 1), st.lists(st.tuples(st.integers(0, 600), st.binary())))
def test_mutated_headers_never_hurt(number: int, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(SAMPLES[number].data)
    for place, new in changes:
        data[place : place + len(new)] = new
    _, reads = measured(bytes(data))
    assert reads <= _MOST


def test_an_image_without_end_is_given_up() -> None:
    endless = (
        b"\xff\xd8\xff\xe0" + b"\0\2\xff\xe0" * 1_000_000,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
        + b"\0\0\0\0tEXt\0\0\0\0" * 400_000,
        b"\0\0\0\x0cftypavif" + b"\0\0\0\x08free" * 400_000,
        b"\xff\xd8" + b"\xff" * 4_000_000,
    )
    # By the number of steps, long before that of reads.
    jpeg, png, avif, filled = (measured(data) for data in endless)
    assert jpeg[0] is None
    assert png[0] == Found(1, 1)
    assert avif[0] is None
    assert filled[0] is None
    assert max(reads for _, reads in (jpeg, png, avif, filled)) < _MOST
