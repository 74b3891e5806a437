"""Formats by the names that browsers, desktops and detectors have for them. Pure.

A family is one format, or several in one container that only a player or an office program tells
apart. Its first name stands for all.
"""

from typing import Final

from app.core.content_types import types_in

ZIP: Final = "application/zip"
OLE: Final = "application/x-ole-storage"
PDF: Final = "application/pdf"
_TIFF: Final = "image/tiff"
_MP3: Final = "audio/mpeg"
_MPEG_TS: Final = "video/mp2t"
_PROGRAM: Final = "application/vnd.microsoft.portable-executable"

# All of these begin with their signature. PDF, zip and MPEG may have other bytes in front; what is
# found to be another of these is that other one all the same.
_FAMILIES: Final = (
    "image/png image/apng image/x-png image/vnd.mozilla.apng",
    "image/jpeg image/jpg image/pjpeg image/jfif image/mpo",
    "image/gif",
    "image/webp",
    "image/bmp image/x-ms-bmp image/x-bmp image/x-windows-bmp image/ms-bmp",
    "image/x-icon image/vnd.microsoft.icon image/ico image/x-win-bitmap",
    "image/tiff image/tif image/x-tiff image/tiff-fx",
    "image/jxl",
    "image/jp2 image/jpx image/jpm image/x-jp2-codestream image/j2k",
    (
        "image/vnd.adobe.photoshop image/x-photoshop image/photoshop image/x-psd image/psd"
        " application/x-photoshop"
    ),
    "image/heif image/heic image/avif image/heif-sequence image/heic-sequence image/avif-sequence",
    (
        "video/mp4 video/quicktime video/x-m4v video/3gpp video/3gpp2 video/mpeg4 application/mp4"
        " audio/mp4 audio/x-m4a audio/m4a audio/x-m4b audio/x-m4r audio/3gpp audio/3gpp2"
    ),
    (
        "video/webm audio/webm video/matroska video/x-matroska audio/matroska audio/x-matroska"
        " application/x-matroska"
    ),
    (
        "audio/ogg video/ogg application/ogg audio/opus audio/vorbis audio/x-vorbis+ogg"
        " audio/x-opus+ogg audio/x-flac+ogg audio/x-speex+ogg video/x-theora+ogg video/x-ogm+ogg"
    ),
    "audio/mpeg audio/mp3 audio/x-mp3 audio/x-mpeg audio/mpeg3 audio/mp2 audio/x-mp2 audio/mpa",
    "audio/aac audio/x-aac audio/aacp audio/x-hx-aac-adts audio/x-hx-aac-adif audio/vnd.dlna.adts",
    "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav",
    "audio/flac audio/x-flac",
    "audio/aiff audio/x-aiff audio/x-aifc audio/aifc",
    "audio/midi audio/x-midi audio/mid",
    "audio/amr audio/x-amr audio/amr-wb",
    "audio/basic",
    "video/x-msvideo video/avi video/msvideo video/vnd.avi",
    "video/mpeg video/x-mpeg video/mp2p video/mpeg2 video/mpv video/x-mpeg2 video/mpeg4-generic",
    "video/mp2t video/x-mpegts video/vnd.dlna.mpeg-tts video/m2ts video/x-m2ts",
    "video/x-flv video/flv",
    "video/x-ms-asf video/x-ms-wmv audio/x-ms-wma application/vnd.ms-asf",
    # Illustrator's files are PDF, under whichever name.
    (
        "application/pdf application/x-pdf application/illustrator"
        " application/postscript application/eps application/x-eps image/x-eps"
    ),
    (
        "application/gzip application/x-gzip application/x-tgz application/tar+gzip"
        " application/x-compressed-tar"
    ),
    "application/x-7z-compressed",
    "application/vnd.rar application/x-rar application/x-rar-compressed",
    "application/x-bzip2 application/bzip2 application/x-bzip application/x-bzip-compressed-tar",
    "application/x-xz application/x-xz-compressed-tar",
    "application/zstd application/x-zstd-compressed-tar",
    "application/x-tar application/tar",
    (
        "font/otf font/ttf font/sfnt application/vnd.ms-opentype application/x-font-ttf"
        " application/x-font-otf application/font-sfnt font/collection"
    ),
    "application/x-shockwave-flash application/vnd.adobe.flash.movie",
    "application/vnd.sqlite3 application/x-sqlite3 application/geopackage+sqlite3",
    "application/java-vm application/x-java-applet application/x-java",
    "application/wasm",
    "font/woff application/font-woff application/x-font-woff",
    "font/woff2",
    "application/vnd.microsoft.portable-executable application/x-msdownload application/x-dosexec",
    (
        "application/x-executable application/x-pie-executable application/x-sharedlib"
        " application/x-mach-binary"
    ),
)
# A general zip; what is made of it has names of its own.
ZIP_NAMES: Final = types_in("application/zip application/x-zip application/x-zip-compressed")
_ZIPPED: Final = ZIP_NAMES | types_in(
    "application/java-archive application/x-java-archive application/x-jar",
    "application/vnd.android.package-archive",
    "application/vnd.apple.pages application/vnd.apple.numbers application/vnd.apple.keynote",
    "application/vnd.google-earth.kmz application/x-xpinstall model/3mf",
)
_OOXML: Final = "application/vnd.openxmlformats-officedocument."
# Files that are named after the XML in them: `application/vnd.ms-visio.drawing.main+xml` on Linux.
_NAMED_AFTER_XML: Final = (_OOXML, "application/vnd.ms-visio.", "application/vnd.ms-package.")
_ZIPPED_STARTS: Final = (
    _OOXML,
    "application/vnd.oasis.opendocument.",
    "application/vnd.sun.xml.",
    "application/x-iwork-",
)
# Office's files of before 2007, and protected ones since: MS-CFB.
_OLE_NAMES: Final = types_in(
    "application/x-ole-storage application/cdfv2 application/msword application/msword-template",
    "application/vnd.ms-excel application/vnd.ms-powerpoint application/vnd.ms-office",
    "application/vnd.ms-project application/vnd.ms-publisher application/vnd.ms-outlook",
    "application/vnd.visio application/x-msi application/vnd.ms-works",
)
# Camera raw is TIFF within, under the name of its maker; Windows and macOS have shorter ones.
_RAW: Final = types_in(
    "dng x-adobe-dng nef x-nikon-nef nrw x-nikon-nrw arw x-sony-arw sr2 x-sony-sr2 srf x-sony-srf",
    "pef x-pentax-pef kdc x-kodak-kdc dcr x-kodak-dcr k25 x-kodak-k25 cr2 x-canon-cr2",
    "orf x-olympus-orf rw2 x-panasonic-rw2 raw x-panasonic-raw x-panasonic-rw rwl x-leica-rwl",
    "srw x-samsung-srw erf x-epson-erf 3fr x-hasselblad-3fr fff x-hasselblad-fff",
    "iiq x-phaseone-iiq mef x-mamiya-mef mos x-leaf-mos x-dcraw",
)
_FAMILY_OF: Final = {
    name: names.partition(" ")[0] for names in _FAMILIES for name in names.split()
} | dict.fromkeys((f"image/{name}" for name in _RAW), _TIFF)

