"""The database through PgBouncer, in transaction mode and in session mode."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.core.narrowing import Narrowing
from app.core.principal import Principal
from app.db import files as db_files
from app.db import lists as db_lists
from app.db import moves
from app.db.connections import Database
from app.embedded.postgres import create_database
from app.settings.model import load_settings
from tests.support.rows import new_file
from tests.support.stores import free_port

ROOT = Path(__file__).parents[2]
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
MY_PID = "SELECT pg_backend_pid()"


@asynccontextmanager
async def opened(url: str, **environ: str) -> AsyncIterator[Database]:
    database = Database(load_settings({"DATABASE_URL": url} | environ))
    try:
        yield database
    finally:
        await database.close()


async def ask(database: Database, query: str = MY_PID, *arguments: object) -> Any:
    async with database.connection() as db:
        return await db.fetchval(query, *arguments)


@pytest.fixture
def bouncer_ini(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Path:
    """PgBouncer with three server connections for everybody; in transaction mode, unless a test
    names another.
    """
    mode = getattr(request, "param", "transaction")
    server = urlsplit(postgres_url)
    port = free_port()
    path = tmp_path / "pgbouncer.ini"
    path.write_text(
        "[databases]\n"
        f"* = host={server.hostname} port={server.port} "
        f"user={server.username} password={server.password}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\ndefault_pool_size = 3\n"
    )
    return path


@pytest.fixture
def bouncer_url(postgres_url: str, bouncer_ini: Path) -> Iterator[str]:
    """A migrated database of its own, through PgBouncer, which is migrated through it too."""
    if PGBOUNCER is None:
        pytest.skip("pgbouncer is not installed")
    name = f"pooled_{secrets.token_hex(6)}"
    create_database(postgres_url, name)
    # It refuses to run as root.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with subprocess.Popen([PGBOUNCER, "-q", *user, bouncer_ini]) as process:
        port = bouncer_ini.read_text().partition("listen_port = ")[2].split()[0]
        try:
            for _ in range(2400):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                        break
                time.sleep(0.05)
            yield f"postgresql://claimcheck@127.0.0.1:{port}/{name}"
        finally:
            process.send_signal(signal.SIGTERM)


async def take_the_drivers_names(bouncer_url: str) -> None:
    """Leave what another process may: statements on each server, named as the driver names them."""
    prepare = """DO $$ BEGIN FOR n IN 1..3000 LOOP
      EXECUTE format('PREPARE "__asyncpg_stmt_%s__" AS SELECT 1', to_hex(n)); END LOOP; END $$"""
    # In transactions at the same time each has a server to itself.
    connections = [await asyncpg.connect(bouncer_url, statement_cache_size=0) for _ in range(3)]
    for command in ("BEGIN", prepare, "COMMIT"):
        for connection in connections:
            await connection.execute(command)
    for connection in connections:
        await connection.close()


@pytest.mark.parametrize("bouncer_ini", ["session"], indirect=True)
async def test_pgbouncer_in_session_mode(bouncer_url: str) -> None:
    """As without it: statements stay prepared, and locks are given up."""
    async with opened(bouncer_url, CLAIMCHECK_DATABASE_POOL_SIZE="1") as database:
        pids = {await ask(database) for _ in range(3)}
        assert len(pids) == 1
        assert await ask(database, "SHOW idle_in_transaction_session_timeout") == "1min"
        heard = await database.connect_to_hear()
        assert heard is not None
        await heard.close()


async def test_pgbouncer_in_transaction_mode(bouncer_url: str) -> None:
    """Two replicas, twenty connections, three servers: no statement may lean on an earlier one."""
    await take_the_drivers_names(bouncer_url)
    for _ in range(2):  # the release phase, and that of the next release
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "alembic", "upgrade", "head"],
            check=False,
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": bouncer_url},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    pooling = {
        "CLAIMCHECK_DATABASE_TRANSACTION_POOLING": "true",
        "CLAIMCHECK_DATABASE_POOL_SIZE": "10",
    }
    async with opened(bouncer_url, **pooling) as one, opened(bouncer_url, **pooling) as other:

        async def life_of_a_file(number: int) -> bool:
            file = new_file(owner=f"owner {number}", confirmed_at=None)
            for step, database in enumerate((one, other, one, other)):
                async with database.connection() as db:
                    if step == 0:
                        assert await db_files.insert_files(db, [file]) == {file.id}
                    elif step == 1:
                        assert await moves.mark_confirmed(db, file)
                    elif step == 2:
                        narrowed = Narrowing(destination="images") if number % 2 else Narrowing()
                        [found] = await db_lists.list_files(db, Principal(file.owner), narrowed, 10)
                        assert found.id == file.id
                    else:
                        assert await moves.mark_released(db, file, file.created_at)
            return True

        assert all(await asyncio.gather(*(life_of_a_file(number) for number in range(100))))
        pids = await asyncio.gather(*(ask(one) for _ in range(50)))
        assert len(set(pids)) <= 3
