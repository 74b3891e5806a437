"""`claimcheck migrate`: bring the database's tables up to date."""

import argparse

from app.commands.parser import Subparsers, add_command
from app.db.migrations import migrate
from app.errors import ConfigurationError
from app.settings.model import load_settings


def add(commands: Subparsers) -> None:
    add_command(commands, "migrate", _migrate, "bring the database's tables up to date")


def _migrate(_: argparse.Namespace) -> None:
    settings = load_settings()
    if settings.database_url is None:
        raise ConfigurationError("DATABASE_URL is not set: there is no database to migrate.")
    migrate(settings.database_url.get_secret_value())
