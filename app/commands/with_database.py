"""Runs commands that need the database alone, and neither buckets nor callers."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from app.errors import ConfigurationError
from app.runtime.process import configure_logging
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings, load_settings

Command = Callable[[Resources, argparse.Namespace], Coroutine[Any, Any, None]]


def with_database(command: Command, kept_there: str) -> Callable[[argparse.Namespace], None]:
    """A function for the parser that runs the command with resources.

    `kept_there` names the rows in the message where DATABASE_URL is missing. The command's changes
    are in the audit trail, on standard error. Raises ConfigurationError.
    """

    async def with_resources(settings: Settings, options: argparse.Namespace) -> None:
        async with open_resources(settings) as res:
            await command(res, options)

    def run(options: argparse.Namespace) -> None:
        configure_logging()
        settings = load_settings()
        if settings.database_url is None:
            raise ConfigurationError(f"DATABASE_URL is not set: {kept_there} are in the database.")
        asyncio.run(with_resources(settings, options))

    return run
