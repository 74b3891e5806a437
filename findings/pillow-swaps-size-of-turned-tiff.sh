#!/usr/bin/env bash
# Pillow gives the size of an image as it is stored, and its orientation beside it: whoever wants the size as shown
# swaps width and height from orientation 5 on. Not so of a TIFF: `Image.open` gives its size as shown, while
# `getexif()` says 6 until the pixels are loaded, which are then turned, and the tag is gone. (Of JPEG, PNG and
# WebP both stay as stored.) So the usual three lines that measure without decoding swap a TIFF back to a lying
# one, and what is measured depends on whether somebody has loaded it: thumbnail, crop, convert. `exif_transpose`
# is right of all of them. libvips 8.18 and sharp 0.35.5 give the stored size of TIFF too.
# Here it matters to `image` in a file's JSON, which is as stored, of TIFF too: compared with Pillow's size it
# seems wrong.
#
# Seen with Pillow 13.0.0, pyvips-binary 8.18.7, Python 3.11, of 40 x 24 with orientation 6, so 24 x 40 as shown:
#   JPEG: opened (40, 24) with 6, loaded (40, 24) with 6, libvips (40, 24) with 6
#   PNG: opened (40, 24) with 6, loaded (40, 24) with 6, libvips (40, 24) with 6
#   WEBP: opened (40, 24) with 6, loaded (40, 24) with 6, libvips (40, 24) with 6
#   TIFF: opened (24, 40) with 6, loaded (24, 40) with None, libvips (40, 24) with 6
# Expected: (40, 24) with 6 each time.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  pillow==13.0.0 pyvips==3.2.0 pyvips-binary==8.18.7
"$scratch/venv/bin/python" - <<'PYTHON'
import io
import sys

import pyvips
from PIL import ExifTags, Image, ImageOps

ORIENTATION = ExifTags.Base.Orientation


def see(format_):
    """An image's size and orientation: once Pillow has opened it, once it has loaded it, and by libvips."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = 6
    Image.new("RGB", (40, 24)).save(buffer, format_, exif=exif)
    assert ImageOps.exif_transpose(Image.open(buffer)).size == (24, 40)
    image = Image.open(buffer)
    opened = image.size, image.getexif().get(ORIENTATION)
    image.load()
    loaded = image.size, image.getexif().get(ORIENTATION)
    other = pyvips.Image.new_from_buffer(buffer.getvalue(), "")
    by_vips = (other.width, other.height), other.get("orientation")
    said = zip(("opened", "loaded", "libvips"), (opened, loaded, by_vips))
    print(f"{format_}: {', '.join(f'{when} {size} with {turned}' for when, (size, turned) in said)}")
    return opened, loaded, by_vips


seen = [see(format_) for format_ in ("JPEG", "PNG", "WEBP", "TIFF")]
stored = ((40, 24), 6)
sys.exit(seen != [*[(stored, stored, stored)] * 3, (((24, 40), 6), ((24, 40), None), stored)])
PYTHON
