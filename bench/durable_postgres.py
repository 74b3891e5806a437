"""The embedded PostgreSQL, durable: `python -m bench.durable_postgres` prints its DSN.

The embedded default may lose what it was told on a crash, which is right for tests and would make
figures for a "durable row" a lie. So this runs the same supervisor with durability switched on,
until its standard input ends.
"""

from app.embedded import postgres

_DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",  # what a server with a standby or a backup writes
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
}

if __name__ == "__main__":
    postgres._SETTINGS |= _DURABLE
    postgres._supervise(postgres._find_install())
