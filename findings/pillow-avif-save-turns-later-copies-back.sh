#!/usr/bin/env bash
# Saving an image as AVIF with `exif=photo.getexif()` takes the orientation out of that very object: Pillow writes
# it as the boxes `irot` and `imir`, and deletes the tag from the Exif that it was given instead of from a copy.
# `getexif()` gives the same object each time. So whatever is made of the photo after its AVIF is lying on its
# side: a JPEG or WebP as fallback, a second AVIF of another size, and `ImageOps.exif_transpose(photo)` does
# nothing any more. Made before it they stand. Saving as JPEG, PNG, WebP or TIFF, or as HEIC with pillow-heif
# 1.8.1, leaves the Exif as it is, and so does AVIF with `exif=photo.getexif().tobytes()`.
# Here it matters to thumbnails and smaller copies that are made of uploads with Pillow: the original and its
# `orientation` are as they were, so that nothing but a look tells it.
#
# Seen with Pillow 13.0.0, Python 3.11, of a JPEG of 40 x 24 with orientation 6, so 24 x 40 as shown:
#   JPEG, then AVIF: (24, 40), (24, 40), the photo itself (40, 24)
#   AVIF, then JPEG: (24, 40), (40, 24), the photo itself (40, 24)
#   AVIF, then AVIF: (24, 40), (40, 24), the photo itself (40, 24)
#   WEBP, then JPEG: (24, 40), (24, 40), the photo itself (24, 40)
#   AVIF of tobytes(), then JPEG: (24, 40), (24, 40), the photo itself (24, 40)
# Expected: (24, 40) each time.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$scratch/venv/bin/python" - <<'PYTHON'
import io
import sys

from PIL import ExifTags, Image, ImageOps

exif = Image.Exif()
exif[ExifTags.Base.Orientation] = 6
buffer = io.BytesIO()
Image.new("RGB", (40, 24)).save(buffer, "JPEG", exif=exif)


def see(first, then, as_bytes=False):
    """The sizes, as shown, of two copies of a photo that are made one after the other, and of the photo then."""
    photo, shown = Image.open(io.BytesIO(buffer.getvalue())), []
    for format_ in (first, then):
        copy, exif = io.BytesIO(), photo.getexif()
        photo.save(copy, format_, exif=exif.tobytes() if as_bytes else exif)
        shown.append(ImageOps.exif_transpose(Image.open(copy)).size)
    itself = ImageOps.exif_transpose(photo).size
    how = " of tobytes()" if as_bytes else ""
    print(f"{first}{how}, then {then}: {shown[0]}, {shown[1]}, the photo itself {itself}")
    return [*shown, itself]


standing, lying = (24, 40), (40, 24)
seen = [
    see("JPEG", "AVIF"),
    see("AVIF", "JPEG"),
    see("AVIF", "AVIF"),
    see("WEBP", "JPEG"),
    see("AVIF", "JPEG", as_bytes=True),
]
sys.exit(
    seen
    != [
        [standing, standing, lying],
        [standing, lying, lying],
        [standing, lying, lying],
        [standing] * 3,
        [standing] * 3,
    ]
)
PYTHON
