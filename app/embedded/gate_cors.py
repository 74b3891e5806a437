"""CORS headers, by a bucket's own rules.

Source: AWS, userguide/ManageCorsUsing: the first rule that matches decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.embedded.s3_error import S3Error

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True)
class CorsRule:
    """One rule of PutBucketCors; origins and headers may hold one `*` each."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: str | None = None


def preflight(rules: Iterable[CorsRule], headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the answer to a preflight; names in `headers` are in lower case.

    Raises S3Error: 400 where the request is no preflight, 403 where no rule allows it.
    """
    origin = headers.get("origin")
    method = headers.get("access-control-request-method")
    if not origin or not method:
        message = "Insufficient information. A preflight needs Origin and the requested method."
        raise S3Error(400, "BadRequest", message)
    listed = headers.get("access-control-request-headers", "")
    wanted = [name.strip().lower() for name in listed.split(",") if name.strip()]
    rule = _first_match(rules, origin, method, wanted)
    if rule is None:
        raise S3Error(
            403,
            "AccessForbidden",
            "CORSResponse: This CORS request is not allowed. Compare Origin, requested method and "
            "requested headers with the bucket's CORS rules.",
        )
    answer = _answer(rule, origin)
    if wanted:
        answer["Access-Control-Allow-Headers"] = ", ".join(wanted)
    if rule.max_age is not None:
        answer["Access-Control-Max-Age"] = rule.max_age
    return answer


def actual(rules: Iterable[CorsRule], method: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the answer to a request that is no preflight; none where no rule matches."""
    origin = headers.get("origin")
    rule = _first_match(rules, origin, method, ()) if origin else None
    return _answer(rule, origin) if rule and origin else {}


def _first_match(
    rules: Iterable[CorsRule], origin: str, method: str, wanted: Iterable[str]
) -> CorsRule | None:
    for rule in rules:
        if (
            method in rule.methods
            and _any_matches(rule.origins, origin)
            and all(_any_matches(rule.headers, name, re.IGNORECASE) for name in wanted)
        ):
            return rule
    return None


def _any_matches(patterns: Iterable[str], value: str, flags: re.RegexFlag = re.NOFLAG) -> bool:
    """Origins are compared as they are written, which browsers do in lower case; names of headers
    in any case.
    """
    return any(
        re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), value, flags) for pattern in patterns
    )


def _answer(rule: CorsRule, origin: str) -> dict[str, str]:
    answer = {
        "Access-Control-Allow-Origin": "*" if "*" in rule.origins else origin,
        "Access-Control-Allow-Methods": ", ".join(rule.methods),
        "Vary": _VARY,
    }
    if rule.expose:
        answer["Access-Control-Expose-Headers"] = ", ".join(rule.expose)
    return answer
