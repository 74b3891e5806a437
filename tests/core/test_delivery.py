import email.message
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.delivery import (
    Disposition,
    content_disposition,
    presentation,
    served_type,
    shown_inline,
)
from app.core.key_normalizer import InvalidName, clean_filename

BOTH: tuple[Disposition, ...] = ("inline", "attachment")


def overrides(
    content_type: str,
    disposition: Disposition = "inline",
    filename: str = "a.txt",
    *,
    stored: str | None = None,
    detected: str | None = None,
) -> dict[str, str]:
    shown = presentation(disposition, content_type, stored or content_type, detected)
    named = {"response-content-disposition": content_disposition(shown.disposition, filename)}
    if shown.content_type is None:
        return named
    return {**named, "response-content-type": shown.content_type}


@pytest.mark.parametrize(
    "content_type",
    ["image/png", "IMAGE/JPEG", "image/webp; a=b", "video/mp4", "audio/ogg", "text/plain"],
)
def test_types_that_browsers_only_show(content_type: str) -> None:
    assert shown_inline(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/html", "Text/HTML;x=image/png", "image/svg+xml", "IMAGE/SVG+XML", "text/xml"),
        *("application/xhtml+xml", "application/pdf", "application/javascript", "text/css"),
        *("application/octet-stream", "", "image", "image/png,text/html", "*/*"),
        # Documents to a browser, whatever stands in front of +xml.
        *("video/x+xml", "audio/ogg+xml", "image/png+xml", "text/plain+xml"),
        *("video/*", "audio/unheard-of", "text/csv", "text/plain2"),
    ],
)
def test_types_that_browsers_might_run_are_never_inline(content_type: str) -> None:
    assert not shown_inline(content_type)
    for disposition in BOTH:
        assert overrides(content_type, disposition, "a.html") == {
            "response-content-disposition": 'attachment; filename="a.html"',
            "response-content-type": "application/octet-stream",
        }


def test_a_safe_type_is_shown_as_asked_under_its_name() -> None:
    for disposition in BOTH:
        value = f"{disposition}; filename=\"_.png\"; filename*=UTF-8''%C3%A9.png"
        named = {"response-content-disposition": value}
        assert overrides("image/png", disposition, "é.png") == named
        assert overrides("image/png", disposition, "é.png", stored="image/jpeg") == {
            **named,
            "response-content-type": "image/png",
        }


@pytest.mark.parametrize(
    ("content_type", "charset", "served"),
    [
        ("text/plain", None, "text/plain"),
        ("text/plain", "utf-8", "text/plain; charset=utf-8"),
        ("text/plain; charset=iso-8859-1", "utf-8", "text/plain; charset=utf-8"),
        ("text/plain; charset=utf-8", "", "text/plain"),
        ("text/plain; charset=koi8-r", None, "text/plain; charset=koi8-r"),
        ("image/png", None, "image/png"),
    ],
)
def test_what_links_say_of_a_type(content_type: str, charset: str | None, served: str) -> None:
    assert served_type(content_type, charset) == served


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        ("a b;c=d,'e'.png", "attachment; filename=\"a b;c=d,'e'.png\""),
        ('a"b\\c.png', "attachment; filename=\"a_b_c.png\"; filename*=UTF-8''a%22b%5Cc.png"),
        ("100%.png", "attachment; filename=\"100_.png\"; filename*=UTF-8''100%25.png"),
        (
            "it's é*.png",
            "attachment; filename=\"it's _*.png\"; filename*=UTF-8''it%27s%20%C3%A9%2A.png",
        ),
        ("a\tb\r\nSet-Cookie: c.png", 'attachment; filename="a b Set-Cookie: c.png"'),
        ("日.png", "attachment; filename=\"_.png\"; filename*=UTF-8''%E6%97%A5.png"),
        ("why?.png", 'attachment; filename="why?.png"'),
        ("🇬?.png", "attachment; filename=\"__.png\"; filename*=UTF-8''%F0%9F%87%AC%3F.png"),
    ],
)
def test_names_in_headers(filename: str, value: str) -> None:
    assert content_disposition("attachment", filename) == value


@given(st.text(max_size=80))
def test_every_name_comes_back_from_its_header(text: str) -> None:
    try:
        filename = clean_filename(text).display
    except InvalidName:
        return
    value = content_disposition("inline", filename)
    assert value.isascii()
    assert value.isprintable()
    # What RFC 6266 section 4.3 tells clients: take `filename*` where there is one.
    _, plain, *extended = value.split("; filename")
    message = email.message.Message()
    message["Content-Disposition"] = "inline; filename" + (extended or [plain])[-1]
    assert message.get_filename() == re.sub(r"[\t\r\n]+", " ", filename)


@pytest.mark.parametrize(
    "detected",
    ["text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/pdf"],
)
def test_contents_that_browsers_might_run_are_never_inline(detected: str) -> None:
    for announced in ("text/plain", "image/png", "video/mp4"):
        signed = overrides(announced, detected=detected)
        assert signed["response-content-type"] == "application/octet-stream"
        assert signed["response-content-disposition"].startswith("attachment;")


@pytest.mark.parametrize("detected", [None, "text/plain", "text/csv", "text/x-c"])
def test_text_is_shown_as_text(detected: str | None) -> None:
    assert shown_inline("text/plain; charset=utf-8", detected)


@pytest.mark.parametrize("content_type", ["video/mp2t", "audio/midi", "video/mpeg", "image/png"])
def test_text_is_not_shown_as_anything_else(content_type: str) -> None:
    assert shown_inline(content_type, "video/mp2t")
    assert not shown_inline(content_type, "text/javascript")
