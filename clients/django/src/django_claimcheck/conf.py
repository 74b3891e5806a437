"""The setting `CLAIMCHECK`, a dictionary: how the service is reached, and who may upload."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_claimcheck.fields import ClaimcheckField

DEFAULTS: dict[str, Any] = {
    "URL": "",
    "KEY": "",
    "BROWSER_URL": "",
    "SCRIPT": "",
    "OWNER": "django_claimcheck.users.owner_of",
    "MAY_UPLOAD": "django_claimcheck.users.may_upload",
    "EXPIRES_IN": 86_400,
    "TIMEOUT": 10,
}


@dataclass(frozen=True)
class Conf:
    """The members of `CLAIMCHECK`; README.md describes them. Times are seconds."""

    url: str
    key: str = field(repr=False)  # error pages and trackers show variables
    browser_url: str
    script: str
    owner: Callable[[Any], str]
    may_upload: Callable[[HttpRequest, ClaimcheckField], bool]
    expires_in: int
    timeout: float


@cache
def conf() -> Conf:
    """The setting as it is. Raises ImproperlyConfigured where it cannot be used."""
    given = getattr(settings, "CLAIMCHECK", None)
    if not isinstance(given, dict) or "URL" not in given or "KEY" not in given:
        raise ImproperlyConfigured(
            'Set CLAIMCHECK = {"URL": ..., "KEY": ...}: the address of your Claimcheck service, '
            "and an API key of it."
        )
    if unknown := given.keys() - DEFAULTS:
        raise ImproperlyConfigured(
            f"CLAIMCHECK has no {', '.join(sorted(unknown))}; it has {', '.join(DEFAULTS)}."
        )
    full = DEFAULTS | given
    for name in ("URL", "BROWSER_URL"):
        wanted = "https?://." if name == "URL" else "(https?://.|$)"
        if not re.match(wanted, str(full[name] or "")):
            raise ImproperlyConfigured(
                f"CLAIMCHECK's {name} is an address, https://..., not {full[name]!r}."
            )
    if not isinstance(full["KEY"], str):
        raise ImproperlyConfigured(
            'CLAIMCHECK\'s KEY is an API key, or "" where none is asked for.'
        )
    for name, least, most in (("EXPIRES_IN", 60, 604_800), ("TIMEOUT", 0.1, 600)):
        if not (isinstance(full[name], int | float) and least <= full[name] <= most):
            raise ImproperlyConfigured(f"CLAIMCHECK's {name} is {least} to {most} seconds.")
    url = full["URL"].rstrip("/")
    browser_url = (full["BROWSER_URL"] or url).rstrip("/")
    return Conf(
        url=url,
        key=full["KEY"],
        browser_url=browser_url,
        script=full["SCRIPT"] or f"{browser_url}/static/upload-field.js",
        owner=_function("OWNER", full["OWNER"]),
        may_upload=_function("MAY_UPLOAD", full["MAY_UPLOAD"]),
        expires_in=full["EXPIRES_IN"],
        timeout=full["TIMEOUT"],
    )


def _function(name: str, given: Any) -> Any:
    try:
        found = import_string(given) if isinstance(given, str) else given
    except ImportError as error:
        raise ImproperlyConfigured(f"CLAIMCHECK's {name} is {given!r}: {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"CLAIMCHECK's {name} is a function, or the path of one.")
    return found


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CLAIMCHECK":
        conf.cache_clear()


setting_changed.connect(_forget)
