#!/usr/bin/env bash
# OpenCV turns what it reads as EXIF says, so that photos stand. Of a TIFF whose orientation swaps width and height
# (5 to 8) `imread` gives None, as for a file that is no image; its log names an inner condition that failed.
# `imdecode` reads the very same bytes, turned, and turned too where `IMREAD_IGNORE_ORIENTATION` asks for the
# image as it is stored. An AVIF, which is turned by its boxes `irot` and `imir` and not by EXIF (ISO/IEC
# 23008-12), is left lying by both: nothing in the answer says that it should be turned. OpenCV 4.14.0.94 does the
# same.
# Here it matters to what is done to images once they are confirmed: `max_pixels` lets such a TIFF in, and tells
# the `orientation` of both.
#
# Seen with opencv-python-headless 5.0.0.93, files by Pillow 13.0.0, Python 3.11, of 40 x 24, shown as 24 x 40:
#   JPEG: imread 24 x 40, imdecode 24 x 40, ignoring the orientation 40 x 24
#   WEBP: imread 24 x 40, imdecode 24 x 40, ignoring the orientation 40 x 24
#   TIFF: imread None, imdecode 24 x 40, ignoring the orientation 24 x 40
#   AVIF: imread 40 x 24, imdecode 40 x 24, ignoring the orientation 40 x 24
# Expected: of all what is seen of JPEG.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 pillow==13.0.0
"$scratch/venv/bin/python" - "$scratch/image" 2>"$scratch/log" <<'PYTHON'
import sys
from pathlib import Path

import cv2
import numpy
from PIL import ExifTags, Image, ImageOps


def size(image):
    return "None" if image is None else f"{image.shape[1]} x {image.shape[0]}"


def see(format_, path):
    """The sizes that OpenCV gives of an image that Pillow shows as 24 x 40."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (40, 24)).save(path, format_, exif=exif)
    assert ImageOps.exif_transpose(Image.open(path)).size == (24, 40)
    contents = numpy.frombuffer(Path(path).read_bytes(), numpy.uint8)
    turned = size(cv2.imread(path)), size(cv2.imdecode(contents, cv2.IMREAD_COLOR))
    stored = size(cv2.imdecode(contents, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION))
    print(f"{format_}: imread {turned[0]}, imdecode {turned[1]}, ignoring the orientation {stored}")
    return *turned, stored


standing, lying = "24 x 40", "40 x 24"
seen = [see(format_, sys.argv[1]) for format_ in ("JPEG", "WEBP", "TIFF", "AVIF")]
right = (standing, standing, lying)
sys.exit(seen != [right, right, ("None", standing, standing), (lying, lying, lying)])
PYTHON
