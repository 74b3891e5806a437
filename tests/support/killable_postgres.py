"""A PostgreSQL that a test may kill and start again."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from app.db.migrations import migrate
from app.embedded.postgres import _find_install
from tests.support.service import in_thread
from tests.support.stores import free_port

_CLIENT_ERRORS: Final = (asyncpg.InterfaceError, asyncpg.InternalClientError)


class Server:
    """A PostgreSQL that keeps what it has committed, in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self._data, self._bin, self._port = home / "data", _find_install() / "bin", free_port()
        self._user = "nobody" if os.geteuid() == 0 else None
        self.url = f"postgresql://claimcheck@127.0.0.1:{self._port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, user=self._user, cwd="/", capture_output=True)

    def create(self) -> None:
        if self._user:
            shutil.chown(self._data.parent, self._user)
        initdb = (self._bin / "initdb", "-D", self._data, "-U", "claimcheck", "--no-sync")
        self._run(*initdb, "--auth", "trust", "--encoding", "UTF8")

    def start(self) -> None:
        options = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 50,
            "shared_buffers": "32MB",
            # A process that is killed loses nothing that the kernel has.
            "fsync": "off",
        }
        self._process = subprocess.Popen(
            [
                self._bin / "postgres",
                *("-D", self._data),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def children(self) -> list[int]:
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return list(map(int, path.read_text().split()))

    def kill(self) -> None:
        """SIGKILL to all of it, as the kernel does that has run out of memory."""
        assert self._process is not None
        for pid in (self._process.pid, *self.children()):
            _end(pid)
        self._process.wait()

    async def is_up(self) -> None:
        """Wait until it takes connections; started again where it has ended by itself.

        So it does where its recovery is killed, and where a child of the one before still lives.
        """
        assert self._process is not None
        for _ in range(6000):
            if self._process.poll() is not None:
                self.start()
            try:
                db = await asyncpg.connect(self.url, timeout=5)
            except (OSError, asyncpg.PostgresError, *_CLIENT_ERRORS):
                await asyncio.sleep(0.01)
            else:
                await db.close()
                return
        pytest.fail("PostgreSQL did not come back")

    def kill_one(self, dice: random.Random) -> None:
        """SIGKILL to one connection's process: the server then ends all others and recovers."""
        if children := self.children():
            _end(dice.choice(children))


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def killable_postgres() -> AsyncIterator[Server]:
    """It runs, with tables."""
    # Not pytest's own directory, which PostgreSQL's user may not enter.
    with tempfile.TemporaryDirectory(prefix="claimcheck-crashes-") as home:
        server = Server(Path(home))
        server.create()
        server.start()
        try:
            await server.is_up()
            in_thread(migrate, server.url)
            yield server
        finally:
            server.kill()
