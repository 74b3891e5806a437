"""Texts and terms: whatever a text has, its terms lead to."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.core.metadata import write_metadata
from app.core.search_text import (
    as_text,
    fold,
    join,
    matches,
    metadata_line,
    property_line,
    split,
    terms_of,
    text_of,
    wanted,
)

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40)
PROPERTIES = {"owner": "ann"}


@given(NAMES, st.data())
def test_every_part_of_a_name_is_found_by_its_terms(name: str, data: st.DataObject) -> None:
    text = text_of(name, PROPERTIES, None)
    folded = fold(name)
    begin = data.draw(st.integers(0, len(folded)))
    part = folded[begin : data.draw(st.integers(begin, len(folded)))]
    sought = wanted(part, [property_line("owner", "ann")])
    assert sought.is_in(text)
    [terms] = sought.terms("acme")
    assert set(terms) <= set(terms_of("acme", [text]))
    # And every part of an owner by that of owners, where these are looked in.
    text = text_of("x", {"owner": name}, None)
    sought = wanted(part, [], owners=True)
    assert sought.is_in(text)
    assert any(set(terms) <= set(terms_of("acme", [text])) for terms in sought.terms("acme"))


def test_searches_of_names_are_not_led_to_owners() -> None:
    text = text_of("a.png", {"owner": "Harbour Master"}, None)
    assert not wanted("harbour", []).is_in(text)
    assert not set(wanted("harbour", []).terms("")[0]) & set(terms_of("", [text]))
    for q in ("harbour", "MASTER har", "rm"):
        assert wanted(q, [], owners=True).is_in(text) is (q != "rm")
    # Each word in one of them, but not all in either.
    assert not wanted("harbour png", [], owners=True).is_in(text)


@given(st.dictionaries(st.uuids(), NAMES, max_size=5))
def test_texts_come_out_as_they_went_in(names: dict[UUID, str]) -> None:
    said = '{"a":"\\u001f\\u001e"}'
    texts = {one: text_of(name, PROPERTIES, said) for one, name in names.items()}
    joined = join(texts)
    assert list(split(joined)) == sorted(texts.items())
    assert matches(joined, wanted("", [property_line("owner", "ann")])) == sorted(texts)
    assert matches(joined, wanted("", [property_line("owner", "eve")])) == []


def test_words_in_any_order_and_case() -> None:
    text = text_of("Harbour view, Été ２.PNG", PROPERTIES, None)
    for q in ("harbour", "ARB", "view harb", "été", "e\u0301te\u0301", "2.png", "r v", "w,", ""):
        assert wanted(q, []).is_in(text), q
    for q in ("harbor", "harbour spring", "ann", "owner", "ete"):
        assert not wanted(q, []).is_in(text), q


def test_metadata_are_exact() -> None:
    metadata = write_metadata({"album": "spring", "page": 3, "x": 2.5, "raw": True, "t": 'a"\x1f'})
    text = text_of("a.png", PROPERTIES, metadata)
    for name, value in (
        ("album", "spring"),
        ("page", "3"),
        ("x", "2.5"),
        ("raw", "true"),
        ("t", 'a"\x1f'),
    ):
        sought = wanted("", [metadata_line(name, value)])
        assert sought.is_in(text), name
        assert set(sought.terms("")[0]) <= set(terms_of("", [text])), name
    for name, value in (
        ("album", "sprin"),
        ("albu", "spring"),
        ("album", "Spring"),
        ("page", "3.0"),
        ("page", "30"),
        ("raw", "True"),
        ("owner", "ann"),
        ("", ""),
    ):
        assert not wanted("", [metadata_line(name, value)]).is_in(text), (name, value)


def test_a_name_cannot_pass_for_a_line() -> None:
    line = metadata_line("album", "spring")
    text = text_of(f"a\x1f{line}\x1f", PROPERTIES, None)
    assert not wanted("", [line]).is_in(text)
    named = text_of(f"a {line}", PROPERTIES, write_metadata({"x": f"\x1f{line}\x1f"}))
    assert not wanted("", [line]).is_in(named)


def test_terms_tell_tenants_apart_and_are_few() -> None:
    text = text_of("harbour.png", PROPERTIES, None)
    assert not set(terms_of("acme", [text])) & set(terms_of("other", [text]))
    assert len(wanted("x" * 50 + " " + "abc" * 50, []).terms("")[0]) <= 16
    assert wanted("ab", []).terms("") == [[]]
    assert all(wanted("写真", []).terms(""))
    assert all(-(2**31) <= term < 2**31 for term in terms_of("acme", [text]))


def test_values_as_addresses_write_them() -> None:
    assert [as_text(one) for one in ("a", 3, 2.5, True)] == ["a", "3", "2.5", "true"]
