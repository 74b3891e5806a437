"""`claimcheck webhooks`: make, list, switch, try and delete webhooks, and send again."""

import argparse
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.markup import escape

from app.commands.arguments import require_names
from app.commands.parser import Subparsers, add_command, add_group
from app.commands.tables import listing, print_listing
from app.commands.with_resources import DatabaseCommand, with_database
from app.core.principal import Principal
from app.events import webhooks
from app.models.events import EventType
from app.models.webhooks import Webhook
from app.runtime.resources import Resources


def add(commands: Subparsers) -> None:
    actions = add_group(commands, "webhooks", "make, list, switch, try and delete webhooks")
    purpose = "make a webhook, and print its id and its secret, the secret this once"
    creating = _add(actions, "create", _create, purpose)
    creating.add_argument("url", help="where events are posted to: https://www.example.com/hooks")
    creating.add_argument(
        "--type",
        action="append",
        default=[],
        dest="types",
        choices=[kind.value for kind in EventType],
        metavar="TYPE",
        help=f"hear of these alone, once for each (default: all): {', '.join(EventType)}",
    )
    creating.add_argument(
        "--destination",
        action="append",
        default=[],
        dest="destinations",
        metavar="NAME",
        help="hear of files of these alone, once for each (default: all)",
    )
    creating.add_argument("--description", default="", help="to know it by in the list")
    _add(actions, "list", _list, "list the webhooks, newest first, never the secrets")
    _of_one(actions, "disable", _disable, "switch a webhook off: nothing is kept for it then")
    purpose = "switch a webhook on; it goes on with what it had not taken"
    _of_one(actions, "enable", _enable, purpose)
    _of_one(actions, "delete", _delete, "delete a webhook, and what it has not taken")
    purpose = "print a new secret; the one before is valid for another day"
    _of_one(actions, "rotate", _rotate, purpose)
    _of_one(actions, "test", _test, "send a test event; `claimcheck worker` delivers it")
    purpose = "send again what was given up, or one event"
    resending = _of_one(actions, "resend", _resend, purpose)
    which = resending.add_mutually_exclusive_group(required=True)
    which.add_argument("--event", type=UUID, metavar="ID", help="this event, as `webhook-id` was")
    which.add_argument(
        "--since",
        type=_moment,
        metavar="MOMENT",
        help="all that were given up of what happened since: 2026-11-22T19:00:00Z",
    )


def _add(
    actions: Subparsers, name: str, command: DatabaseCommand, purpose: str
) -> argparse.ArgumentParser:
    parser = add_command(actions, name, with_database(command, "the webhooks"), purpose)
    parser.add_argument("--tenant", default="", help="the tenant (default: none)")
    return parser


def _of_one(
    actions: Subparsers, name: str, command: DatabaseCommand, purpose: str
) -> argparse.ArgumentParser:
    parser = _add(actions, name, command, purpose)
    parser.add_argument("id", type=UUID, help="its id, as `webhooks list` shows it")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


async def _create(res: Resources, options: argparse.Namespace) -> None:
    require_names(tenant=options.tenant)
    unknown = set(options.destinations).difference(res.settings.destinations)
    if unknown:
        known = ", ".join(sorted(res.settings.destinations))
        sys.exit(f"There is no destination {min(unknown)!r}; there are: {known}.")
    made, secret = await webhooks.create(
        res,
        _operator(options),
        url=options.url,
        description=options.description,
        types=options.types,
        destinations=options.destinations,
    )
    print(made.id)  # noqa: T201
    print(secret)  # noqa: T201


async def _list(res: Resources, options: argparse.Namespace) -> None:
    table = listing("id", "url", "types", "destinations", "description", "state")
    # Never folded, however narrow the terminal: it is the argument of the other commands.
    table.columns[0].no_wrap = True
    table.columns[0].min_width = 36
    for webhook in await webhooks.list_webhooks(res, _operator(options)):
        said: list[Any] = [webhook.id, webhook.url, " ".join(webhook.types) or "all"]
        said += [" ".join(webhook.destinations) or "all", webhook.description, _state(webhook)]
        table.add_row(*(escape(str(each)) for each in said))
    print_listing(table)


def _state(webhook: Webhook) -> str:
    if webhook.ended is not None:
        return f"off ({webhook.ended})"
    if webhook.failing_since is not None:
        return f"failing since {webhook.failing_since:%Y-%m-%d %H:%M}"
    return "on"


async def _disable(res: Resources, options: argparse.Namespace) -> None:
    await webhooks.change(res, _operator(options), options.id, {"enabled": False})


async def _enable(res: Resources, options: argparse.Namespace) -> None:
    await webhooks.change(res, _operator(options), options.id, {"enabled": True})


async def _delete(res: Resources, options: argparse.Namespace) -> None:
    await webhooks.delete(res, _operator(options), options.id)


async def _rotate(res: Resources, options: argparse.Namespace) -> None:
    _, secret = await webhooks.rotate_secret(res, _operator(options), options.id)
    print(secret)  # noqa: T201


async def _test(res: Resources, options: argparse.Namespace) -> None:
    print(await webhooks.send_test(res, _operator(options), options.id))  # noqa: T201


async def _resend(res: Resources, options: argparse.Namespace) -> None:
    caller = _operator(options)
    if options.event is not None:
        await webhooks.resend(res, caller, options.id, event_id=options.event)
        return
    count = await webhooks.resend_dead(res, caller, options.id, since=options.since)
    sys.stderr.write(f"sent again: {count:,}\n")


def _operator(options: argparse.Namespace) -> Principal:
    """The caller of the use cases: whoever has the database's URL may do anything with webhooks."""
    return Principal("command line", options.tenant, credential="cli")
