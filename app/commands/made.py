"""Tables of API keys, and the keys that a credential had made where a command ends it."""

import argparse
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rich.markup import escape

from app.access.makers import MAX_LISTED, Made
from app.commands.tables import listing, print_listing
from app.models.credentials import ApiKey

REVOKE: Final = "revoke"


def print_keys(keys: Iterable[ApiKey], now: datetime) -> None:
    """Print the keys, never the secrets; `now` says which have expired."""
    table = listing("id", "name", "owner", "scopes", "expires", "last used", "made with", "state")
    # Never folded, however narrow the terminal: it is the argument of `keys revoke`.
    table.columns[0].no_wrap = True
    table.columns[0].min_width = 36
    for key in keys:
        table.add_row(*_cells(key, now))
    print_listing(table)


def _cells(key: ApiKey, now: datetime) -> list[str]:
    state = "good"
    if key.revoked_at is not None:
        state = "revoked"
    elif key.expires_at is not None and key.expires_at <= now:
        state = "expired"
    moments = [
        f"{moment:%Y-%m-%d %H:%M}" if moment else "never"
        for moment in (key.expires_at, key.last_used_at)
    ]
    said = [str(key.id), escape(key.name), escape(key.owner), " ".join(key.scopes)]
    return [*said, *moments, key.made_with, state]


def add_made(parser: argparse.ArgumentParser) -> None:
    """Let the command be told what becomes of those keys, as `made`."""
    parser.add_argument(
        "--made",
        choices=("list", REVOKE),
        default="list",
        help="the keys that were made with it, and with those: list the ones that still work "
        "(default), or revoke them too",
    )


def print_made(made: Made, now: datetime) -> None:
    """Print the keys that it had made: those that still work, or that were revoked with it."""
    if not made.keys:
        return
    what = "revoked, too" if made.keys_revoked else "still good; `--made revoke` ends them, too"
    is_more = len(made.keys) > MAX_LISTED and not made.keys_revoked
    count = f"more than {MAX_LISTED}" if is_more else len(made.keys)
    print(f"Keys that were made with it: {count}, {what}.", file=sys.stderr)  # noqa: T201
    print_keys(made.keys[:MAX_LISTED], now)
