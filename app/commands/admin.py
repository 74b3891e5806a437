"""`claimcheck admin`: the accounts of the admin panel. Needs the database alone."""

import argparse
import getpass
import sys
from importlib.util import find_spec

from rich.markup import escape

from app.commands.arguments import SCOPES_AFTER, require_names, require_scopes
from app.commands.made import REVOKE, add_made, print_made
from app.commands.parser import Run, Subparsers, add_command, add_group
from app.commands.tables import listing, print_listing
from app.commands.with_resources import DatabaseCommand, with_database
from app.errors import ConfigurationError
from app.runtime.resources import Resources
from app.staff import accounts as staff
from app.uploads.unsized import drop_unsized


def add(commands: Subparsers) -> None:
    actions = add_group(commands, "admin", "say who may sign in to the admin panel")
    for name, command, purpose in (
        ("create-user", _create, "create an account; asks for a password, or reads it"),
        ("list-users", _list, "list the accounts, never their passwords"),
        (
            "set-password",
            _set_password,
            "set another password, and end all sessions of the account",
        ),
        (
            "disable-user",
            _disable,
            "refuse sign-in, end all sessions of the account, and list the keys that it made",
        ),
        ("enable-user", _enable, "allow sign-in again"),
        ("sign-out", _sign_out, "end all sessions of the account at once"),
    ):
        after = SCOPES_AFTER if command is _create else {}
        action = add_command(actions, name, _run(command), purpose, **after)
        if command is not _list:
            action.add_argument("name", help="the name or e-mail address to sign in with")
        if command is _disable:
            add_made(action)
        if command is _create:
            action.add_argument("--tenant", default="", help="the tenant (default: none)")
            action.add_argument(
                "--scope",
                action="append",
                dest="scopes",
                metavar="SCOPE",
                help="a right in the tenant, once for each, see below (default: everything)",
            )


def _run(command: DatabaseCommand) -> Run:
    run = with_database(command, "the staff")

    def run_if_installed(options: argparse.Namespace) -> None:
        if find_spec("argon2") is None:
            raise ConfigurationError(
                "argon2 is not installed here: install the panel with `pip install '.[admin]'`."
            )
        if command in {_create, _set_password}:
            # Before the event loop, which would hold Ctrl-C back until the line is typed.
            options.password = _password()
        run(options)

    return run_if_installed


def _password() -> str:
    """Ask twice without showing it; without a terminal, read the first line of standard input.

    Exits where the two differ or the length is not allowed.
    """
    if sys.stdin.isatty():
        try:
            password = getpass.getpass("Password: ")
            again = getpass.getpass("Once more: ")
        except EOFError:
            sys.exit("No password was given.")
        if again != password:
            sys.exit("These were two different passwords.")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not staff.MIN_PASSWORD <= len(password) <= staff.MAX_PASSWORD:
        sys.exit(f"A password has {staff.MIN_PASSWORD} to {staff.MAX_PASSWORD} characters.")
    return password


async def _create(res: Resources, options: argparse.Namespace) -> None:
    name = staff.tidy_name(options.name)
    require_names(name=name, tenant=options.tenant)
    require_scopes(res, options.scopes or ())
    created = await staff.create(
        res, name, options.password, tenant=options.tenant, scopes=options.scopes
    )
    if not created:
        sys.exit(f"There is somebody called {name} already.")


async def _list(res: Resources, _: argparse.Namespace) -> None:
    table = listing("name", "tenant", "may do", "since", "state")
    for member in await staff.list_staff(res):
        table.add_row(
            escape(member.name),
            escape(member.tenant),
            "everything" if member.scopes is None else " ".join(member.scopes),
            f"{member.created_at:%Y-%m-%d}",
            "good" if member.disabled_at is None else "disabled",
        )
    print_listing(table)


async def _set_password(res: Resources, options: argparse.Namespace) -> None:
    made = await staff.set_password(res, options.name, options.password)
    _require(options.name, made is not None)
    assert made is not None
    await drop_unsized(res, made.sessions)


async def _disable(res: Resources, options: argparse.Namespace) -> None:
    made = await staff.disable(res, options.name, revoke_made=options.made == REVOKE)
    _require(options.name, made is not None)
    assert made is not None
    await drop_unsized(res, made.sessions)
    print_made(made, res.clock())


async def _enable(res: Resources, options: argparse.Namespace) -> None:
    _require(options.name, await staff.enable(res, options.name))


async def _sign_out(res: Resources, options: argparse.Namespace) -> None:
    found = await staff.sign_out_everywhere(res, options.name)
    _require(options.name, found is not None)
    assert found is not None
    ended, made = found
    await drop_unsized(res, made.sessions)
    print(f"Ended {ended} session(s).")  # noqa: T201


def _require(name: str, found: bool) -> None:
    if not found:
        sys.exit(f"There is nobody called {name}; `claimcheck admin list-users` has the names.")
