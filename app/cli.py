"""The command line: parse, call, print."""

import argparse
import signal
import sys
from collections.abc import Callable

from app.commands import admin, bucket, doctor, keys, reconcile, sweep
from app.errors import ConfigurationError, Problem
from app.log import Actor, acting
from app.migrations import migrate
from app.serving import serve
from app.settings import load_settings, require_deployed


def main(arguments: list[str] | None = None) -> None:
    """The console script `claimcheck`."""
    parser = argparse.ArgumentParser(
        prog="claimcheck",
        description="Uploads straight from the browser into a private S3 bucket.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, what in (
        ("dev", _dev, "start the service, with database and bucket of its own where none is set"),
        ("serve", _serve, "start the service with the database and the buckets that are set"),
        ("check", _check, "check the settings and end, with one message if one is wrong"),
        ("migrate", _migrate, "bring the database's tables up to date"),
    ):
        commands.add_parser(name, help=what, description=what).set_defaults(run=run)
    bucket.add(commands)
    doctor.add(commands)
    reconcile.add(commands)
    sweep.add(commands)
    keys.add(commands)
    admin.add(commands)
    options = parser.parse_args(arguments)
    acting.set(Actor(name="cli"))
    run_command: Callable[[argparse.Namespace], None] = options.run
    try:
        run_command(options)
    except ConfigurationError as error:
        sys.exit(f"claimcheck cannot start: {error}")
    except Problem as problem:
        sys.exit(f"claimcheck cannot go on: {problem.detail}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # Ctrl-C before the server runs, which ends by itself


def _dev(_: argparse.Namespace) -> None:
    # Imported here: a deployment has neither moto nor a PostgreSQL wheel.
    from app.embedded.dev import run_dev
    from app.embedded.postgres import EmbeddedPostgresError
    from app.embedded.s3 import EmbeddedS3Error

    try:
        run_dev()
    except (EmbeddedPostgresError, EmbeddedS3Error) as error:
        sys.exit(f"claimcheck cannot start: {error}")


def _serve(_: argparse.Namespace) -> None:
    settings = load_settings()
    require_deployed(settings)
    serve(settings)


def _check(_: argparse.Namespace) -> None:
    require_deployed(load_settings())


def _migrate(_: argparse.Namespace) -> None:
    settings = load_settings()
    if settings.database_url is None:
        raise ConfigurationError("DATABASE_URL is not set: there is no database to migrate.")
    migrate(settings.database_url.get_secret_value())


if __name__ == "__main__":
    main()