_TEXTUAL: Final = frozenset(
    f"application/{name}"
    for name in types_in(
        "json x-json jsonl ndjson x-ndjson xml xml-dtd javascript x-javascript ecmascript",
        "typescript yaml x-yaml toml x-toml csv sql x-sql graphql rtf x-subrip x-tex x-latex",
        "x-sh x-shellscript x-csh x-perl x-python x-ruby x-php x-httpd-php x-pem-file",
        "pgp-keys pgp-signature vnd.apple.mpegurl x-mpegurl mbox x-qw ram x-powershell",
    )
)
_ARCHIVES: Final = types_in(
    "application/gzip application/x-7z-compressed application/vnd.rar application/x-bzip2",
    "application/x-xz application/zstd application/x-tar",
)
# Of pictures; which kind of archive it is, no reader minds.
_COMICS: Final = types_in("application/vnd.comicbook+zip application/vnd.comicbook-rar")
_GROUPS: Final = {"image": "image", "audio": "media", "video": "media"}
_OFFICE: Final = {
    "wordprocessingml": "wordprocessingml",
    "ms-word.": "wordprocessingml",
    "spreadsheetml": "spreadsheetml",
    "ms-excel.": "spreadsheetml",
    "presentationml": "presentationml",
    "ms-powerpoint.": "presentationml",
    "application/msword": "msword",
    "application/vnd.ms-excel": "ms-excel",
    "application/vnd.ms-powerpoint": "ms-powerpoint",
    "opendocument.text": "opendocument.text",
    "opendocument.spreadsheet": "opendocument.spreadsheet",
    "opendocument.presentation": "opendocument.presentation",
    "opendocument.graphics": "opendocument.graphics",
}
# What the detector says, and what browsers say.
_USUAL: Final = {
    "audio/x-wav": "audio/wav",
    "audio/x-m4a": "audio/mp4",
    "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff",
    "audio/x-hx-aac-adts": "audio/aac",
    "audio/x-hx-aac-adif": "audio/aac",
    "image/x-ms-bmp": "image/bmp",
    "image/vnd.microsoft.icon": "image/x-icon",
    "application/x-rar": "application/vnd.rar",
    "application/x-gzip": "application/gzip",
}

