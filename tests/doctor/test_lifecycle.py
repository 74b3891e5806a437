from typing import Any

from app.core.bucket_setup import Aspect, StoreKind
from app.core.destination import Destination
from app.doctor.buckets import check_lifecycle
from app.doctor.findings import Finding, Findings, Level
from app.store.setup.config import BucketState

THREE = [
    Destination(name="a", bucket="b"),
    Destination(name="b", bucket="b"),
    Destination(name="c", bucket="b", multipart_expires_in=86_400),
]


def _abort(rule_id: str, prefix: str, days: int) -> dict[str, Any]:
    return {
        "ID": rule_id,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }


def _checked(*rules: dict[str, Any]) -> list[Finding]:
    findings = Findings("b")
    lifecycle = {Aspect.LIFECYCLE: {"Rules": list(rules)}}
    check_lifecycle(findings, THREE, BucketState(StoreKind.OTHER, None, lifecycle))
    return findings.entries


def test_destinations_that_fare_alike_are_one_finding() -> None:
    [fine] = _checked(_abort("all", "", 12))
    assert (fine.check, fine.level) == ("lifecycle", Level.OK)
    [bare] = _checked()
    assert (bare.check, bare.level) == ("lifecycle", Level.WARNING)
    for finding in (fine, bare):
        assert "keys under 'a/', 'b/', 'c/' that nobody ends" in finding.meaning


def test_only_those_that_are_affected_are_named() -> None:
    old = {"ID": "old", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    versions, early = _checked(
        {**old, "Filter": {"Prefix": "b/"}}, _abort("6", "", 6), _abort("7", "a/", 7)
    )
    assert (versions.check, versions.level) == ("lifecycle-versions", Level.FAILURE)
    assert "rule old deletes older versions of keys under 'b/':" in versions.meaning
    # 6 days are enough for those whose parts are signed for a day.
    assert (early.check, early.level) == ("lifecycle", Level.FAILURE)
    assert "rule 6, 7 aborts multipart uploads of keys under 'a/', 'b/' within" in early.meaning
    assert "12 days" in early.remedy


def test_some_that_no_rule_ends_beside_one_that_ends_too_soon() -> None:
    early, bare = _checked(_abort("6", "a/", 6), _abort("12", "b/", 12))
    assert (early.level, bare.level) == (Level.FAILURE, Level.WARNING)
    assert "keys under 'a/' within" in early.meaning
    assert "keys under 'c/' that nobody ends" in bare.meaning
