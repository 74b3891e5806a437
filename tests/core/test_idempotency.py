from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.idempotency import MAX_KEY, read_key, request_key
from app.core.principal import Identity

ANN = Identity("acme", "ann", "key:1", None)
BODY = {"destination": "files", "filename": "a.txt", "size": 5}


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"an order, twice"', "an order, twice"),
        (r'"say \"no\" \\"', r"say \"no\" \\"),
        ("x" * MAX_KEY, "x" * MAX_KEY),
    ],
)
def test_keys(value: str, key: str) -> None:
    assert read_key(value) == key


@pytest.mark.parametrize(
    "value",
    [
        *("", '""', '"', 'a"', '"a', '"a" "b"', '"a", "b"', "a, b", "a b", '"a";b=1', r'"a\b"'),
        *('"é"', "é", '"a\n"', "a\n", "x" * (MAX_KEY + 1), f'"{"x" * (MAX_KEY - 1)}"'),
    ],
)
def test_what_is_no_key(value: str) -> None:
    with pytest.raises(ValueError, match="quotation marks"):
        read_key(value)


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_a_request_is_known_by_its_body_in_any_order(body: dict[str, object]) -> None:
    again = dict(reversed(body.items()))
    assert request_key(ANN, "k", "Kind", body) == request_key(ANN, "k", "Kind", again)


def test_keys_are_of_one_caller_and_requests_of_one_route() -> None:
    first = request_key(ANN, "k", "Kind", BODY)
    for other in (
        ANN._replace(tenant=""),
        ANN._replace(owner="bob"),
        ANN._replace(credential="key:2"),
        ANN._replace(session=UUID(int=1)),
    ):
        assert request_key(other, "k", "Kind", BODY).key_hash != first.key_hash
    assert request_key(ANN, "K", "Kind", BODY).key_hash != first.key_hash
    for kind, body in (("Other", BODY), ("Kind", BODY | {"size": 6}), ("Kind", {})):
        changed = request_key(ANN, "k", kind, body)
        assert changed.key_hash == first.key_hash
        assert changed.request_hash != first.request_hash
