"""`claimcheck quotas`: see what owners use, and set limits of their own."""

import argparse
import sys
from typing import Final

from rich.markup import escape

from app.commands.arguments import require_names
from app.commands.parser import Subparsers, add_command, add_group
from app.commands.tables import listing, print_listing
from app.commands.with_resources import DatabaseCommand, with_database
from app.core.principal import Principal, Scope
from app.models.usage import Level
from app.runtime.resources import Resources
from app.usage import quotas

_NAMES: Final = ("bytes", "files", "pending")
_MOST: Final = 2**53


def add(commands: Subparsers) -> None:
    actions = add_group(commands, "quotas", "see what owners use, and set limits of their own")
    purpose = "give an owner limits of their own, instead of any before; without --owner the tenant"
    setting = _add(actions, "set", _set, purpose)
    for name in _NAMES:
        setting.add_argument(
            f"--{name}", type=_count, metavar="N", help="(default: as the settings say)"
        )
    purpose = "have the settings' limits hold for an owner again; without --owner for the tenant"
    _add(actions, "clear", _clear, purpose)
    _add(actions, "usage", _usage, "print what an owner uses, or without --owner the tenant")
    listed = add_command(
        actions, "list", with_database(_list, "the quotas"), "list limits of their own, by owner"
    )
    listed.add_argument("--tenant", default="", help="the tenant (default: none)")


def _add(
    actions: Subparsers, name: str, command: DatabaseCommand, purpose: str
) -> argparse.ArgumentParser:
    parser = add_command(actions, name, with_database(command, "the quotas"), purpose)
    parser.add_argument("--owner", help="the owner (default: the tenant itself)")
    parser.add_argument("--tenant", default="", help="the tenant (default: none)")
    return parser


def _count(text: str) -> int:
    count = int(text)
    if not 0 <= count <= _MOST:
        raise ValueError(text)
    return count


def _operator(options: argparse.Namespace) -> Principal:
    """The caller of the use cases: whoever has the database's URL may do anything with quotas."""
    owner = getattr(options, "owner", None)
    require_names(tenant=options.tenant, **({} if owner is None else {"owner": owner}))
    scopes = frozenset({Scope.QUOTAS_MANAGE.value})
    return Principal("command line", options.tenant, scopes, credential="cli")


async def _set(res: Resources, options: argparse.Namespace) -> None:
    caller = _operator(options)
    limits = {name: getattr(options, name) for name in _NAMES}
    if all(limit is None for limit in limits.values()):
        sys.exit("Name a limit: --bytes, --files or --pending; `quotas clear` ends them.")
    await quotas.set_quota(res, caller, options.owner, **limits)


async def _clear(res: Resources, options: argparse.Namespace) -> None:
    await quotas.clear_quota(res, _operator(options), options.owner)


async def _usage(res: Resources, options: argparse.Namespace) -> None:
    level = Level.TENANT if options.owner is None else Level.OWNER
    table = listing("of", "used", "limit")
    for share in await quotas.read_shares(res, _operator(options), options.owner):
        if share.level is not level:
            continue
        used = share.usage
        sums = {
            "bytes": f"{used.bytes:,} and {used.reserved:,} reserved",
            "files": f"{used.files:,} and {used.pending:,} pending",
            "pending": f"{used.pending:,}",
        }
        for name, said in sums.items():
            limit = getattr(share.limits, name)
            shown = said if share.is_counted else "not counted yet"
            table.add_row(name, shown, "none" if limit is None else f"{limit:,}")
    print_listing(table)


async def _list(res: Resources, options: argparse.Namespace) -> None:
    table = listing("owner", *_NAMES)
    after: str | None = None
    caller = _operator(options)
    while page := await quotas.list_quotas(res, caller, after=after, limit=1000):
        for quota in page:
            limits = [getattr(quota, name) for name in _NAMES]
            said = ["" if limit is None else f"{limit:,}" for limit in limits]
            table.add_row(escape(quota.owner) or "(the tenant)", *said)
        after = page[-1].owner
    print_listing(table)