_TEXT: Final = "text"
# What else is honestly announced by these names, because one extension has two formats.
_ALSO: Final = {
    "image/svg+xml": {"application/gzip"},  # .svgz
    "text/vnd.trolltech.linguist": {_MPEG_TS},  # .ts on Linux; libmagic takes M2TS for MPEG
    "video/mp2t": {_TEXT},  # TypeScript
    "video/vnd.dlna.mpeg-tts": {_TEXT},
    "text/x-microdvd": {"video/mpeg"},  # .sub
    "text/x-mpsub": {"video/mpeg"},
    "video/mpeg": {_TEXT},  # .mod on Windows: a module of Go, Fortran or AMPL
    "audio/midi": {_TEXT},  # .mid of MapInfo
    "audio/mid": {_TEXT},
    "video/x-ms-asf": {_TEXT},  # .asx, .wax and .wvx are lists
    "application/vnd.ms-asf": {_TEXT},
    "application/vnd.oasis.opendocument.formula-template": {"font/otf"},  # .otf on Linux
    "application/vnd.apple.keynote": {_TEXT},  # .key: PEM
    "application/x-iwork-keynote-sffkey": {_TEXT},
    "application/pgp-encrypted": {_TEXT},  # .asc
    "application/vnd.ms-excel": {_TEXT, ZIP},  # .csv on Windows, and what is exported "for Excel"
    "application/msword": {_TEXT, ZIP},
    # What starts itself has a script in front, or a program for Windows.
    "application/java-archive": {_TEXT, _PROGRAM},
    "application/x-java-archive": {_TEXT, _PROGRAM},
    # On Windows of any archive, and of a tar in gzip.
    "application/x-compressed": {*_ARCHIVES, ZIP},
    # The first of an extension's two types on Linux.
    "text/x-gettext-translation-template": {OLE},  # .pot, of PowerPoint as well
    "text/vnd.graphviz": {OLE},  # .dot, of Word as well
    "text/rtf": {OLE, ZIP},  # Word's, under its old name
    "application/rtf": {OLE, ZIP},
} | {
    name: {_TEXT}
    for name in types_in(
        "audio/x-mpegurl audio/mpegurl audio/x-scpls audio/x-ms-asx audio/x-ms-wax video/x-ms-wvx",
        "image/vnd.dxf image/x-xbitmap image/x-xpixmap image/x-xfig image/x-portable-anymap",
        "image/x-portable-bitmap image/x-portable-graymap image/x-portable-pixmap",
        "application/postscript application/eps application/x-eps image/x-eps image/x-gimp-gbr",
        "application/illustrator",
    )
}
# Sound that may have an ID3 tag in front, by which MP3 is told.
_TAGGED: Final = frozenset({_MP3, "audio/aac", "audio/flac", "audio/aiff", "audio/wav"})


def family_of(kind: str) -> str | None:
    """The first name of the family that a type belongs to, or None."""
    if is_textual(kind):
        return None
    if kind in _ZIPPED or kind.startswith(_ZIPPED_STARTS) or kind.endswith(("+zip", "+xml")):
        return ZIP
    if ".macroenabled." in kind:
        return ZIP
    return OLE if kind in _OLE_NAMES else _FAMILY_OF.get(kind)


def is_textual(kind: str) -> bool:
    """Whether files of this type are text."""
    if kind.endswith("+xml"):
        return not kind.startswith(_NAMED_AFTER_XML)
    return (
        kind.startswith(("text/", "message/"))
        or kind.endswith(("+json", "+yaml", "-flat-xml"))
        or kind in _TEXTUAL
    )


def may_be(announced: str, found: str) -> bool:
    """Whether honest files of the type that was found are announced by that name."""
    family = family_of(announced)
    if family is not None and family == family_of(found):
        return True
    also = _ALSO.get(announced, ())
    if announced.startswith(_NAMED_AFTER_XML) or ".macroenabled." in announced:
        also = {*also, OLE}  # protected by a password
    return (_TEXT in also and is_textual(found)) or (family_of(found) or found) in also


def has_signature(kind: str) -> bool:
    """Whether files of the announced type have a signature that tells them from all others."""
    family = family_of(kind)
    # Under the old names Office takes text, HTML and RTF as well.
    return family is not None and family != OLE


def confusable(announced: str, found: str) -> bool:
    """Whether two formats may begin alike, so that what was found is not certain."""
    return family_of(found) == _MP3 and family_of(announced) in _TAGGED


def group_of(kind: str) -> str | None:
    """The use of a format to a person: `image`, `media` (sound and film), `office` or `archive`."""
    family = family_of(kind)
    if family in _ARCHIVES or kind in ZIP_NAMES or kind in _COMICS:
        return "archive"
    if office_format(kind) is not None:
        return "office"
    if family in {None, PDF}:
        return None
    return _GROUPS.get(family.partition("/")[0])


def office_format(kind: str) -> str | None:
    """Which program's files these are, `spreadsheetml` or `opendocument.text`; None: nobody's.

    Templates and files with macros are as their documents: no detector tells them apart.
    """
    return next((office for part, office in _OFFICE.items() if part in kind), None)


def usual_names(kind: str) -> tuple[str, ...]:
    """The type that a detector found, by the name that most have for it and by the detector's."""
    return (_USUAL[kind], kind) if kind in _USUAL else (kind,)
