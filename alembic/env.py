"""Migrations run over asyncpg, one at a time, each run in one transaction.

`alembic upgrade head` (the release phase) reads DATABASE_URL; the tests and `claimcheck dev` hand
the URL over in the configuration's attributes.
"""

import asyncio
import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from app.db.connections import CONNECT_SECONDS
from app.db.unreachable import no_connection
from app.errors import ConfigurationError

# Each says its tables to the metadata.
from app.models import (
    credentials,  # noqa: F401
    daily,  # noqa: F401
    events,  # noqa: F401
    files,  # noqa: F401
    idempotency,  # noqa: F401
    part_digests,  # noqa: F401
    records,  # noqa: F401
    seals,  # noqa: F401
    search,  # noqa: F401
    staff,  # noqa: F401
    usage,  # noqa: F401
    webhooks,  # noqa: F401
)
from app.models.tables import metadata
from app.settings.model import load_settings

# Two releases at once wait for each other here; any number that nothing else uses.
LOCK = 4_071_846_123

config = context.config
if config.config_file_name is not None and "database_url" not in config.attributes:
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def settings_for_migration():
    url = config.attributes.get("database_url")
    try:
        settings = load_settings({"DATABASE_URL": url} if url else os.environ)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    if settings.database_url is None:
        raise SystemExit("DATABASE_URL is not set: alembic needs the URL of a PostgreSQL database.")
    return settings


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_server_default=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()


async def run() -> None:
    settings = settings_for_migration()
    assert settings.database_url is not None
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        connect_args={
            "dsn": settings.database_url.get_secret_value(),
            "timeout": CONNECT_SECONDS,
            # Nameless statements pass a pooler that works by transaction.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
        },
    )
    try:
        try:
            connection = await engine.connect()
        except (OSError, TimeoutError, DBAPIError) as error:
            # Without SQLAlchemy's own words about it.
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise SystemExit(no_connection(cause)) from None
        try:
            await connection.run_sync(migrate)
            await connection.commit()
        finally:
            await connection.close()
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run())
