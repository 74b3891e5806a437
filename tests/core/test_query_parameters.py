from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.delivery import before_name, content_disposition, from_name_on
from app.core.object_url import UnsignableValue
from app.core.query_parameters import query_parameter

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=80)


@given(TEXT, TEXT)
def test_a_value_may_be_given_in_two_pieces(beginning: str, rest: str) -> None:
    whole = query_parameter("versionId", beginning + rest)
    assert query_parameter("versionId", rest, beginning) == whole
    # RFC 3986 section 2.3, and nothing else.
    encoded = whole.removeprefix("&versionId=")
    assert set(encoded.encode()) <= set(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%"
    )
    assert unquote(encoded, errors="strict") == beginning + rest


@pytest.mark.parametrize("filename", ["a b.png", "100%.png", "it's é*.png", "Αναφορά.pdf", 'a"/b'])
def test_a_disposition_is_written_in_two_pieces(filename: str) -> None:
    name = "response-content-disposition"
    whole = query_parameter(name, content_disposition("inline", filename))
    assert query_parameter(name, from_name_on(filename), before_name("inline")) == whole


@pytest.mark.parametrize("unsendable", ["\n", "\x7f", "\ud800"])
def test_neither_piece_holds_what_cannot_be_sent(unsendable: str) -> None:
    for value, beginning in [(unsendable, ""), ("a", unsendable), (f"a{unsendable}", "b")]:
        with pytest.raises(UnsignableValue, match="versionId"):
            query_parameter("versionId", value, beginning)
