"""`claimcheck migrate`: bring the database's tables up to date."""

import argparse
from typing import TYPE_CHECKING

from app.db.migrations import migrate
from app.errors import ConfigurationError
from app.settings.model import load_settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command."""
    what = "bring the database's tables up to date"
    commands.add_parser("migrate", help=what, description=what).set_defaults(run=_migrate)


def _migrate(_: argparse.Namespace) -> None:
    settings = load_settings()
    if settings.database_url is None:
        raise ConfigurationError("DATABASE_URL is not set: there is no database to migrate.")
    migrate(settings.database_url.get_secret_value())
