#!/usr/bin/env bash
# probe-image-size (Node.js) tells an image's orientation as EXIF numbers it, and of AVIF it makes that number from
# the boxes `irot` and `imir`. It takes the angle of `irot` for one with the clock; it is against it (ISO/IEC
# 23008-12, section 6.5.10). So what is to be turned a quarter with the clock, orientation 6, as photos of
# phones that are held upright, is 8, and 8 is 6: who turns by it shows people on their heads, though width
# and height come out right. The half turn and what is mirrored as well are right, and so are JPEG and WebP.
# Pillow writes these boxes, and libvips shows the AVIF as it shows the JPEG.
# Here it matters to whoever compares `image.orientation` of a file's JSON, or turns pictures by the number.
#
# Seen with probe-image-size 7.5.0, Pillow 13.0.0, pyvips-binary 8.18.7, Python 3.11, Node.js 20, the red corner
# as shown by libvips:
#   orientation 1: JPEG 1, AVIF undefined, red at the top left
#   orientation 3: JPEG 3, AVIF 3, red at the bottom right
#   orientation 6: JPEG 6, AVIF 8, red at the top right
#   orientation 8: JPEG 8, AVIF 6, red at the bottom left
# Expected: of AVIF the same as of JPEG, 1 may be undefined.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pillow==13.0.0 pyvips==3.2.0 pyvips-binary==8.18.7
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts probe-image-size@7.5.0
cat >see.mjs <<'JS'
import { readFileSync } from "node:fs";
import probe from "probe-image-size";

const said = process.argv.slice(2).map((path) => String(probe.sync(readFileSync(path)).orientation));
console.log(JSON.stringify(said));
JS
venv/bin/python - <<'PYTHON'
import json
import subprocess
import sys
from pathlib import Path

import pyvips
from PIL import ExifTags, Image

picture = Image.new("RGB", (40, 24), "white")
picture.paste("red", (0, 0, 16, 10))


def red(path):
    """The corner where libvips shows what was red at the top left before it was turned."""
    image = pyvips.Image.new_from_buffer(Path(path).read_bytes(), "").autorot()
    right, bottom = image.width - 3, image.height - 3
    corners = {"top left": (2, 2), "top right": (right, 2), "bottom left": (2, bottom), "bottom right": (right, bottom)}
    (found,) = (name for name, place in corners.items() if image.getpoint(*place)[1] < 128)
    return found


seen = []
for orientation in (1, 3, 6, 8):
    for format_ in ("jpeg", "avif"):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        picture.save(f"picture.{format_}", exif=exif)
    program = ["node", "see.mjs", "picture.jpeg", "picture.avif"]
    by_probe = json.loads(subprocess.run(program, check=True, capture_output=True).stdout)
    assert red("picture.jpeg") == red("picture.avif")
    seen.append(f"orientation {orientation}: JPEG {by_probe[0]}, AVIF {by_probe[1]}, red at the {red('picture.avif')}")
print("\n".join(seen))
expected = [
    "orientation 1: JPEG 1, AVIF undefined, red at the top left",
    "orientation 3: JPEG 3, AVIF 3, red at the bottom right",
    "orientation 6: JPEG 6, AVIF 8, red at the top right",
    "orientation 8: JPEG 8, AVIF 6, red at the bottom left",
]
sys.exit(seen != expected)
PYTHON
