from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.embedded import postgres
from app.embedded.postgres import EmbeddedPostgresError, create_database, start_postgres

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="PR_SET_PDEATHSIG: only Linux stops a dead parent's children"
)
root_only = pytest.mark.skipif(
    os.geteuid() != 0, reason="not root: the server runs as this user, who can reach the binaries"
)

# A process of its own that starts a server, prints its DSN and can then be killed.
HOLDER = """
import time
from app.embedded.postgres import start_postgres
with start_postgres() as dsn:
    print(dsn, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with start_postgres() as dsn:
        yield dsn


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def whereabouts(dsn: str) -> tuple[int, Path]:
    """The server's process id and the directory that everything of it lies in."""
    data = Path(str(await ask(dsn, "SHOW data_directory")))
    return int((data / "postmaster.pid").read_text().split()[0]), data.parent


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def becomes(condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` holds within a minute."""
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def supervisor_of(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def user_and_binary_of(pid: int) -> tuple[str, Path]:
    proc = Path(f"/proc/{pid}")
    return proc.owner(), (proc / "exe").readlink()


async def test_answers_over_tcp_as_the_service_will_find_it(dsn: str) -> None:
    url = urlsplit(dsn)
    assert (url.scheme, url.hostname, url.path) == ("postgresql", "127.0.0.1", "/claimcheck")
    assert str(await ask(dsn, "SHOW server_version")).startswith("18.")
    assert await ask(dsn, "SHOW listen_addresses") == "127.0.0.1"
    assert await ask(dsn, "SHOW server_encoding") == "UTF8"
    assert await ask(dsn, "SELECT upper('é')") == "É"


async def test_refuses_a_wrong_password(dsn: str) -> None:
    url = urlsplit(dsn)
    forged = url._replace(netloc=f"claimcheck:wrong@127.0.0.1:{url.port}").geturl()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(forged, "SELECT 1")


async def test_further_databases_are_separate(dsn: str) -> None:
    first, second = create_database(dsn, "first"), create_database(dsn, "with-dash and space")
    await ask(first, "CREATE TABLE only_here ()")
    query = "SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'"
    assert [await ask(first, query), await ask(second, query)] == [1, 0]


def test_a_database_name_that_is_taken_is_refused(dsn: str) -> None:
    create_database(dsn, "taken")
    with pytest.raises(EmbeddedPostgresError, match='"taken" already exists'):
        create_database(dsn, "taken")


@pytest.mark.parametrize("failure", [None, RuntimeError("in the block")])
async def test_nothing_is_left_after_the_block(failure: Exception | None) -> None:
    with contextlib.suppress(RuntimeError), start_postgres() as dsn:
        pid, home = await whereabouts(dsn)
        idle = await asyncpg.connect(dsn)  # a client that stays does not hold it up
        assert is_alive(pid)
        if failure:
            raise failure
    assert not is_alive(pid)
    assert not home.exists()
    with pytest.raises(OSError, match="Connect call failed"):
        await ask(dsn, "SELECT 1")
    idle.terminate()


async def test_nothing_is_left_soon_after_its_process_is_killed(
    holder: subprocess.Popen[str],
) -> None:
    assert holder.stdout is not None
    pid, home = await whereabouts(holder.stdout.readline().strip())
    holder.kill()
    assert becomes(lambda: not is_alive(pid) and not home.exists())


@linux_only
async def test_the_server_stops_when_its_supervisor_is_killed(
    holder: subprocess.Popen[str],
) -> None:
    assert holder.stdout is not None
    pid, home = await whereabouts(holder.stdout.readline().strip())
    os.kill(supervisor_of(pid), signal.SIGKILL)
    assert becomes(lambda: not (home / "data" / "postmaster.pid").exists())
    shutil.rmtree(home)


@root_only
async def test_as_root_it_runs_as_nobody_even_from_a_private_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = postgres._find_install()
    private = tmp_path / "private" / real.parent.name / real.name
    private.parent.mkdir(parents=True)
    private.symlink_to(real)
    libraries = f"{real.parent.name}.libs"
    (tmp_path / "private" / libraries).symlink_to(real.parent.parent / libraries)
    (tmp_path / "private").chmod(0o700)
    monkeypatch.setattr(postgres, "_find_install", lambda: private)

    with start_postgres() as dsn:
        pid, home = await whereabouts(dsn)
        user, binary = user_and_binary_of(pid)
        assert (user, home.owner()) == ("nobody", "nobody")
        assert binary.is_relative_to(home)
    assert not home.exists()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # From no index: the service is on none, and whose a package of its name there is nobody knows.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(EmbeddedPostgresError, match=r"'\.\[embedded\]'.*DATABASE_URL"),
        start_postgres(),
    ):
        pass


def test_a_failed_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Answers --version (one argument) and fails at everything else.
    initdb = tmp_path / "package" / "pginstall18" / "bin" / "initdb"
    initdb.parent.mkdir(parents=True)
    initdb.write_text("#!/bin/sh\n[ $# = 1 ] || { echo no room on device; exit 1; }\n")
    initdb.chmod(0o755)
    (tmp_path / "package.libs").mkdir()
    monkeypatch.setattr(postgres, "_find_install", lambda: initdb.parent.parent)
    with (
        pytest.raises(EmbeddedPostgresError, match=r"set DATABASE_URL(?s:.*)no room on device"),
        start_postgres(),
    ):
        pass
