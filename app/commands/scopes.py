"""The list of scopes at the end of a command's help."""

import argparse
import textwrap
from typing import Any, Final

from app.core.principal import SCOPE_DESCRIPTIONS


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
"""Keyword arguments for the command's parser."""
