from dataclasses import replace
from uuid import UUID

import pytest

from app.core.narrowing import Narrowing, list_name
from app.core.principal import Principal, Scope, SessionBounds

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
        Principal("ann", "acme", credential="key:1"),
        Principal("ann", "acme", session=SessionBounds(UUID(int=1), "images")),
    ]
    scopes = {list_name(narrowing, caller) for narrowing in [FULL, *others] for caller in callers}
    assert len(scopes) == 10 * 6
