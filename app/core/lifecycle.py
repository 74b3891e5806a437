"""Effects of a bucket's lifecycle rules on the keys under a prefix. Pure.

The shapes are those of the S3 API (AWS, API/API_LifecycleRule).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from app.core.deadlines import CONFIRM_WITHIN, KEEP_PARTS

_Rule = Mapping[str, Any]
_DAY: Final = timedelta(days=1)
_ABORT: Final = "AbortIncompleteMultipartUpload"


def abort_days(longest_upload: int) -> int:
    """Days after its beginning when a multipart upload may be aborted by the store.

    `longest_upload` is the longest time in seconds for which parts are signed. After it the sweep
    completes uploads whose parts are all there, until KEEP_PARTS and CONFIRM_WITHIN are over; a day
    is added.
    """
    last = timedelta(seconds=longest_upload) + KEEP_PARTS + CONFIRM_WITHIN
    return -(-last // _DAY) + 1


def with_filter(rule: _Rule) -> _Rule:
    """The lifecycle rule with its prefix in a filter: S3 takes no mixture of the two forms."""
    if "Filter" in rule or "Prefix" not in rule:
        return rule
    others = {name: value for name, value in rule.items() if name != "Prefix"}
    return {**others, "Filter": {"Prefix": rule["Prefix"]}}


def expires_versions(lifecycle: _Rule, prefix: str) -> list[str]:
    """The ids of the rules that delete noncurrent versions."""
    return _ids(lifecycle, prefix, lambda rule: "NoncurrentVersionExpiration" in rule)


def expires_objects(lifecycle: _Rule, prefix: str) -> list[str]:
    """The ids of the rules that delete current objects, not only expired delete markers."""
    return _ids(
        lifecycle, prefix, lambda rule: bool({"Days", "Date"} & set(rule.get("Expiration", ())))
    )


def aborts_early(lifecycle: _Rule, prefix: str, days: int) -> list[str]:
    """The ids of the rules that abort multipart uploads less than `days` days after they began.

    Where several rules apply, the earliest takes effect.
    """
    return _ids(
        lifecycle,
        prefix,
        lambda rule: _ABORT in rule and rule[_ABORT].get("DaysAfterInitiation", 0) < days,
    )


def aborts_all(lifecycle: _Rule, prefix: str) -> bool:
    """Whether a rule aborts incomplete multipart uploads of all keys under the prefix."""
    return any(
        _ABORT in rule
        and set(limits := rule.get("Filter") or {}) <= {"Prefix"}
        and prefix.startswith(limits.get("Prefix", ""))
        for rule in _enabled(lifecycle)
    )


def _ids(lifecycle: _Rule, prefix: str, does: Callable[[_Rule], bool]) -> list[str]:
    """The ids of the enabled rules for which `does` holds and that apply under the prefix."""
    found = []
    for rule in _enabled(lifecycle):
        limits: _Rule = rule.get("Filter") or {}
        reach = limits.get("And", limits).get("Prefix", "")
        if does(rule) and (prefix.startswith(reach) or reach.startswith(prefix)):
            found.append(str(rule.get("ID", "(without id)")))
    return found


def _enabled(lifecycle: _Rule) -> Iterator[_Rule]:
    return (
        with_filter(rule) for rule in lifecycle.get("Rules", ()) if rule.get("Status") == "Enabled"
    )
