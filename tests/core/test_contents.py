"""Types of files, found in heads as real programs write them, and as they are announced."""

import gzip
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.content_types import OCTET_STREAM
from app.core.contents import (
    EMPTY,
    HEAD_BYTES,
    Verdict,
    charset_to_say,
    compare,
    detect,
    is_markup,
    rules,
)
from tests.support.samples import (
    BMP,
    CSV,
    DOCX,
    EXE,
    HTML,
    JPEG,
    MP3,
    NOISE,
    OGG,
    PDF,
    PNG,
    SVG,
    TARGA,
    WAV,
    WEBM,
    WEBP,
    XML,
    ftyp,
    zipped,
)

ANIMATED = PNG + b"\0\0\0\x08acTL" + bytes(12)
CFB = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
AGREES, DIFFERS, UNKNOWN = Verdict.AGREES, Verdict.DIFFERS, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (PNG, "image/png"),
        (ANIMATED, "image/apng"),
        (JPEG, "image/jpeg"),
        (b"\xff\xd8\xff\xdb\0\x43\0" + bytes(60), "image/jpeg"),
        # 300 comments, in which the rules lose their way.
        (b"\xff\xd8" + b"\xff\xfe\0\4ab" * 300, "image/jpeg"),
        (b"GIF89a\1\0\1\0\x80\0\0", "image/gif"),
        (WEBP, "image/webp"),
        (BMP, "image/bmp"),
        (ftyp("heic"), "image/heic"),
        (ftyp("mif1"), "image/heif"),
        (ftyp("avif"), "image/avif"),
        (ftyp("isom"), "video/mp4"),
        (ftyp("qt  "), "video/quicktime"),
        (ftyp("M4A "), "audio/x-m4a"),
        (WEBM, "video/webm"),
        (WEBM.replace(b"\x84webm", b"\x88matroska"), "video/x-matroska"),
        (MP3, "audio/mpeg"),
        (WAV, "audio/x-wav"),
        (OGG, "audio/ogg"),
        (PDF, "application/pdf"),
        (zipped("a.txt"), "application/zip"),
        (
            DOCX,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (zipped(first="application/epub+zip"), "application/epub+zip"),
        (gzip.compress(b"x", mtime=0), "application/gzip"),
        (HTML, "text/html"),
        (b"\xef\xbb\xbf\n\n <HTML><head>", "text/html"),
        (b"<!-- x --><script>alert(1)</script>", "text/html"),
        (HTML.decode().encode("utf-16"), "text/html"),
        (SVG, "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<!-- by hand -->\n' + SVG, "image/svg+xml"),
        (XML, "text/xml"),
        (CSV, "text/csv"),
        (b'{"a": [1, 2]}', "application/json"),
        (b"hello", "text/plain"),
        ("Grüße, 世界".encode(), "text/plain"),
        ("Grüße aus München".encode("latin-1"), "text/plain"),
        ("Grüße, 世界".encode("utf-16"), "text/plain"),
        (b"BM is short for benchmark, as everyone knows.", "text/plain"),
        (b"P1 is the first priority of them all", "text/plain"),
        *(
            (start + b" is how files of that kind begin.\nNot this one.\n", "text/plain")
            for start in (
                *(b"GIF89a", b"RIFFsizeWAVE", b"MThd", b"fLaC", b"8BPS", b"BZh9", b"wOFF", b"OTTO"),
                *(b"FORMsizeAIFF", b"SQLite format 3", b"#!AMR", b"    ftypmp42", b"II*", b"ID3"),
                *(b"%PDF-1.4", b"Rar!", b"OggS", b"FLV", b"wOF2", b"7z", b"CWS"),
            )
        ),
        (NOISE, OCTET_STREAM),
        (b"\1\2\3", OCTET_STREAM),
        (b"%PDF-1.4\n", "application/pdf"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + PDF, "application/pdf"),
        *(
            (front + pdf, "application/pdf")
            for front in (b"", b"\xef\xbb\xbf", b"  ", b"junk", b"\0\0\0", b"\r\r")
            for pdf in (PDF, PDF.replace(b"\n", b"\r"))
        ),
        (b"a\n" * 511 + PDF, "text/plain"),  # too far behind for a reader
        (b"A line of text\n%PDF-1.7 is what it begins with\n", "text/plain"),
        (CFB, "application/x-ole-storage"),
        ((b"G" + bytes(187)) * 3, "video/mp2t"),
        (b"G" * HEAD_BYTES, "text/plain"),
        ((bytes(4) + b"G" + bytes(187)) * 3, "video/mp2t"),
        (HTML.decode().encode("utf-16-le"), "text/html"),
        (HTML.decode().encode("utf-16-be"), "text/html"),
        (HTML.decode().encode("utf-32"), "text/html"),
        (b"\x0bMSH|^~\\&|LAB\r\x1c\r", "text/plain"),
        (b"", EMPTY),
    ],
)
def test_what_a_file_is(head: bytes, kind: str) -> None:
    assert detect(head[:HEAD_BYTES]) == kind


