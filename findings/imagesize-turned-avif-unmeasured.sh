#!/usr/bin/env bash
# `imagesize.get` gives (-1, -1), its word for "unknown", for an AVIF that is turned by its `irot`
# property, as photos of phones are; without that it measures the same picture. It skips four bytes
# of version and flags in front of the angle, which that box does not have (ISO/IEC 23008-12,
# section 6.5.10: it is no full box), and finds the box too short.
# It is one of the reasons why app/core/image_boxes.py reads these boxes itself.
#
# Seen with imagesize 2.0.1, Python 3.11, files by Pillow 13.0.0:
#   as it is: (40, 24), turned: (-1, -1)
# Expected: (40, 24) and (24, 40).
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check imagesize==2.0.1 pillow==13.0.0
"$scratch/venv/bin/python" - <<'PYTHON'
import io
import sys

import imagesize
from PIL import Image


def size_of(orientation):
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 24)).save(buffer, "AVIF", exif=exif)
    assert (b"irot" in buffer.getvalue()) is (orientation == 6)
    return imagesize.get(io.BytesIO(buffer.getvalue()))


plain, turned = size_of(1), size_of(6)
print(f"as it is: {plain}, turned: {turned}")
sys.exit((plain, turned) != ((40, 24), (-1, -1)))
PYTHON
