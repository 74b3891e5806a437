"""A destination whose files clamd cannot scan whole does not start."""

import pytest

from tests.settings.steps import load, refusal

FILES = "CLAIMCHECK_DESTINATIONS__FILES"
REQUIRED = {f"{FILES}__SCAN": "required"}
CLAMD = {"CLAIMCHECK_CLAMD_URL": "tcp://10.0.0.5:3310"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, "CLAIMCHECK_CLAMD_URL is not set: set it to clamd's address (tcp://host:3310)"),
        (CLAMD, f"it takes 5 GiB, and clamd scans 100 MiB of a file: set {FILES}__MAX_SIZE to"),
        (CLAMD | {f"{FILES}__MAX_SIZE": "104857601"}, "104,857,601 bytes, and clamd scans 104,857"),
        (
            CLAMD | {f"{FILES}__MAX_SIZE": "5000", "CLAIMCHECK_CLAMD_MAX_SIZE": "4999"},
            "it takes 5,000 bytes, and clamd scans 4,999 bytes of a file",
        ),
    ],
)
def test_refused(more: dict[str, str], says: str) -> None:
    assert says in refusal(**REQUIRED, **more)


@pytest.mark.parametrize(
    "more",
    [
        CLAMD | {f"{FILES}__MAX_SIZE": "104857600"},
        CLAMD | {f"{FILES}__MAX_SIZE": "2000000000", "CLAIMCHECK_CLAMD_MAX_SIZE": "2000000000"},
        {f"{FILES}__SCANNER": "guardduty"},
        {f"{FILES}__SCANNER": "api"},
    ],
)
def test_taken(more: dict[str, str]) -> None:
    assert load(**REQUIRED, **more).destinations["files"].scan == "required"
