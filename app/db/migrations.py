"""Alembic, called from Python."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config

_FOLDER: Final = Path(__file__).parents[2]


def migration_config(database_url: str) -> Config:
    """Alembic's configuration for this database; `alembic.ini` lies beside the package."""
    config = Config(_FOLDER / "alembic.ini")
    config.attributes["database_url"] = database_url
    return config


def migrate(database_url: str) -> None:
    """Bring the tables up to date. Starts an event loop of its own: call it outside of one."""
    command.upgrade(migration_config(database_url), "head")
