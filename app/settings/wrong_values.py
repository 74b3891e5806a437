"""Words on a value that is wrong, which name a right one."""

import re
from difflib import get_close_matches
from typing import Any, Final

from pydantic_core import ErrorDetails

from app.core.jwt_settings import NO_KEYS
from app.core.words import in_list

_DECIMAL: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY: Final = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([kmgt]?)(i?)(?:b|bytes?)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# `1h30m`, `90 minutes`, `PT1H` (ISO 8601).
_SPAN: Final = re.compile(
    r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*"
    r"(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?)"
)
_GROUPED: Final = re.compile(r"\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+")
_OTHER_WORDS: Final = {
    **dict.fromkeys(("enable", "enabled", "active"), "true"),
    **dict.fromkeys(("disable", "disabled", "inactive", "none", "never"), "false"),
}
_OF_SIZES: Final = frozenset({"bytes", "min_size", "max_size", "multipart_threshold", "part_size"})
_UNITS: Final = {
    **dict.fromkeys(_OF_SIZES, "bytes"),
    **dict.fromkeys(
        ("upload_expires_in", "link_expires_in", "link_window", "multipart_expires_in", "leeway"),
        "seconds",
    ),
    "aws_presigned_url_expiration_time_minutes": "minutes",
}


def wrong_value(item: ErrorDetails, setting: str) -> str:
    """Words on the value of this setting, which is given by its own name in lower case.

    The value itself is not shown, which may be a secret, but for what a number or one of the
    words that the setting takes was meant by.
    """
    kind, given, about = item["type"], item["input"], item.get("ctx", {})
    if kind in {"value_error", NO_KEYS}:
        return item["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return "is missing, and has no default"
    if kind.startswith("int_"):
        return _whole_number(given, setting)
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = "at least" if kind == "greater_than_equal" else "at most"
        limit = about["ge" if kind == "greater_than_equal" else "le"]
        unit = _UNITS.get(setting, "")
        if limit == 1:
            unit = unit.removesuffix("s")
        return f"must be {bound} {limit:_}{f' {unit}' if unit else ''}"
    if kind.startswith("bool_"):
        meant = _OTHER_WORDS.get(str(given).strip().lower())
        return "write true or false" + (f": {meant}" if meant else "")
    if kind == "literal_error":
        is_list = isinstance(item["loc"][-1], int)
        return _one_of(str(given), re.findall(r"'([^']*)'", about["expected"]), is_list)
    return _wrong_kind(kind, about, setting)


def _wrong_kind(kind: str, about: dict[str, Any], setting: str) -> str:
    """For values that are of another kind altogether."""
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return (
            "is a table of settings, as in CLAIMCHECK_DESTINATIONS__IMAGES__MAX_SIZE, not a value"
        )
    if setting == "destinations" and kind == "too_short":
        return "declare at least one, or leave the table out for the default ones"
    if kind in {"too_short", "string_too_short"}:
        least = about["min_length"]
        return f"needs at least {least}" + (" character" if least == 1 else " characters")
    if kind in {"too_long", "string_too_long"}:
        return f"must be shorter: at most {about['max_length']} characters"
    if kind.startswith(("tuple_", "list_")):
        return 'write a list: a, b in the environment, ["a", "b"] in TOML'
    return "write text" if kind.startswith("string_") else "is not a value that this setting takes"


def _whole_number(given: object, setting: str) -> str:
    unit = _UNITS.get(setting)
    meant = _meant(str(given).strip().lower(), unit)
    words = f"write a whole number{f' of {unit}' if unit else ''}"
    if meant is not None:
        return f"{words}: {meant:_}"
    return words + (f", such as {_SUCH_AS[unit]}" if unit else ", in digits")


_SUCH_AS: Final = {"bytes": "5_000_000", "seconds": "3_600", "minutes": "60"}


def _meant(text: str, unit: str | None) -> int | None:
    """The number that a size, a time or a number with separators stands for; None: unclear."""
    if _GROUPED.fullmatch(text):
        return int(re.sub(r"\D", "", text))
    if unit == "bytes" and (size := _SIZE.fullmatch(text)):
        number, prefix, binary = size.groups()
        value = float(number) * (_BINARY if binary and prefix else _DECIMAL)[prefix]
        return round(value)
    text = re.sub(r"^p(?=[t0-9])|t(?=[0-9])", "", text)
    if unit in {"seconds", "minutes"} and re.fullmatch(f"(?:{_SPAN.pattern})+", text):
        seconds = sum(float(number) * _SECONDS[name[0]] for number, name in _SPAN.findall(text))
        return max(1, round(seconds / (60 if unit == "minutes" else 1)))
    return None


def _one_of(given: str, allowed: list[str], is_list: bool) -> str:
    said = f"write {'one of ' if len(allowed) > 1 else ''}{in_list(allowed)}"
    text = given.strip().lower()
    several = [word for word in re.split(r"[^a-z0-9:-]+", text) if word]
    if is_list and len(several) > 1 and set(several) <= set(allowed):
        return f"{said}, several with commas: {','.join(several)}"
    exact = {word.lower(): word for word in allowed}
    near = get_close_matches(text, exact, n=1)
    return f"{said}. Did you mean {exact[near[0]]}?" if near else said
