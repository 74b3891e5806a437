from datetime import timedelta
from typing import Any

import pytest

from app.core.deadlines import CONFIRM_WITHIN, KEEP_PARTS
from app.core.lifecycle import (
    abort_days,
    aborts_all,
    aborts_early,
    expires_objects,
    expires_versions,
)

DAY = 86_400


@pytest.mark.parametrize(
    ("seconds", "days"), [(60, 5), (DAY, 6), (DAY - 3600, 5), (604_800, 12), (2_592_000, 35)]
)
def test_nothing_is_aborted_that_the_sweep_may_still_join(seconds: int, days: int) -> None:
    assert abort_days(seconds) == days
    # It begins with the upload, at the earliest, when its last URL has ended and it was paused.
    begins = timedelta(seconds=seconds) + max(KEEP_PARTS, CONFIRM_WITHIN)
    assert timedelta(days=days) - begins >= timedelta(days=1)


def rule(**content: Any) -> dict[str, Any]:
    return {"Rules": [{"ID": "r", "Status": "Enabled", **content}]}


ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


@pytest.mark.parametrize(
    ("lifecycle", "covered"),
    [
        ({}, False),
        (rule(Filter={"Prefix": ""}, **ABORT), True),
        (rule(Filter={}, **ABORT), True),
        (rule(Prefix="files/", **ABORT), True),
        (rule(Filter={"Prefix": "fi"}, **ABORT), True),
        (rule(Filter={"Prefix": "files/some/"}, **ABORT), False),
        (rule(Filter={"Tag": {"Key": "a", "Value": "b"}}, **ABORT), False),
        (rule(Filter={"Prefix": ""}, **ABORT) | {"x": 1}, True),
        ({"Rules": [{"ID": "r", "Status": "Disabled", "Filter": {}, **ABORT}]}, False),
        (rule(Filter={}, Expiration={"Days": 1}), False),
    ],
)
def test_which_rules_abort_what_is_left(lifecycle: dict[str, Any], covered: bool) -> None:
    assert aborts_all(lifecycle, "files/") is covered


def test_which_rules_take_files_away() -> None:
    expire = {"Expiration": {"Days": 1}}
    assert expires_objects(rule(Filter={"Prefix": "files/a/"}, **expire), "files/") == ["r"]
    assert expires_objects(rule(Prefix="", **expire), "files/") == ["r"]
    both = {"And": {"Prefix": "files/", "Tags": []}}
    assert expires_objects(rule(Filter=both, **expire), "files/") == ["r"]
    assert expires_objects(rule(Filter={"Prefix": "logs/"}, **expire), "files/") == []
    assert expires_objects(rule(Filter={}, **ABORT), "files/") == []
    tidy = {"Expiration": {"ExpiredObjectDeleteMarker": True}}
    assert expires_objects(rule(Filter={}, **tidy), "files/") == []
    date = {"Expiration": {"Date": "2030-01-01"}}
    assert expires_objects(rule(Filter={}, **date), "files/") == ["r"]


def test_which_rules_take_versions_away() -> None:
    noncurrent = {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    assert expires_versions(rule(Filter={}, **noncurrent), "files/") == ["r"]
    assert expires_versions(rule(Filter={"Prefix": "logs/"}, **noncurrent), "files/") == []


def test_which_rules_abort_what_may_go_on() -> None:
    for reach in ("", "fi", "files/", "files/some/"):
        assert aborts_early(rule(Filter={"Prefix": reach}, **ABORT), "files/", 8) == ["r"]
    assert aborts_early(rule(**ABORT), "files/", 8) == ["r"]
    assert aborts_early(rule(Filter={}, **ABORT), "files/", 7) == []
    assert aborts_early(rule(Filter={"Prefix": "logs/"}, **ABORT), "files/", 8) == []
    assert aborts_early(rule(Filter={}, Expiration={"Days": 1}), "files/", 8) == []
    off = {"Rules": [{"ID": "r", "Status": "Disabled", "Filter": {}, **ABORT}]}
    assert aborts_early(off, "files/", 8) == []
