import email.message
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.delivery import content_disposition, response_overrides, shown_inline
from app.core.key_normalizer import InvalidName, clean_filename


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
    for disposition in (None, "inline", "attachment"):
        assert response_overrides(content_type, None, disposition, "a.html") == (
            ("response-content-disposition", 'attachment; filename="a.html"'),
            ("response-content-type", "application/octet-stream"),
        )


def test_a_safe_type_is_shown_as_asked() -> None:
    assert response_overrides("image/png", None, None, "a.png") == ()
    for disposition in ("inline", "attachment"):
        value = f"{disposition}; filename=\"_.png\"; filename*=UTF-8''%C3%A9.png"
        assert response_overrides("image/png", None, disposition, "é.png") == (
            ("response-content-disposition", value),
        )


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
        overrides = dict(response_overrides(announced, detected, "inline", "a.txt"))
        assert overrides["response-content-type"] == "application/octet-stream"
        assert overrides["response-content-disposition"].startswith("attachment;")


@pytest.mark.parametrize("detected", [None, "text/plain", "text/csv", "text/x-c"])
def test_text_is_shown_as_text(detected: str | None) -> None:
    assert shown_inline("text/plain; charset=utf-8", detected)


@pytest.mark.parametrize("content_type", ["video/mp2t", "audio/midi", "video/mpeg", "image/png"])
def test_text_is_not_shown_as_anything_else(content_type: str) -> None:
    assert shown_inline(content_type, "video/mp2t")
    assert not shown_inline(content_type, "text/javascript")
