"""Beginnings of files, as real programs write them."""

import hashlib
import io
import zipfile


def zipped(*names: str, first: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if first is not None:
            archive.writestr(zipfile.ZipInfo("mimetype"), first)
        for name in names:
            archive.writestr(name, f"<{name}/>" * 20)
    return buffer.getvalue()


def ftyp(brand: str) -> bytes:
    return b"\0\0\0\x1cftyp" + brand.encode() + b"\0\0\2\0isommp41\0\0\0\x08free" + bytes(60)


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
WEBP = b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0" + bytes(24)
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0" + bytes(24)
BMP = b"BM\x7e\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\4\0\4\0\1\0\x18\0" + bytes(100)
MP3 = b"ID3\4\0\0\0\0\0\0\xff\xfb\x90\x64" + bytes(100)
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm" + bytes(40)
OGG = b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead" + bytes(40)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DOCX = zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml")
EXE = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8\0\0\0" + bytes(40) + b"\x80\0\0\0" + bytes(64)
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
XML = b'<?xml version="1.0"?>\n<note><a>1</a></note>'
TARGA = bytes(range(256)) * 4
CSV = b"id,name\n1,Ann\n2,Bob\n"
NOISE = hashlib.shake_256(b"noise").digest(1000)
