"""The command line: parse, dispatch, and say in one line why a command cannot go on."""

import argparse
import gc
import signal
import sys
from importlib import import_module
from typing import Any, Final

from app.commands.parser import add_commands
from app.errors import BucketUnavailable, ConfigurationError, DatabaseUnavailable, Problem
from app.logs.log import Actor, current_actor

# Each command and its module in app.commands, in the order of the help. Only the command that is
# asked for is loaded: together they take longer than any of them runs, and `serve` prepares the
# process before it loads the application.
_NAMED_ALIKE: Final = (
    *("dev", "serve", "check", "migrate", "bucket", "doctor", "reconcile", "adopt"),
    *("sweep", "keys", "quotas", "scan", "webhooks", "listen", "admin"),
)
_MODULES: Final = {name: name for name in _NAMED_ALIKE} | {"worker": "sweep"}


class _Version(argparse.Action):
    """Prints the version of the installed package, which is looked up only then."""

    def __init__(self, option_strings: list[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            sys.stdout.write(f"claimcheck {version('claimcheck')}\n")
        except PackageNotFoundError:
            # As on Heroku, which installs the packages that it needs.
            parser.exit(1, "claimcheck is run from its source, and is not installed.\n")
        parser.exit()


def main(arguments: list[str] | None = None) -> None:
    """The console script `claimcheck`."""
    if arguments is None:
        arguments = sys.argv[1:]
    parser = argparse.ArgumentParser(
        prog="claimcheck",
        description="Uploads straight from the browser into a private S3 bucket.",
    )
    parser.add_argument("--version", action=_Version)
    commands = add_commands(parser, "COMMAND")
    asked = [_MODULES[name] for name in arguments[:1] if name in _MODULES]
    gc.disable()  # what is loaded stays
    for module in asked or dict.fromkeys(_MODULES.values()):
        import_module(f"app.commands.{module}").add(commands)
    gc.enable()
    options = parser.parse_args(arguments)
    current_actor.set(Actor(name="cli"))
    try:
        options.run(options)
    except ConfigurationError as error:
        sys.exit(error.refusal)
    except Problem as problem:
        sys.exit(f"claimcheck cannot go on: {_with_cause(problem)}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # Ctrl-C before the server runs, which ends by itself


def _with_cause(problem: Problem) -> str:
    """The problem's detail; of a database or a bucket that cannot be used also why, which is for
    operators alone: a wrong password is no reason to try again.
    """
    # Here: it is loaded by now if the database was asked.
    from app.db.connections import lacks_tables

    unusable = isinstance(problem, BucketUnavailable | DatabaseUnavailable)
    if not unusable or problem.reason is None or lacks_tables(problem):
        return problem.detail
    return f"{problem.detail} The cause: {problem.reason}"


if __name__ == "__main__":
    main()