@pytest.mark.parametrize(
    ("announced", "head", "verdict"),
    [
        ("image/png", PNG, AGREES),
        ("IMAGE/PNG; x=y", PNG, AGREES),
        ("image/jpg", JPEG, AGREES),
        ("image/x-ms-bmp", BMP, AGREES),
        # What a browser makes of an extension does not tell such brothers apart.
        ("image/heic", ftyp("mif1"), AGREES),
        ("video/quicktime", ftyp("isom"), AGREES),
        ("audio/mp4", ftyp("M4A "), AGREES),
        ("audio/webm", WEBM, AGREES),
        ("application/ogg", OGG, AGREES),
        ("audio/wav", WAV, AGREES),
        ("application/x-zip-compressed", zipped("a"), AGREES),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", zipped("a"), AGREES),
        ("application/zip", DOCX, AGREES),
        ("application/octet-stream", HTML, AGREES),
        ("application/octet-stream", NOISE, AGREES),
        # Text that no signature tells.
        ("text/csv", CSV, AGREES),
        ("text/csv", b"hello", AGREES),
        ("text/plain; charset=utf-8", CSV, AGREES),
        ("text/markdown", HTML, AGREES),
        ("application/json", b"[", AGREES),
        ("text/plain", b"", AGREES),
        ("video/mp2t", b"export const a: number = 1;\n", AGREES),  # TypeScript
        ("application/vnd.ms-excel", CSV, AGREES),  # what Windows says of .csv
        ("application/vnd.ms-visio.drawing.main+xml", zipped("visio/document.xml"), AGREES),
        ("application/vnd.ms-visio.stencil.macroenabled.main+xml", CFB, AGREES),
        (
            "application/vnd.ms-package.3dmanufacturing-3dmodel+xml",
            zipped("3D/3dmodel.model"),
            AGREES,
        ),
        ("text/rtf", CFB, AGREES),
        ("text/x-gettext-translation-template", CFB, AGREES),  # .pot of PowerPoint
        ("application/x-compressed", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60), AGREES),
        ("application/x-compressed", gzip.compress(b"x", mtime=0), AGREES),
        ("application/java-archive", EXE, AGREES),  # one that starts itself on Windows
        ("text/plain", b"%!PS-Adobe-3.0\n/Courier findfont 12 scalefont setfont\n", AGREES),
        ("text/markdown", b"GIF89a is a format\n", AGREES),
        # Lies.
        ("image/png", zipped("visio/document.xml"), DIFFERS),
        ("image/gif", b"GIF89a is a format\n", DIFFERS),
        ("application/vnd.ms-visio.drawing.main+xml", PNG, DIFFERS),
        ("image/png", HTML, DIFFERS),
        ("image/png", SVG, DIFFERS),
        ("image/png", JPEG, DIFFERS),
        ("image/png", b"hello", DIFFERS),
        ("image/png", b"", DIFFERS),
        ("image/png", ftyp("isom"), DIFFERS),
        ("image/heic", ftyp("isom"), DIFFERS),
        ("image/svg+xml", PNG, DIFFERS),
        ("video/mp4", HTML, DIFFERS),
        ("audio/mpeg", EXE, DIFFERS),
        ("video/mp2t", PNG, DIFFERS),
        ("application/pdf", HTML, DIFFERS),
        ("application/pdf", DOCX, DIFFERS),
        ("application/zip", EXE, DIFFERS),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", HTML, DIFFERS),
        ("text/plain", PNG, DIFFERS),
        ("text/plain", PDF, DIFFERS),
        ("application/json", DOCX, DIFFERS),
        # Neither proved nor disproved.
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"", UNKNOWN),
        ("audio/mpeg", NOISE, UNKNOWN),
        ("image/png", NOISE, UNKNOWN),
        ("text/csv", NOISE, UNKNOWN),
        ("image/unheard-of", HTML, UNKNOWN),
        ("video/unheard-of", ftyp("isom"), UNKNOWN),
        ("audio/mpeg", TARGA, UNKNOWN),  # which a rule takes for a picture
        ("image/unheard-of", NOISE, UNKNOWN),
        ("application/x-own-format", NOISE, UNKNOWN),
        ("application/x-own-format", zipped("a"), UNKNOWN),
        ("application/x-own-format", b"", UNKNOWN),
    ],
)
def test_what_it_was_announced_as(announced: str, head: bytes, verdict: Verdict) -> None:
    assert compare(announced, detect(head)) is verdict


