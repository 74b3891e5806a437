import mimetypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.content_types import essence, guess_content_type, normalize_content_type


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("avif", "image/avif"),
        ("heic", "image/heic"),
        ("mp4", "video/mp4"),
        ("svg", "image/svg+xml"),
        ("html", "text/html"),
        ("pdf", "application/pdf"),
        ("gz", "application/octet-stream"),
        ("nosuch", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_guesses(extension: str, content_type: str) -> None:
    assert guess_content_type(extension) == content_type


def test_guesses_do_not_depend_on_the_machine() -> None:
    mimetypes.add_type("text/x-of-this-machine", ".png")
    try:
        assert guess_content_type("png") == "image/png"
    finally:
        mimetypes.init()


@pytest.mark.parametrize(
    ("given_type", "normalized"),
    [
        ("IMAGE/Png", "image/png"),
        (" text/plain ;charset=UTF-8", "text/plain; charset=UTF-8"),
        ("text/plain;", "text/plain"),
        ("text/plain;;a=b ; c=D", "text/plain; a=b; c=D"),
        ("", ""),
    ],
)
def test_one_spelling(given_type: str, normalized: str) -> None:
    assert normalize_content_type(given_type) == normalized


@given(st.text(alphabet="aB/;= \t+", max_size=40))
def test_normalizing_twice_changes_nothing(text: str) -> None:
    once = normalize_content_type(text)
    assert normalize_content_type(once) == once


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("Image/PNG", "image/png"), ("text/html ; charset=utf-8", "text/html"), ("", "")],
)
def test_essence(content_type: str, kind: str) -> None:
    assert essence(content_type) == kind
