"""What `--scope` may be, said at the end of a command's help."""

import argparse
import textwrap
from typing import Any, Final

from app.core.principal import SCOPE_DESCRIPTIONS


def _line(scope: str, lets: str) -> str:
    return textwrap.fill(lets, 79, initial_indent=f"  {scope:15}", subsequent_indent=" " * 17)


SCOPES_AFTER: Final[dict[str, Any]] = {
    "formatter_class": argparse.RawDescriptionHelpFormatter,
    "epilog": "\n".join(
        [
            "scopes, and what each lets its holder do:",
            *(_line(scope, lets) for scope, lets in SCOPE_DESCRIPTIONS.items()),
            "and those that destinations and fields of records ask for in the settings",
        ]
    ),
}
"""Arguments of the command's parser."""
