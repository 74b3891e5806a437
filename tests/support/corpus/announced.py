"""The types that browsers announce for an extension: `announced.tsv`.

Chromium on Linux and the desktop's table are measured here: `File.type` of a chosen file. The
others cannot be run here, so their columns are put together as their sources do it:

- Chromium's own list, which goes first everywhere (net/base/mime_util.cc, kPrimaryMappings), and
  the one that is asked last (kSecondaryMappings);
- the list of Firefox that goes first (uriloader/exthandler/nsExternalHelperAppService.cpp,
  defaultMimeEntries), and the one that is asked last (extraMimeEntries);
- `Content Type` below HKEY_CLASSES_ROOT in Windows 11 with Office and Microsoft's extensions for
  HEIF and camera raw files, as far as they are known;
- `public.mime-type` of the types that macOS and iOS declare, as far as they are known.
"""

import re
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

_CHROMIUM_FIRST: Final = """
video/webm webm; application/wasm wasm; application/x-chrome-extension crx; application/xhtml+xml
xhtml xht xhtm; audio/flac flac; audio/mpeg mp3; audio/ogg ogg oga opus; audio/wav wav;
audio/x-m4a m4a; image/avif avif; image/gif gif; image/jpeg jpeg jpg; image/png png; image/apng
apng; image/webp webp; multipart/related mht mhtml; text/css css; text/html html htm shtml shtm;
text/javascript js mjs; text/xml xml; video/mp4 mp4 m4v; video/ogg ogv ogm; text/csv csv
"""
_CHROMIUM_LAST: Final = """
image/x-icon ico; application/epub+zip epub; font/woff woff; application/gzip gz tgz;
application/json json; application/octet-stream bin exe com; application/pdf pdf;
application/pkcs7-mime p7m p7c p7z; application/pkcs7-signature p7s; application/postscript ps eps
ai; application/rdf+xml rdf; application/rss+xml rss; application/vnd.android.package-archive apk;
application/x-mpegurl m3u8; application/x-shockwave-flash swf swl; application/x-tar tar;
application/zip zip; audio/webm weba; image/bmp bmp; image/jpeg jfif pjpeg pjp; image/svg+xml svg
svgz; image/tiff tiff tif; image/x-xbitmap xbm; message/rfc822 eml; text/calendar ics; text/html
ehtml; text/plain txt text; text/x-sh sh; text/xml xsl xbl xslt; video/mpeg mpeg mpg
"""
_FIREFOX_FIRST: Final = """
text/xml xml; image/png png; text/css css; image/jpeg jpeg jpg; image/svg+xml svg; text/html html
htm; image/gif gif; image/webp webp; application/x-xpinstall xpi; application/xhtml+xml xhtml xht;
text/plain txt properties locale ftl; application/json json; application/rdf+xml rdf;
text/javascript mjs js jsm; video/ogg ogv; application/ogg ogg; audio/ogg oga opus;
application/pdf pdf; video/webm webm; image/x-icon ico; video/mp4 mp4; audio/mp4 m4a; audio/mpeg
mp3
"""
_FIREFOX_LAST: Final = """
application/octet-stream exe com bin; application/x-gzip gz; application/x-arj arj;
application/rtf rtf; application/zip zip; application/postscript ps eps ai;
application/vnd.oasis.opendocument.text odt; application/vnd.oasis.opendocument.presentation odp;
application/vnd.oasis.opendocument.spreadsheet ods; application/vnd.oasis.opendocument.graphics
odg; application/msword doc; application/vnd.ms-powerpoint ppt; application/vnd.ms-excel xls;
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx;
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx;
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx; image/x-jg art; image/bmp
bmp; image/x-icon cur; image/jpeg jfif pjpeg pjp; image/apng apng; image/tiff tiff tif;
image/x-xbitmap xbm; image/avif avif; image/jxl jxl; message/rfc822 eml; text/plain text; text/vtt
vtt; text/html shtml ehtml; application/mathml+xml mml; text/csv csv; text/xml xsl xbl; text/vcard
vcf vcard; text/calendar ics ical ifb icalendar; audio/mpeg mpega mp2; video/mp4 m4b; video/3gpp
3gpp 3gp; video/3gpp2 3g2; audio/aac aac; audio/flac flac; audio/x-wav wav; audio/midi mid;
application/wasm wasm; application/epub+zip epub
"""
_WINDOWS: Final = """
video/3gpp2 3g2 3gp2; video/3gpp 3gp 3gpp; audio/vnd.dlna.adts aac adt adts; audio/aiff aif aifc
aiff; video/x-ms-asf asf asx; audio/basic au snd; video/avi avi; image/bmp bmp dib; text/css css;
image/vnd.ms-dds dds; application/x-x509-ca-cert cer crt der; message/rfc822 eml mht mhtml nws;
application/x-msdownload exe dll; audio/x-flac flac; image/gif gif; application/x-gzip gz;
text/html htm html; image/x-icon ico; text/calendar ics; image/jpeg jfif jpe jpeg jpg;
image/vnd.ms-photo jxr wdp; video/mpeg m1v m2v mod mp2v mpe mpeg mpg mpv2 vob;
video/vnd.dlna.mpeg-tts m2t m2ts mts ts tts; audio/x-mpegurl m3u m3u8; audio/mp4 m4a; video/mp4
m4v mp4 mp4v; audio/mid mid midi rmi; audio/x-matroska mka; video/x-matroska mkv; video/quicktime
mov qt; audio/mpeg mp2 mp3 mpa; application/x-pkcs12 p12 pfx; application/pkcs7-mime p7m p7c;
application/pkcs7-signature p7s; application/pdf pdf; image/png png; application/postscript ps eps
ai; image/svg+xml svg; application/x-shockwave-flash swf; application/x-tar tar;
application/x-compressed tgz; image/tiff tif tiff; text/plain txt; text/x-vcard vcf; audio/wav
wav; audio/x-ms-wax wax; audio/x-ms-wma wma; video/x-ms-wmv wmv; video/x-ms-wvx wvx;
video/x-ms-wmx wmx; application/vnd.ms-wpl wpl; text/xml xml xsl; application/vnd.ms-xpsdocument
xps; application/x-zip-compressed zip; image/heic heic; image/heif heif; image/avif avif;
image/webp webp; image/x-emf emf; image/x-wmf wmf; image/dng dng; image/nef nef; image/nrw nrw;
image/arw arw; image/sr2 sr2; image/cr2 cr2; image/cr3 cr3; image/orf orf; image/rw2 rw2;
image/pef pef; image/raf raf; image/srw srw; image/kdc kdc; image/dcr dcr; image/erf erf;
image/3fr 3fr; image/iiq iiq; image/mef mef; image/mos mos; image/rwl rwl; application/msword doc
dot rtf; application/vnd.ms-excel xls xlt csv; application/vnd.ms-powerpoint ppt pot pps;
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx;
application/vnd.openxmlformats-officedocument.wordprocessingml.template dotx;
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx;
application/vnd.openxmlformats-officedocument.spreadsheetml.template xltx;
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx;
application/vnd.openxmlformats-officedocument.presentationml.template potx;
application/vnd.openxmlformats-officedocument.presentationml.slideshow ppsx;
application/vnd.ms-word.document.macroenabled.12 docm;
application/vnd.ms-word.template.macroenabled.12 dotm;
application/vnd.ms-excel.sheet.macroenabled.12 xlsm;
application/vnd.ms-excel.sheet.binary.macroenabled.12 xlsb;
application/vnd.oasis.opendocument.text odt; application/vnd.oasis.opendocument.spreadsheet ods;
application/vnd.oasis.opendocument.presentation odp; application/vnd.ms-visio.viewer vsdx vsd;
application/vnd.ms-project mpp; application/vnd.ms-publisher pub; application/msaccess accdb mdb;
application/vnd.ms-outlook msg
"""
_APPLE: Final = """
video/3gpp2 3g2; video/3gpp 3gp; application/x-7z-compressed 7z; audio/aac aac; audio/ac3 ac3;
audio/eac3 eac3; application/postscript ai ps eps; audio/aiff aif aiff aifc; audio/amr amr;
image/apng apng; image/avif avif; video/avi avi; audio/basic au snd; image/bmp bmp;
application/x-bzip2 bz2; audio/x-caf caf; application/x-x509-ca-cert cer crt der; text/css css;
text/csv csv; image/dng dng; application/msword doc dot;
application/vnd.openxmlformats-officedocument.wordprocessingml.document docx; video/x-dv dv;
message/rfc822 eml; application/epub+zip epub; image/x-exr exr; audio/flac flac; image/fits fits;
image/gif gif; application/x-gzip gz; image/vnd.radiance hdr; image/heic heic; image/heif heif;
text/html html htm; image/vnd.microsoft.icon ico; text/calendar ics; application/java-archive jar;
image/jpeg jpg jpeg jfif; image/jp2 jp2; text/javascript js mjs; application/json json; image/jxl
jxl; application/x-iwork-keynote-sffkey key; application/vnd.google-earth.kml+xml kml;
application/vnd.google-earth.kmz kmz; audio/x-m4a m4a; audio/x-m4b m4b; audio/x-m4r m4r;
video/x-m4v m4v; audio/x-mpegurl m3u; application/vnd.apple.mpegurl m3u8; video/mp2t m2ts mts ts;
audio/midi mid midi; video/x-matroska mkv; audio/x-matroska mka; text/markdown md; video/quicktime
mov qt; audio/mpeg mp2 mp3; video/mp4 mp4; video/mpeg mpg mpeg m2v m1v vob mod;
application/x-iwork-numbers-sffnumbers numbers; application/vnd.oasis.opendocument.text odt;
application/vnd.oasis.opendocument.spreadsheet ods;
application/vnd.oasis.opendocument.presentation odp; audio/ogg ogg oga; audio/opus opus; font/otf
otf; application/x-iwork-pages-sffpages pages; application/pdf pdf; image/pict pict; image/png
png; application/vnd.ms-powerpoint ppt pps;
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx;
image/vnd.adobe.photoshop psd; application/x-rar-compressed rar; text/rtf rtf;
application/x-shockwave-flash swf; image/svg+xml svg svgz; application/x-tar tar;
application/x-tgz tgz; image/tiff tif tiff; image/targa tga; font/ttf ttf; font/collection ttc;
text/plain txt text log; model/vnd.usdz+zip usdz; text/vcard vcf; text/vtt vtt; audio/wav wav;
video/webm webm; image/webp webp; audio/x-ms-wma wma; video/x-ms-wmv wmv; video/x-ms-asf asf;
application/x-font-woff woff; application/vnd.ms-excel xls;
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx; application/xhtml+xml
xhtml; text/xml xml; application/x-yaml yaml yml; application/zip zip; image/x-xbitmap xbm
"""
_NAMESPACE: Final = "{http://www.freedesktop.org/standards/shared-mime-info}"


