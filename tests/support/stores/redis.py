"""A Redis server, in memory. Wants the Debian package ``redis-server``."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.stores import Server, StartFailed, free_port, running


def available() -> str | None:
    """The reason why it cannot run here."""
    return None if shutil.which("redis-server") else "redis-server is not installed"


@contextmanager
def start_redis(port: int | None = None) -> Iterator[str]:
    """Its URL, while it runs."""
    port = port or free_port()
    with tempfile.TemporaryDirectory() as home:
        quiet = ("--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", home)
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), *quiet]
        with running(command, Path(home) / "log") as server:
            _wait(server, port)
            yield f"redis://127.0.0.1:{port}/0"


def _wait(server: Server, port: int) -> None:
    for _ in range(2400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    raise StartFailed(server.state())
