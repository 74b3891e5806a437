"""The doctor's advice: settings that suit what a store can do."""

from typing import Any

import pytest

from app.core.bucket_setup import StoreKind
from app.core.destination import Destination
from app.doctor.advice import advise
from app.doctor.findings import Abilities

WORKS = {"forms": True, "puts": True, "multipart": True}
NO_FORMS = WORKS | {"forms": False}
CLAIM, METHOD = (f"CLAIMCHECK_DESTINATIONS__FILES__{n}" for n in ("CONDITIONAL_WRITES", "METHOD"))


@pytest.mark.parametrize(
    ("destination", "abilities", "has_versions", "settings"),
    [
        ({}, WORKS | {"versions": True}, True, {}),
        # Versioning is off, and `bucket apply` turns it on: that seals better.
        ({}, WORKS | {"versions": False}, True, {}),
        ({}, WORKS | {"versions": False}, False, {METHOD: "multipart"}),
        ({}, NO_FORMS | {"versions": True}, True, {METHOD: "put"}),
        ({}, NO_FORMS, False, {METHOD: "multipart"}),
        ({}, NO_FORMS | {"multipart": False}, False, {METHOD: "put"}),
        # A lack of rights says nothing about the store.
        ({}, {"forms": None, "puts": None, "multipart": False}, True, {}),
        ({"method": "put"}, WORKS | {"signed_headers_only": False}, True, {METHOD: "post"}),
        ({"method": "put"}, NO_FORMS | {"signed_headers_only": False}, True, {}),
        (
            {"method": "put"},
            WORKS | {"versions": False, "conditional_writes": True},
            False,
            {CLAIM: "true"},
        ),
        (
            {"method": "put", "conditional_writes": True},
            WORKS | {"versions": True, "conditional_writes": False},
            True,
            {CLAIM: "false"},
        ),
        ({"method": "multipart"}, WORKS, False, {}),
        # Both seal: nothing is to be changed.
        (
            {"method": "put", "conditional_writes": True},
            WORKS | {"versions": True, "conditional_writes": True},
            True,
            {},
        ),
        # A condition is no seal where unsigned headers make copies.
        (
            {"method": "put", "conditional_writes": True},
            NO_FORMS
            | {"versions": False, "conditional_writes": True, "signed_headers_only": False},
            True,
            {CLAIM: "false"},
        ),
        # What takes more than was signed is never recommended, whatever else it can do.
        ({"method": "put"}, WORKS | {"forms_enforced": False, "puts_enforced": True}, True, {}),
        (
            {"method": "put"},
            WORKS | {"forms_enforced": False, "signed_headers_only": False},
            True,
            {},
        ),
        ({}, WORKS | {"forms_enforced": False, "puts_enforced": True}, True, {METHOD: "put"}),
        (
            {},
            WORKS | {"forms_enforced": False, "puts_enforced": False},
            True,
            {METHOD: "multipart"},
        ),
        # Swift: no forms, and parts that can be sent again.
        ({}, NO_FORMS | {"multipart": False, "versions": False}, False, {METHOD: "put"}),
    ],
)
def test_advice(
    destination: dict[str, Any],
    abilities: dict[str, bool],
    has_versions: bool,
    settings: dict[str, str],
) -> None:
    advice = advise(
        Destination(name="files", bucket="bkt", **destination),
        StoreKind.OTHER,
        Abilities(**abilities),
        has_versions=has_versions,
    )
    assert advice.settings == settings
