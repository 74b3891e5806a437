#!/usr/bin/env bash
# Pillow does not open a BigTIFF in big-endian order (`MM`), though its TIFF plugin names this beginning among
# those that it accepts: it looks for the version, 43, in the third byte, which is 0 in that order, and takes
# the file for a TIFF with offsets of 32 bits. It writes such files itself: an image of the mode `I;16B`,
# 16-bit grey in that order, saved with `big_tiff=True`. libvips 8.18 and tifffile open them, and Pillow opens
# the same image as TIFF.
# Here it matters in app/core/images.py, which takes both orders for BigTIFF: an image that a destination with
# limits lets in may be one that Pillow cannot open.
#
# Seen with Pillow 13.0.0, tifffile 2026.3.3, Python 3.11, of images that Pillow wrote:
#   I;16B, TIFF, MM: Pillow (40, 24), tifffile (40, 24)
#   I;16B, BigTIFF, MM: Pillow UnidentifiedImageError, tifffile (40, 24)
#   I;16, BigTIFF, II: Pillow (40, 24), tifffile (40, 24)
# Expected: (40, 24) each time.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import io
import sys

import tifffile
from PIL import Image, UnidentifiedImageError


def see(mode, big):
    """What Pillow and tifffile say of an image's size, and in what order its bytes are."""
    buffer = io.BytesIO()
    Image.new(mode, (40, 24)).save(buffer, "TIFF", big_tiff=big)
    buffer.seek(0)
    try:
        by_pillow = str(Image.open(buffer).size)
    except UnidentifiedImageError as error:
        by_pillow = type(error).__name__
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as file:
        assert file.is_bigtiff is big
        by_tifffile = str(file.pages[0].shape[::-1])
    kind = "BigTIFF" if big else "TIFF"
    return f"{mode}, {kind}, {buffer.getvalue()[:2].decode()}", by_pillow, by_tifffile


seen = [see("I;16B", False), see("I;16B", True), see("I;16", True)]
for what, by_pillow, by_tifffile in seen:
    print(f"{what}: Pillow {by_pillow}, tifffile {by_tifffile}")
size = "(40, 24)"
sys.exit([said[1:] for said in seen] != [(size, size), ("UnidentifiedImageError", size), (size, size)])
PYTHON
