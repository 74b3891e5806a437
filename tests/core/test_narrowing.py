from dataclasses import replace
from uuid import UUID

import pytest

from app.core.narrowing import Narrowing, list_name
from app.core.principal import Principal, Scope

FULL = Narrowing("images", "image/*", UUID(int=1), UUID(int=2), True)
ANN = Principal("ann", "acme")


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (None, {}),
        ("image/png", {"content_type": "image/png"}),
        ("image/*", {"family": "image"}),
    ],
)
def test_a_kind_is_a_type_or_a_family(content_type: str | None, kind: dict[str, str]) -> None:
    assert Narrowing(content_type=content_type).kind == kind


def test_lists_that_differ_in_anything_have_different_scopes() -> None:
    others = [replace(FULL, **{name: None}) for name in FULL.__slots__]
    others += [Narrowing(), Narrowing(destination="image/*", content_type="images")]
    callers = [
        ANN,
        Principal("bob", "acme"),
        Principal("ann", ""),
        Principal("ann", "acme", frozenset({Scope.FILES_ALL})),
    ]
    scopes = {list_name(narrowing, caller) for narrowing in [FULL, *others] for caller in callers}
    assert len(scopes) == 8 * 4


def test_whoever_sees_the_tenant_has_one_list_whatever_their_name() -> None:
    everything = frozenset({Scope.FILES_ALL})
    assert list_name(FULL, Principal("ann", "acme", everything)) == list_name(
        FULL, Principal("bob", "acme", everything)
    )