@pytest.mark.parametrize("head", [PNG, ANIMATED, PNG[:16], PNG + bytes(4000)])
def test_what_is_told_without_the_rules_is_what_they_say(head: bytes) -> None:
    assert rules().best_magic_buffer(head).mime_type == detect(head)


@given(st.binary(max_size=300), st.sampled_from([PNG, JPEG, MP3, PDF, DOCX, HTML, XML, WEBM, b""]))
@example(b"\xff\xd8\xff" * 100, JPEG)
def test_any_bytes_have_a_type(rest: bytes, start: bytes) -> None:
    for head in (start + rest, rest + start, start[: len(rest)]):
        kind = detect(head)
        assert kind.count("/") == 1
        assert kind == kind.strip().lower()
        assert compare(kind, kind) is AGREES


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.encode))
def test_text_is_never_taken_for_an_image(head: bytes) -> None:
    assert compare("image/png", detect(head)) is DIFFERS


class Recorder:
    """The rules; `told` has what they said of each part of a head that they were asked about."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, str]] = []

    def best_magic_buffer(self, head: bytes) -> Any:
        self.told.append((head, ""))
        found = rules().best_magic_buffer(head)
        self.told[-1] = head, found.message
        return found


TAG = b"ID3\3\0\0\0\0\0\0"
# Of the BACKUP of MS-DOS: a path, its length, and a file behind it.
BACKED_UP = b"\0\1\0\0\0\\ABCDEF.TXT" + bytes(67) + b"\x0c" + bytes(44)


@pytest.mark.parametrize(
    ("head", "kind", "chained"),
    [
        (b"\xff\xd8\xff\xe0\0\x04JF" + b"\xff\xe1\0\x08Exif\0\0" * 400, "image/jpeg", "Exif"),
        (TAG * 400, OCTET_STREAM, "ID3"),
        (bytes(128) + TAG * 400, OCTET_STREAM, "ID3"),
        (BACKED_UP * 32, OCTET_STREAM, "backed up"),
        (BACKED_UP + TAG * 400, OCTET_STREAM, "ID3"),
        (BACKED_UP + b"\xff\xd8\xff\xe1\0\x08Exif\0\0" * 400, OCTET_STREAM, "JPEG"),
    ],
)
def test_the_rules_follow_no_chain(
    monkeypatch: pytest.MonkeyPatch, head: bytes, kind: str, chained: str
) -> None:
    asked = Recorder()
    monkeypatch.setattr("app.core.contents.rules", lambda: asked)
    assert detect(head[:HEAD_BYTES]) == kind
    # They did not come to the end of what they may follow, which raises ValueError.
    [(_, message)] = asked.told
    assert message.count(chained) <= 1


def test_sound_behind_a_tag_is_found() -> None:
    assert detect(TAG + b"\xff\xfb\x90\x44" + bytes(413)) == "audio/mpeg"


def test_a_text_may_speak_of_tags() -> None:
    assert detect(b"An ID3 tag and another ID3 tag.\n" * 40) == "text/plain"


def test_markup() -> None:
    assert is_markup(detect(HTML))
    assert is_markup(detect(SVG))
    assert not is_markup(detect(CSV))


GREEK = "Αναφορά τριμήνου\n"


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (b"", "utf-8"),
        (b"ASCII\r\n", "utf-8"),
        (GREEK.encode(), "utf-8"),
        (GREEK.encode("utf-8-sig"), "utf-8"),
        ("💾 \x1b[31mred\x1b[0m \x01".encode(), "utf-8"),
        (GREEK.encode("iso-8859-7"), None),
        ("für".encode("windows-1252"), None),
        *((GREEK.encode(f"utf-{n}"), None) for n in ("16", "16-le", "16-be", "32", "32-le")),
        (b"h\0i\0", None),
        ("日本語".encode("iso-2022-jp"), None),
        ("日本語".encode("shift-jis"), None),
        # Surrogates, an overlong slash, beyond Unicode: no UTF-8 (RFC 3629).
        (b"\xed\xa0\x80", None),
        (b"\xc0\xaf", None),
        (b"\xf4\x90\x80\x80", None),
    ],
)
def test_the_charset_of_a_text(text: bytes, charset: str | None) -> None:
    assert charset_to_say("text/plain", text, is_whole=True) == charset
    for kind in ("text/csv", "text/html", "text/plain2", "image/png", OCTET_STREAM):
        assert charset_to_say(kind, text, is_whole=True) is None


@pytest.mark.parametrize("character", ["é", "€", "💾"])
def test_a_head_may_end_within_a_character(character: str) -> None:
    for cut in range(1, len(character.encode()) + 1):
        head = b"a" * (HEAD_BYTES - cut) + character.encode()[:cut]
        assert charset_to_say("text/plain", head, is_whole=False) == "utf-8"
        is_complete = cut == len(character.encode())
        assert charset_to_say("text/plain", head, is_whole=True) == (
            "utf-8" if is_complete else None
        )
    # What cannot be the beginning of a character is none.
    assert charset_to_say("text/plain", b"fin\xff", is_whole=False) is None


@pytest.mark.parametrize(
    ("announced", "text", "charset"),
    [
        *((f"text/plain; charset={name}", GREEK, "utf-8") for name in ("utf-8", "UTF-8", "utf8")),
        ("text/plain; format=flowed", GREEK, "utf-8"),
        ("text/plain; charset=utf-8", "für".encode("windows-1252"), ""),
        ("text/plain; format=flowed; charset=UTF-8", GREEK.encode("utf-16"), ""),
        ("text/plain; charset=iso-8859-1", GREEK, "utf-8"),
        # It may be right, and nobody knows better.
        ("text/plain; charset=koi8-r", "отчёт".encode("koi8-r"), None),
        ("text/plain; charset=iso-2022-jp", "日本語".encode("iso-2022-jp"), None),
        ("text/plain; charset=iso-8859-1", "ASCII so far", None),
        ("text/plain; charset=utf-16", "ASCII, in which UTF-16 would have NULs", "utf-8"),
        ("text/plain; charset=utf-16", GREEK.encode("utf-16"), None),
    ],
)
def test_an_announced_charset_stands_unless_it_is_refuted(
    announced: str, text: str | bytes, charset: str | None
) -> None:
    head = text.encode() if isinstance(text, str) else text
    assert charset_to_say(announced, head, is_whole=True) == charset


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1b")))
def test_every_text_in_utf8_is_said_to_be(text: str) -> None:
    assert charset_to_say("text/plain", text.encode(), is_whole=True) == "utf-8"
