"""`claimcheck keys`: make, list and revoke API keys. Needs the database alone."""

import argparse
import sys
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from app.access import api_keys
from app.commands.arguments import SCOPES_AFTER, require_names, require_scopes
from app.commands.made import REVOKE, add_made, print_keys, print_made
from app.commands.parser import Subparsers, add_command, add_group
from app.commands.with_resources import DatabaseCommand, with_database
from app.core.principal import KEY_OWNER, Principal, Scope
from app.models.credentials import ApiKey
from app.runtime.resources import Resources
from app.uploads.unsized import end_key

_PAGE: Final = 100


def add(commands: Subparsers) -> None:
    actions = add_group(commands, "keys", "make, list and revoke API keys")
    purpose = "make a key, and print it this once"
    creating = _add(actions, "create", _create, purpose, **SCOPES_AFTER)
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
    _add(actions, "list", _list, "list the keys, newest first, never the secrets")
    purpose = "end a key, and the upload sessions that it minted: within 5 seconds everywhere"
    revoking = _add(actions, "revoke", _revoke, purpose)
    revoking.add_argument("id", type=UUID, help="its id, as `keys list` shows it")
    add_made(revoking)


def _add(
    actions: Subparsers, name: str, command: DatabaseCommand, purpose: str, **options: Any
) -> argparse.ArgumentParser:
    run = with_database(command, "the keys")
    parser = add_command(actions, name, run, purpose, **options)
    parser.add_argument("--tenant", default="", help="the tenant (default: none)")
    return parser


async def _create(res: Resources, options: argparse.Namespace) -> None:
    owner = options.owner or f"{KEY_OWNER}{options.name}"
    require_names(name=options.name, owner=owner, tenant=options.tenant)
    require_scopes(res, options.scopes)
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
    listed: list[ApiKey] = []
    cursor: str | None = None
    while True:
        keys, cursor = await api_keys.list_keys(
            res, _operator(options.tenant), cursor=cursor, limit=_PAGE
        )
        listed += keys
        if cursor is None:
            break
    print_keys(listed, res.clock())


async def _revoke(res: Resources, options: argparse.Namespace) -> None:
    caller, revoke_made = _operator(options.tenant), options.made == REVOKE
    made = await end_key(res, caller, options.id, revoke_made=revoke_made)
    print_made(made, res.clock())


def _operator(tenant: str, scopes: frozenset[str] = frozenset()) -> Principal:
    """The caller of the use cases: whoever has the database's URL may do anything with keys."""
    scopes |= {Scope.FILES_ALL, Scope.ADMIN}
    return Principal("command line", tenant, scopes, credential="cli")
