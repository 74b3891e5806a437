"""Names and scopes among the arguments of a command."""

import argparse
import sys
import textwrap
from collections.abc import Iterable
from typing import Any, Final

from app.core.principal import SCOPE_DESCRIPTIONS, is_name
from app.runtime.resources import Resources
from app.staff.accounts import every_scope


def _line(scope: str, description: str) -> str:
    return textwrap.fill(
        description, 79, initial_indent=f"  {scope:15}", subsequent_indent=" " * 17
    )


SCOPES_AFTER: Final[dict[str, Any]] = {
    "formatter_class": argparse.RawDescriptionHelpFormatter,
    "epilog": "\n".join(
        [
            "scopes, and what each lets its holder do:",
            *(_line(scope, text) for scope, text in SCOPE_DESCRIPTIONS.items()),
            "and those that destinations and fields of records ask for in the settings",
        ]
    ),
}
"""Keyword arguments for the command's parser: the list of scopes at the end of its help."""


def require_names(*, tenant: str, **names: str) -> None:
    """Exit unless all can be names of owners; the tenant may be empty."""
    for role, name in {**names, "tenant": tenant}.items():
        if not is_name(name) and (role != "tenant" or name):
            sys.exit(f"The {role} must be printable, with 1 to 255 characters.")


def require_scopes(res: Resources, scopes: Iterable[str]) -> None:
    """Exit unless these are scopes of the service or of its settings."""
    known = every_scope(res.settings)
    for scope in scopes:
        if scope not in known:
            sys.exit(f"There is no scope {scope!r}; there are: {', '.join(sorted(known))}.")
