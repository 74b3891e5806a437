"""`make lint`: whether the migrations end at the tables in app/models*.py, on a real PostgreSQL."""

from alembic import command

from app.embedded.postgres import start_postgres
from app.migrations import migrate, migration_config

with start_postgres() as url:
    migrate(url)
    command.check(migration_config(url))
