"""PostgreSQL that is killed at any moment, again and again, under load."""

import asyncio
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import pytest

from app.db.migrations import migrate
from app.embedded.postgres import _find_install
from tests.support.service import SESSION_SECRET, Store, in_thread, prepared, running
from tests.support.steps import send
from tests.support.stores import free_port

_CALLERS: Final = 16
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


@pytest.fixture
async def server() -> AsyncIterator[Server]:
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


class Load:
    """Callers who announce, send, confirm, read and list, and note each answer."""

    def __init__(self, client: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
        self._client, self._web = client, web
        self.answers: Counter[int] = Counter()
        self.confirmed: set[str] = set()
        self.wrong: list[str] = []
        self.ended = asyncio.Event()

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = await self._client.request(method, path, **options)
        self.answers[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503:
            self.wrong.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    async def caller(self, number: int) -> None:
        headers = {"content-type": "application/json"}
        while not self.ended.is_set():
            body = {"destination": "files", "filename": f"{number}.txt", "size": 5}
            answer = await self._ask("POST", "/v1/uploads", json=body, headers=headers)
            if answer.status_code != 201:
                continue
            upload = answer.json()
            if number % 4 == 0:
                await self._ask("DELETE", f"/v1/uploads/{upload['id']}")
                continue
            assert (await send(self._web, upload["upload"], b"hello")).is_success
            for _ in range(3):
                answer = await self._ask("POST", f"/v1/uploads/{upload['id']}/confirm")
                if answer.status_code == 200:
                    self.confirmed.add(upload["id"])
                    break
            await self._ask("GET", "/v1/files")
            await self._ask("GET", f"/v1/files/{upload['id']}")
            await self._ask("GET", "/readyz")


async def crashes(server: Server, gate: Store, web: httpx.AsyncClient, times: int) -> Load:
    settings = await prepared(
        {
            "DATABASE_URL": server.url,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
            **gate.environ(f"test-{secrets.token_hex(6)}"),
        }
    )
    dice = random.Random(7)
    async with running(settings) as client:
        load = Load(client, web)
        callers = [asyncio.create_task(load.caller(number)) for number in range(_CALLERS)]
        try:
            for number in range(times):
                # Enough answers that the load is under way again, then any moment.
                before = load.answers[200] + load.answers[201]
                while load.answers[200] + load.answers[201] < before + 8:
                    await asyncio.sleep(0.01)
                    assert not any(task.done() for task in callers)
                await asyncio.sleep(dice.random() / 10)
                if number % 10 == 0:
                    print(number, load.answers, len(load.confirmed), flush=True)  # noqa: T201
                if number % 2:
                    server.kill_one(dice)
                else:
                    await asyncio.to_thread(server.kill)
                    server.start()
                await server.is_up()
        finally:
            load.ended.set()
            await asyncio.gather(*callers)
        assert load.wrong == []
        db = await asyncpg.connect(server.url)
        found = await db.fetch("SELECT id::text, state FROM files")
        await db.close()
        states = {row["id"]: row["state"] for row in found}
        assert {states.get(one) for one in load.confirmed} == {"confirmed"}
    return load


async def test_a_database_that_is_killed_thrice(
    server: Server, gate: Store, web: httpx.AsyncClient
) -> None:
    load = await crashes(server, gate, web, 3)
    assert load.answers[503]


@pytest.mark.slow
async def test_a_database_that_is_killed_a_hundred_times(
    server: Server, gate: Store, web: httpx.AsyncClient
) -> None:
    """No answer is 500, and nothing that was confirmed is lost."""
    load = await crashes(server, gate, web, 100)
    print(load.answers, len(load.confirmed))  # noqa: T201 (the figures, with pytest -s)
