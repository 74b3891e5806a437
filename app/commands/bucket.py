"""`claimcheck bucket plan | apply | iam`: set buckets up, and print the rights that are needed."""

import argparse
import asyncio
import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm

from app.commands.parser import Subparsers, add_command, add_group
from app.core.bucket_setup import Config
from app.core.iam import queue_policy, service_policy, setup_policy
from app.errors import ConfigurationError
from app.runtime.resources import open_session
from app.settings.model import Settings, load_settings
from app.store.setup.provision import BucketPlan, Change, Outcome, apply, plan, receivers_of

PENDING_STATUS: Final = 2
_STYLES: Final = {
    Outcome.SAME: ("=", "green"),
    Outcome.CHANGE: ("~", "yellow"),
    Outcome.UNSEEN: ("?", "dim"),
    Outcome.CHANGED: ("✓", "green"),
    Outcome.UNDONE: ("!", "yellow"),
    Outcome.SHUT: ("✗", "red"),
    Outcome.UNKNOWN: ("-", "dim"),
    Outcome.IGNORED: ("!", "yellow"),
    Outcome.DENIED: ("!", "yellow"),
    Outcome.REFUSED: ("✗", "red"),
}
_WITH_DIFFERENCE: Final = frozenset(
    {Outcome.CHANGE, Outcome.REFUSED, Outcome.IGNORED, Outcome.UNDONE, Outcome.SHUT}
)
_POLICIES: Final = {"service": service_policy, "setup": setup_policy, "queue": queue_policy}


def add(commands: Subparsers) -> None:
    purpose = "set the buckets up: plan, apply, or print the IAM policies"
    actions = add_group(commands, "bucket", purpose)
    purpose = f"show what would change; exit status {PENDING_STATUS} if anything would"
    add_command(actions, "plan", _plan, purpose)
    applying = add_command(actions, "apply", _apply, "change it, after asking")
    applying.add_argument("--yes", action="store_true", help="do not ask")
    purpose = "print an IAM policy with the least rights, as JSON"
    add_command(actions, "iam", _iam, purpose).add_argument(
        "who",
        nargs="?",
        choices=sorted(_POLICIES),
        default="service",
        help="for the service itself (default), for whoever runs `bucket apply` (setup), or of "
        "the queue that buckets tell what has arrived",
    )


def _plan(_: argparse.Namespace) -> None:
    settings = _settings()
    plans = asyncio.run(plan(open_session(settings), settings))
    show(Console(), plans)
    if any(planned.pending for planned in plans):
        sys.exit(PENDING_STATUS)


def _apply(options: argparse.Namespace) -> None:
    settings = _settings()
    session, console = open_session(settings), Console()
    if not options.yes:
        plans = asyncio.run(plan(session, settings))
        show(console, plans)
        if not any(planned.pending for planned in plans):
            return
        if not (sys.stdin.isatty() and Confirm.ask("Apply?", console=console, default=False)):
            sys.exit("Nothing was changed; `claimcheck bucket apply --yes` does not ask.")
    applied = asyncio.run(apply(session, settings))
    show(console, applied)
    if any(done.has(Outcome.SHUT) for done in applied):
        sys.exit(
            "A setting shuts the bucket, and could not be taken back: take it away with the keys "
            "of the bucket's owner, for the reason beside it."
        )
    if any(done.has(Outcome.REFUSED) for done in applied):
        sys.exit(
            "The store refused a part of it, for the reason beside it. Where that is a right, mind "
            "those that `claimcheck bucket iam setup` prints: whoever applies needs them, not the "
            "service."
        )


def _iam(options: argparse.Namespace) -> None:
    settings = _settings()
    receivers = receivers_of(settings)
    if options.who == "queue" and receivers.queue_arn is None:
        raise ConfigurationError(
            "CLAIMCHECK_BUCKET_EVENTS_QUEUE is not set: there is no queue to print a policy for."
        )
    policy = _POLICIES[options.who](list(settings.destinations.values()), receivers)
    sys.stdout.write(json.dumps(policy, indent=2) + "\n")


def _settings() -> Settings:
    settings = load_settings()
    for destination in settings.destinations.values():
        if not destination.bucket:
            raise ConfigurationError(
                f"destinations.{destination.name} has no bucket: set AWS_STORAGE_BUCKET_NAME."
            )
    return settings


def show(console: Console, plans: Sequence[BucketPlan]) -> None:
    """Print a plan, or the result of applying it."""
    for planned in plans:
        where = planned.destination.endpoint_url or f"AWS, {planned.destination.region}"
        console.print(f"[bold]{escape(planned.needs.bucket)}[/] at {escape(where)}")
        if planned.missing:
            console.print("  [yellow]~ the bucket does not exist: it will be made[/]")
        for change in planned.changes:
            _show_change(console, change)
        for note in planned.notes:
            console.print(f"  [dim]note: {escape(note)}[/]")


def _show_change(console: Console, change: Change) -> None:
    sign, style = _STYLES[change.outcome]
    reason = f" ({change.reason})" if change.reason else ""
    console.print(f"  [{style}]{sign} {escape(f'{change.aspect} {change.outcome}{reason}')}[/]")
    if change.outcome in _WITH_DIFFERENCE:
        for diff in _difference(change):
            colour = {"+": "green", "-": "red"}.get(diff[:1], "dim")
            console.print(f"      [{colour}]{escape(diff)}[/]", highlight=False)


def _difference(change: Change) -> Iterator[str]:
    before, after = _lines(change.before), _lines(change.after)
    # Without the two file names at its start, and without line numbers.
    for line in list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]:
        yield "..." if line.startswith("@@") else line


def _lines(config: Config) -> list[str]:
    return json.dumps(config, indent=2, sort_keys=True).splitlines() if config else []
