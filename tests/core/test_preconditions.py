import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.preconditions import Preconditions

# (If-Match, If-None-Match, the ETag or None, whether the target holds anything, the outcome)
CASES = [
    (None, None, None, False, True),
    (None, None, '"a"', True, True),
    ('"a"', None, '"a"', True, True),
    ('"a"', None, '"a"', False, True),
    ('"a"', None, '"b"', True, False),
    ('"a"', None, None, False, False),
    ('"x", "a"', None, '"a"', True, True),
    ('"x","y"', None, '"a"', True, False),
    (' ,"x",, "a" ,', None, '"a"', True, True),
    ('"a,b"', None, '"a"', True, False),
    ('"a,b"', None, '"a,b"', True, True),
    # A weak tag never does for If-Match, and does for If-None-Match.
    ('W/"a"', None, '"a"', True, False),
    (None, 'W/"a"', '"a"', True, False),
    ("*", None, '"a"', True, True),
    ("*", None, '"a"', False, False),
    ("*", None, None, False, False),
    (None, "*", None, False, True),
    (None, "*", '"a"', False, True),
    (None, " * ", '"a"', True, False),
    (None, '"a"', '"a"', True, False),
    (None, '"b"', '"a"', True, True),
    (None, '"b"', None, False, True),
    ('"a"', "*", '"a"', False, True),
    ('"a"', "*", '"a"', True, False),
    ('"b"', "*", '"a"', False, False),
    ('""', None, '""', True, True),
]


@pytest.mark.parametrize(("if_match", "if_none_match", "etag", "filled", "outcome"), CASES)
def test_conditions(
    if_match: str | None, if_none_match: str | None, etag: str | None, filled: bool, outcome: bool
) -> None:
    conditions = Preconditions.parse(if_match, if_none_match)
    assert conditions.hold(etag, filled=filled) is outcome


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", ",", "a", '"a', 'a"', '"a" "b"', '"a"b', 'w/"a"', 'W/ "a"', '*,"a"'),
        *('"a", *', '"a b"', '"a"\n', "'a'", "**", '"\x7f"', '"\u0394"'),
    ],
)
def test_what_is_no_list_of_tags(value: str) -> None:
    for headers in ((value, None), (None, value)):
        with pytest.raises(ValueError, match="not a list of entity tags"):
            Preconditions.parse(*headers)


@given(st.lists(st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E)), min_size=1))
def test_every_list_of_tags_is_understood(texts: list[str]) -> None:
    tags = [f'"{text}"' for text in texts]
    assert Preconditions.parse(", ".join(tags), None).match == frozenset(tags)


@given(st.text(max_size=200))
def test_other_text_is_refused_in_words(value: str) -> None:
    try:
        conditions = Preconditions.parse(value, None)
    except ValueError:
        return
    assert conditions.match


def test_long_lists_take_no_time() -> None:
    with pytest.raises(ValueError, match="not a list"):
        Preconditions.parse('"a", ' * 800 + "x", None)
    with pytest.raises(ValueError, match="not a list"):
        Preconditions.parse(", \t" * 1300 + "x", None)