def write(to: Path, extensions: set[str], chromium: dict[str, str], newer: Path) -> None:
    """`chromium`: what Chromium said here, by extension. `newer`: a shared-mime-info of 2025."""
    first, last, fox, fox_last = map(
        _table, (_CHROMIUM_FIRST, _CHROMIUM_LAST, _FIREFOX_FIRST, _FIREFOX_LAST)
    )
    windows, apple, linux = _table(_WINDOWS), _table(_APPLE), _freedesktop(newer)
    columns = {
        "chromium_linux": lambda e: chromium.get(e),
        "chromium_linux_newer": lambda e: first.get(e) or linux.get(e) or last.get(e),
        "chromium_windows": lambda e: first.get(e) or windows.get(e) or last.get(e),
        "safari": lambda e: apple.get(e),
        "firefox_linux": lambda e: fox.get(e) or linux.get(e) or fox_last.get(e),
        "firefox_windows": lambda e: fox.get(e) or windows.get(e) or fox_last.get(e),
    }
    lines = ["\t".join(["extension", *columns])]
    lines += [
        "\t".join([e, *(of(e) or "-" for of in columns.values())]) for e in sorted(extensions)
    ]
    to.write_text("\n".join(lines) + "\n")


def _table(text: str) -> dict[str, str]:
    lines = (line.split() for line in text.replace("\n", " ").split(";"))
    return {extension: kind for kind, *extensions in lines for extension in extensions}


def _freedesktop(path: Path) -> dict[str, str]:
    found: dict[str, tuple[int, str]] = {}
    for kind in ElementTree.parse(path).getroot():
        for glob in kind.findall(f"{_NAMESPACE}glob"):
            match = re.fullmatch(r"\*\.([\w+-]+)", glob.get("pattern", ""))
            weight = int(glob.get("weight", "50"))
            if match and weight > found.get(match[1].lower(), (-1, ""))[0]:
                found[match[1].lower()] = weight, str(kind.get("type"))
    return {extension: kind for extension, (_, kind) in found.items()}
