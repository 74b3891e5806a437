"""Content types: by file name extension, as clients write them, and one spelling for each."""

import re
from typing import Final

from content_types import EXTENSION_TO_CONTENT_TYPE

OCTET_STREAM: Final = "application/octet-stream"

# What the table lacks, and where it has another type than most (an extension that film and sound
# share is film's, as in Chromium, Firefox and the freedesktop.org table).
_MORE: Final = """
video/3gpp 3gp 3gpp; video/3gpp2 3g2 3gpp2; video/mp2t ts; image/jxl jxl; image/jpeg jfif pjpeg pjp;
image/jp2 jp2; image/svg+xml svgz; image/x-samsung-srw srw; image/x-kodak-kdc kdc; image/x-tga tga;
image/vnd.dwg dwg; image/vnd.dxf dxf; image/x-exr exr; image/vnd.radiance hdr; image/vnd.ms-dds dds;
image/x-icns icns; image/emf emf; image/wmf wmf; image/apng apng; image/vnd.djvu djvu djv;
audio/amr amr; audio/x-caf caf; audio/x-matroska mka; audio/x-m4b m4b; audio/ogg oga spx;
audio/ac3 ac3; audio/vnd.dts dts; audio/x-mpegurl m3u; audio/x-scpls pls; video/x-ms-asf asf;
video/ogg ogm; application/dash+xml mpd; application/mxf mxf; text/calendar ics ifb; text/vcard vcf;
application/gpx+xml gpx; application/vnd.google-earth.kml+xml kml;
application/vnd.google-earth.kmz kmz; application/geo+json geojson; application/gml+xml gml;
application/vnd.las las laz; application/geopackage+sqlite3 gpkg; model/vnd.usdz+zip usdz;
model/3mf 3mf; model/ply ply; application/jsonl jsonl; application/x-ndjson ndjson;
application/xhtml+xml xhtml xht; application/atom+xml atom; application/rss+xml rss;
application/java-archive jar; application/vnd.comicbook+zip cbz; application/vnd.comicbook-rar cbr;
application/x-mobipocket-ebook mobi; application/vnd.amazon.ebook azw azw3;
application/x-fictionbook+xml fb2; application/vnd.apple.keynote key;
application/vnd.apple.pages pages; application/vnd.apple.numbers numbers;
application/vnd.ms-project mpp; application/vnd.ms-outlook msg; application/vnd.visio vsd;
application/vnd.ms-visio.drawing.main+xml vsdx; application/onenote one;
application/vnd.ms-publisher pub; application/vnd.ms-xpsdocument xps; application/oxps oxps;
application/vnd.ms-word.document.macroenabled.12 docm;
application/vnd.ms-excel.sheet.macroenabled.12 xlsm;
application/vnd.ms-excel.sheet.binary.macroenabled.12 xlsb;
application/vnd.ms-powerpoint.presentation.macroenabled.12 pptm;
application/vnd.openxmlformats-officedocument.wordprocessingml.template dotx;
application/vnd.openxmlformats-officedocument.spreadsheetml.template xltx;
application/vnd.openxmlformats-officedocument.presentationml.template potx;
application/vnd.openxmlformats-officedocument.presentationml.slideshow ppsx;
application/vnd.oasis.opendocument.text-template ott;
application/vnd.oasis.opendocument.spreadsheet-template ots;
application/vnd.oasis.opendocument.presentation-template otp;
application/vnd.oasis.opendocument.text-flat-xml fodt;
application/vnd.oasis.opendocument.spreadsheet-flat-xml fods;
application/vnd.oasis.opendocument.presentation-flat-xml fodp;
application/vnd.oasis.opendocument.graphics-flat-xml fodg;
application/pkcs7-signature p7s; application/pkcs7-mime p7m; application/pgp-signature sig asc;
application/pgp-encrypted gpg pgp; application/x-pem-file pem; application/pkix-cert cer crt der;
application/vnd.ms-fontobject eot; font/collection ttc; application/x-subrip srt;
application/vnd.apache.orc orc; application/x-xz txz; audio/mpeg mpa; application/octet-stream db
"""
# The same answer on every replica, whatever the Python and the machine are.
_TYPES: Final = EXTENSION_TO_CONTENT_TYPE | {
    extension: kind
    for kind, *extensions in (line.split() for line in _MORE.split(";"))
    for extension in extensions
}

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - RFC 9110 section 5.6.2
_TYPE: Final = re.compile(r"[A-Za-z0-9!#&^_.+-]{1,127}/[A-Za-z0-9!#&^_.+-]{1,127}")
# A parameter up to its end: a token or a quoted string, or what was meant as a value.
_PARAMETER: Final = re.compile(
    rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))[^;]*(?:;|$)|[^;]*(?:;|$)'
)
_MAX_LENGTH: Final = 255
# Of a type as a client has it.
MAX_GIVEN_TYPE: Final = 1000


def guess_content_type(extension: str) -> str:
    """The content type of an extension without its dot; application/octet-stream if unknown."""
    return _TYPES.get(extension, OCTET_STREAM)


def types_in(*lines: str) -> frozenset[str]:
    """The content types in these lines, separated by spaces."""
    return frozenset(" ".join(lines).split())


def essence(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def charset_of(content_type: str) -> str | None:
    """The charset that a normalized type names, in lower case; None if it names none."""
    found = re.search(r'; charset="?([^;"]+)', content_type)
    return found[1].lower() if found else None


def announced_content_type(said: object) -> str | None:
    """The type of a file as its client announces it, in one spelling; None if it cannot be a type.

    Browsers announce "", pickers `image`, and `MediaRecorder` `video/webm;codecs=vp8,opus`.
    """
    if not isinstance(said, str) or not _TYPE.fullmatch(essence(said)):
        return None
    return normalize_content_type(said)


def normalize_content_type(content_type: str) -> str:
    """Type, subtype and names of parameters in lower case, values unquoted where they can be
    (RFC 9110, section 5.6.6), one space before each parameter.

    Left out is a parameter that has no value, or a comma, which a POST policy reads as the end of
    one of several types, or `$`, which starts a variable there; and what is beyond 255 characters.
    """
    kind, _, rest = content_type.partition(";")
    normalized = kind.strip().lower()
    end = 0
    while end < len(rest) and (found := _PARAMETER.match(rest, end)) and found.end() > end:
        end = found.end()
        if found[1] is None:
            continue
        quoted, bare = found[2], (found[3] or "").strip()
        value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        parameter = f"; {found[1].lower()}={_written(value)}"
        if (
            _can_be_signed(found[1] + value)
            and value
            and len(normalized + parameter) <= _MAX_LENGTH
        ):
            normalized += parameter
    return normalized


def _written(value: str) -> str:
    return value if re.fullmatch(_TOKEN, value) else f'"{value}"'


def _can_be_signed(value: str) -> bool:
    return bool(re.fullmatch(r'[^,$"\\]+', value)) and value.isascii() and value.isprintable()
