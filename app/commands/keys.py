"""`claimcheck keys`: make, list and revoke API keys. Needs the database alone."""

import argparse
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from rich.markup import escape

from app.access import api_keys
from app.commands.scopes import SCOPES_AFTER
from app.commands.tables import listing, print_listing
from app.commands.with_database import with_database
from app.core.principal import KEY_OWNER, Principal, Scope, is_name
from app.models.credentials import ApiKey
from app.runtime.resources import Resources
from app.staff.accounts import every_scope

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_PAGE: Final = 100


def add(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its subcommands to the parser."""
    what = "make, list and revoke API keys"
    parser = commands.add_parser("keys", help=what, description=what)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    what = "make a key, and print it this once"
    creating = actions.add_parser("create", help=what, description=what, **SCOPES_AFTER)
    creating.add_argument("name", help="what it is for, to know it by in the list")
    creating.add_argument(
        "--scope",
        action="append",
        required=True,
        dest="scopes",
        metavar="SCOPE",
        help="what it may do, once for each, see below",
    )
    creating.add_argument("--owner", help="whose files it is for (default: key:NAME)")
    creating.add_argument(
        "--days", type=int, default=365, help="how long it works; 0: for ever (default: 365)"
    )
    creating.set_defaults(run=with_database(_create, "the keys"))
    what = "list the keys, newest first, never the secrets"
    listing = actions.add_parser("list", help=what, description=what)
    listing.set_defaults(run=with_database(_list, "the keys"))
    what = "end a key: within 5 seconds no process takes it any more"
    revoking = actions.add_parser("revoke", help=what, description=what)
    revoking.add_argument("id", type=UUID, help="its id, as `keys list` shows it")
    revoking.set_defaults(run=with_database(_revoke, "the keys"))
    for action in (creating, listing, revoking):
        action.add_argument("--tenant", default="", help="the tenant (default: none)")


async def _create(res: Resources, options: argparse.Namespace) -> None:
    owner = options.owner or f"{KEY_OWNER}{options.name}"
    for what, name in (("name", options.name), ("owner", owner), ("tenant", options.tenant)):
        if not is_name(name) and (what != "tenant" or name):
            sys.exit(f"The {what} must be printable, with 1 to 255 characters.")
    known = every_scope(res.settings)
    for scope in options.scopes:
        if scope not in known:
            sys.exit(f"There is no scope {scope!r}; there are: {', '.join(sorted(known))}.")
    if not 0 <= options.days <= api_keys.MAX_DAYS:
        sys.exit(f"--days must be 1 to {api_keys.MAX_DAYS}, or 0 for ever.")
    _, token = await api_keys.create(
        res,
        _operator(options.tenant, frozenset(options.scopes)),
        name=options.name,
        owner=owner,
        scopes=options.scopes,
        lifetime=timedelta(days=options.days) if options.days else None,
    )
    print(token)  # noqa: T201


async def _list(res: Resources, options: argparse.Namespace) -> None:
    table = listing("id", "name", "owner", "scopes", "expires", "last used", "state")
    # Never folded, however narrow the terminal: it is the argument of `revoke`.
    table.columns[0].no_wrap = True
    table.columns[0].min_width = 36
    cursor: str | None = None
    while True:
        keys, cursor = await api_keys.list_keys(
            res, _operator(options.tenant), cursor=cursor, limit=_PAGE
        )
        for key in keys:
            table.add_row(*_cells(key, res.clock()))
        if cursor is None:
            break
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
    return [str(key.id), escape(key.name), escape(key.owner), " ".join(key.scopes), *moments, state]


async def _revoke(res: Resources, options: argparse.Namespace) -> None:
    await api_keys.revoke(res, _operator(options.tenant), options.id)


def _operator(tenant: str, scopes: frozenset[str] = frozenset()) -> Principal:
    """The caller of the use cases: whoever has the database's URL may do anything with keys."""
    return Principal("command line", tenant, scopes | {Scope.FILES_ALL, Scope.ADMIN})
