"""`make lint`: whether the migrations end at the tables in app/models/, on a real PostgreSQL."""

from alembic import command

from app.db.migrations import migrate, migration_config
from app.embedded.postgres import start_postgres

with start_postgres() as url:
    migrate(url)
    command.check(migration_config(url))
