"""Camera raw files: DNG by PiDNG, and TIFF with the makers' marks as their cameras write them.

No program but a camera writes NEF, ARW and the like; these have the structure (TIFF with a
preview, raw data in a sub-directory, `Make` and `Model`) and are held against ExifTool, which
tells them by it.
"""

import subprocess
from pathlib import Path
from typing import Final

# Extension: make, model, and what stands where TIFF has its `II*\0`.
_CAMERAS: Final = {
    "nef": ("NIKON CORPORATION", "NIKON D750", b"II*\0"),
    "nrw": ("NIKON CORPORATION", "COOLPIX P7000", b"II*\0"),
    "pef": ("PENTAX", "PENTAX K-5", b"MM\0*"),
    "arw": ("SONY", "ILCE-7M3", b"II*\0"),
    "sr2": ("SONY", "DSC-R1", b"II*\0"),
    "kdc": ("EASTMAN KODAK COMPANY", "KODAK EASYSHARE Z981", b"MM\0*"),
    "dcr": ("Kodak", "DCS Pro 14N", b"MM\0*"),
    "cr2": ("Canon", "Canon EOS 5D Mark II", b"II*\0"),
    "orf": ("OLYMPUS IMAGING CORP.", "E-M1", b"IIRO"),
    "rw2": ("Panasonic", "DMC-GH4", b"IIU\0"),
    "srw": ("SAMSUNG", "NX300", b"II*\0"),
    "erf": ("SEIKO EPSON CORP.", "R-D1", b"II*\0"),
    "3fr": ("Hasselblad", "H3D-39", b"II*\0"),
    "iiq": ("Phase One", "P 45+", b"II*\0"),
    "mef": ("Mamiya", "ZD", b"II*\0"),
    "mos": ("Leaf", "Aptus 22", b"II*\0"),
    "rwl": ("LEICA", "D-LUX 5", b"IIU\0"),
}


def make(to: Path) -> None:
    import numpy
    import tifffile

    pixels = numpy.arange(256, dtype=numpy.uint16).reshape(16, 16)
    for extension, (maker, model, start) in _CAMERAS.items():
        path = to / f"camera.{extension}"
        order = ">" if start.startswith(b"MM") else "<"
        with tifffile.TiffWriter(path, byteorder=order) as tiff:
            tags = [(271, "s", 0, maker, True), (272, "s", 0, model, True)]
            preview = (pixels >> 8).astype(numpy.uint8)
            tiff.write(preview, subifds=1, extratags=tags, metadata=None)
            tiff.write(pixels, photometric=32803, metadata=None)
        data = bytearray(path.read_bytes())
        data[:4] = start
        if extension == "cr2":  # "CR", version 2.0, in a header of 16 bytes
            data[8:8] = b"CR\2\0\0\0\0\0"
        path.write_bytes(data)
    _dng(to, pixels)


def _dng(to: Path, pixels: object) -> None:
    from pidng.core import RAW2DNG, DNGTags, Tag
    from pidng.defs import CalibrationIlluminant, CFAPattern, DNGVersion, PhotometricInterpretation

    tags = DNGTags()
    for tag, value in (
        (Tag.ImageWidth, 16),
        (Tag.ImageLength, 16),
        (Tag.TileWidth, 16),
        (Tag.TileLength, 16),
        (Tag.BitsPerSample, 16),
        (Tag.SamplesPerPixel, 1),
        (Tag.PhotometricInterpretation, PhotometricInterpretation.Color_Filter_Array),
        (Tag.CFARepeatPatternDim, [2, 2]),
        (Tag.CFAPattern, CFAPattern.RGGB),
        (Tag.Make, "Claimcheck"),
        (Tag.Model, "Corpus"),
        (Tag.CalibrationIlluminant1, CalibrationIlluminant.D65),
        (Tag.DNGVersion, DNGVersion.V1_4),
        (Tag.DNGBackwardVersion, DNGVersion.V1_2),
    ):
        tags.set(tag, value)
    converter = RAW2DNG()
    converter.options(tags, path=str(to))
    converter.convert(pixels, filename="phone.dng")


def told_by_exiftool(folder: Path) -> dict[str, str]:
    """The type that ExifTool finds of each file, by name."""
    said = subprocess.run(
        ["exiftool", "-s3", "-p", "$FileName\t$MIMEType", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return dict(line.split("\t") for line in said.splitlines() if "\t" in line)
