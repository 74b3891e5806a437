"""Runs commands that use the database or the buckets."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from app.commands.parser import Run
from app.errors import ConfigurationError
from app.runtime.process import configure_logging, freeze_garbage_collector
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings, load_settings

_T = TypeVar("_T")
DatabaseCommand: TypeAlias = Callable[[Resources, argparse.Namespace], Coroutine[Any, Any, None]]


def with_resources(
    check: Callable[[Settings], None], work: Callable[[Resources], Coroutine[Any, Any, _T]]
) -> _T:
    """Set up logging (the audit trail is on standard error), check the settings, run the work.

    Raises ConfigurationError, as `check` does, of all that is wrong at once.
    """
    configure_logging()
    settings = load_settings(check=check)
    freeze_garbage_collector()

    async def run() -> _T:
        async with open_resources(settings) as res:
            return await work(res)

    return asyncio.run(run())


def with_database(command: DatabaseCommand, kept_there: str) -> Run:
    """A function for the parser, for a command that needs the database and no bucket.

    `kept_there` names the rows in the message where DATABASE_URL is missing.
    """

    def require_database(settings: Settings) -> None:
        if settings.database_url is None:
            raise ConfigurationError(f"DATABASE_URL is not set: {kept_there} are in the database.")

    return lambda options: with_resources(require_database, lambda res: command(res, options))
