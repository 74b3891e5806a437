#!/usr/bin/env bash
# Magika, the detector that Google trained, has no label for HEIC and none for AVIF among the 215 that its model
# gives (`standard_v3_3`): it calls both `mp4`, group video, in its most careful mode, `HIGH_CONFIDENCE`, where it
# would rather say that it does not know. So the photos of an iPhone are films to it, whoever wrote them, by all
# of the file or by its first 4,096 bytes. Its knowledge base does list `heif` and `avif`, with types of their
# own, but no answer leads there. JPEG, WebP, JPEG 2000 and TIFF of the same picture it tells rightly.
# The box `ftyp` at the beginning of each tells them from films (ISO/IEC 23008-12); libmagic 5.48, filetype 1.2.0
# and file-type 22.3.0 go by that.
# Here it matters to a check behind an upload that takes Magika's word: of a field for images it refuses what
# Claimcheck has confirmed as image/heic.
#
# Seen with magika 1.0.3, Pillow 13.0.0, pillow-heif 1.8.1, pyvips-binary 8.18.7, Python 3.11:
#   jpeg by Pillow: image/jpeg, of its first 4096 bytes: image/jpeg
#   webp by Pillow: image/webp, of its first 4096 bytes: image/webp
#   heic by pillow-heif: video/mp4, of its first 4096 bytes: video/mp4
#   avif by Pillow: video/mp4, of its first 4096 bytes: video/mp4
#   avif by libvips: video/mp4, of its first 4096 bytes: video/mp4
#   labels of the model: jpeg yes, webp yes, heif no, avif no
# Expected: image/heic and image/avif, or that it does not know.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
  magika==1.0.3 pillow==13.0.0 pillow-heif==1.8.1 pyvips==3.2.0 pyvips-binary==8.18.7
"$scratch/venv/bin/python" - <<'PYTHON'
import io
import random
import sys

import pillow_heif
import pyvips
from magika import Magika, PredictionMode
from PIL import Image

pillow_heif.register_heif_opener()
magika = Magika(prediction_mode=PredictionMode.HIGH_CONFIDENCE)

# A picture with slopes and grain, as of a camera.
random.seed(1)
slopes = Image.frombytes("RGB", (16, 12), random.randbytes(16 * 12 * 3)).resize((1600, 1200), Image.Resampling.BICUBIC)
grain = Image.frombytes("RGB", (1600, 1200), random.randbytes(1600 * 1200 * 3))
photo = Image.blend(slopes, grain, 0.05)


def by_pillow(format_):
    buffer = io.BytesIO()
    photo.save(buffer, format_)
    return buffer.getvalue()


files = {
    "jpeg by Pillow": by_pillow("JPEG"),
    "webp by Pillow": by_pillow("WEBP"),
    "heic by pillow-heif": by_pillow("HEIF"),
    "avif by Pillow": by_pillow("AVIF"),
    "avif by libvips": pyvips.Image.new_from_memory(photo.tobytes(), 1600, 1200, 3, "uchar").write_to_buffer(".avif"),
}
seen = []
for name, contents in files.items():
    whole, head = (magika.identify_bytes(given).output.mime_type for given in (contents, contents[:4096]))
    seen.append(f"{name}: {whole}, of its first 4096 bytes: {head}")
labels = {str(label) for label in magika.get_model_content_types()}
known = ", ".join(f"{name} {'yes' if name in labels else 'no'}" for name in ("jpeg", "webp", "heif", "avif"))
seen.append(f"labels of the model: {known}")
print("\n".join(seen))
sys.exit(
    seen
    != [
        *(f"{name} by Pillow: image/{name}, of its first 4096 bytes: image/{name}" for name in ("jpeg", "webp")),
        *(
            f"{name}: video/mp4, of its first 4096 bytes: video/mp4"
            for name in ("heic by pillow-heif", "avif by Pillow", "avif by libvips")
        ),
        "labels of the model: jpeg yes, webp yes, heif no, avif no",
    ]
)
PYTHON
