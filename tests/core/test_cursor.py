import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.cursor import decode_cursor, encode_cursor

SECRET, SCOPE = b"secret", "['dev', None]"
LAST = UUID("019a7c1e-8d5a-7c3e-9a51-0123456789ab")


@given(st.binary(max_size=40), st.text(max_size=40), st.uuids())
def test_a_cursor_comes_back(secret: bytes, scope: str, last: UUID) -> None:
    cursor = encode_cursor(secret, scope, last)
    assert len(cursor) == 43
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(secret, scope, cursor) == last


@pytest.mark.parametrize(
    ("secret", "scope"), [(b"other", SCOPE), (b"", SCOPE), (SECRET, ""), (SECRET, SCOPE + " ")]
)
def test_a_cursor_of_another_secret_or_list_is_refused(secret: bytes, scope: str) -> None:
    cursor = encode_cursor(SECRET, SCOPE, LAST)
    with pytest.raises(ValueError, match="not a cursor"):
        decode_cursor(secret, scope, cursor)


@given(st.integers(0, 255))
def test_no_bit_of_a_cursor_can_be_changed(bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(encode_cursor(SECRET, SCOPE, LAST) + "="))
    raw[bit // 8] ^= 1 << bit % 8
    forged = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    with pytest.raises(ValueError, match="not a cursor for this list"):
        decode_cursor(SECRET, SCOPE, forged)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
def test_nothing_else_is_a_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        decode_cursor(SECRET, SCOPE, text)


def test_a_cursor_with_something_added_or_missing_is_refused() -> None:
    cursor = encode_cursor(SECRET, SCOPE, LAST)
    for forged in (cursor[:-1], cursor[:22], cursor + "AAAA", cursor * 2, "A" + cursor):
        with pytest.raises(ValueError, match="not a cursor"):
            decode_cursor(SECRET, SCOPE, forged)


def test_the_id_cannot_slide_into_the_scope() -> None:
    """The message is `cursor NUL scope NUL id`: a NUL in the scope must not make two of one."""
    cursor = encode_cursor(SECRET, "a\0", LAST)
    with pytest.raises(ValueError, match="not a cursor for this list"):
        decode_cursor(SECRET, "a", cursor)
