import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.embedded.postgres import create_database
from tests.commands.steps import descendants, parents
from tests.support.service import Store, prepared
from tests.support.stores import free_port

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the processes left behind are looked for in /proc"
)
ROOT = Path(__file__).parents[2]
HIS_SHELL = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent"}


def becomes(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


class Dev:
    """`claimcheck dev` in a process group of its own, as a terminal would start it."""

    def __init__(self, environ: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self._log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "dev"],
                cwd=ROOT,
                env=HIS_SHELL | environ | {"PORT": str(self.port)},
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Whoever runs the tests in the background may ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def says(self, text: str) -> bool:
        return becomes(lambda: text in self.output or self.process.poll() is not None, 120)

    def ready(self) -> httpx.Response:
        """The answer of /readyz, once anything answers."""
        assert self.says("Application startup complete."), self.output
        assert becomes(self._listens), self.output
        return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=60)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self, number: signal.Signals) -> int:
        """Send the signal (Ctrl-C reaches the whole group); the exit status."""
        if number is signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(120)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def start(**environ: str) -> Dev:
        started.append(Dev(environ, tmp_path / f"{len(started)}.log"))
        return started[-1]

    yield start
    for dev in started:
        if dev.process.poll() is None:
            dev.process.terminate()
            dev.process.wait(120)


@contextmanager
def leaves_nothing_behind(dev: Dev, at_least: int) -> Iterator[None]:
    """All processes below `dev` now, and there must be some, are gone soon after the block."""
    below = descendants(dev.process.pid)
    assert len(below) >= at_least, dev.output
    yield
    assert becomes(lambda: not below & parents().keys()), dev.output


def sends_webhooks(dev: Dev) -> bool:
    """Whether it tries to send one, here to itself, as it does without a worker beside it."""
    here = f"http://127.0.0.1:{dev.port}"
    with httpx.Client(base_url=here, timeout=60) as client:
        made = client.post("/v1/webhooks", json={"url": f"{here}/nowhere"}).raise_for_status()
        webhook = f"/v1/webhooks/{made.json()['id']}"
        client.post(f"{webhook}/test").raise_for_status()
        return becomes(lambda: '"status":404' in client.get(f"{webhook}/deliveries").text)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -9)]
)
def test_everything_starts_with_nothing_and_ends_with_its_parent(
    start: Callable[..., Dev], number: signal.Signals, status: int
) -> None:
    # Keys for elsewhere in the shell do not matter: the bucket is its own.
    elsewhere = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
    dev = start(**dict.fromkeys(elsewhere, "nosuch"))
    answer = dev.ready()
    assert answer.status_code == 200
    assert answer.json() == {
        "database": "ok",
        "buckets": dict.fromkeys(("images", "videos", "files"), "ok"),
    }
    assert f"http://127.0.0.1:{dev.port}/\n" in dev.output
    assert f"http://127.0.0.1:{dev.port}/docs\n" in dev.output
    assert "everything in them vanishes at the end" in dev.output
    assert sends_webhooks(dev)
    with leaves_nothing_behind(dev, at_least=3):
        assert dev.send(number) == status
    assert "Traceback" not in dev.output


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_an_end_before_the_start_is_over(
    start: Callable[..., Dev], number: signal.Signals, status: int
) -> None:
    dev = start()
    assert dev.says("Starting S3"), dev.output
    with leaves_nothing_behind(dev, at_least=1):
        assert dev.send(number) == status
    assert "Traceback" not in dev.output


@pytest.fixture
def own_database(postgres_url: str) -> str:
    """An empty one."""
    return create_database(postgres_url, f"dev_{secrets.token_hex(6)}")


async def has_files_table(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT to_regclass('files') IS NOT NULL")
    finally:
        await connection.close()


async def test_a_database_that_is_set_is_used_but_not_left_open_to_all(
    start: Callable[..., Dev], own_database: str
) -> None:
    refused = start(DATABASE_URL=own_database)
    assert refused.process.wait(120) == 1
    assert "claimcheck cannot start: CLAIMCHECK_AUTH is not set" in refused.output
    assert "Starting PostgreSQL" not in refused.output
    assert "Traceback" not in refused.output
    assert not await has_files_table(own_database)

    dev = start(DATABASE_URL=own_database, CLAIMCHECK_AUTH="keys")
    assert dev.ready().status_code == 200
    with socket.socket() as probe:
        # An address of this machine, but not the one that it was told: 0.0.0.0 would answer there.
        assert probe.connect_ex(("127.0.0.2", dev.port)) != 0
    assert await has_files_table(own_database)
    assert "Starting PostgreSQL" not in dev.output
    assert "Starting S3" in dev.output
    assert "The bucket runs on this machine" in dev.output
    with leaves_nothing_behind(dev, at_least=1):
        assert dev.send(signal.SIGTERM) == 0


async def test_with_both_set_neither_is_started(
    start: Callable[..., Dev], own_database: str, gate: Store
) -> None:
    environ = gate.environ(f"dev-{secrets.token_hex(6)}")
    await prepared(environ)
    dev = start(DATABASE_URL=own_database, CLAIMCHECK_AUTH="none", **environ)
    answer = dev.ready()
    assert answer.json() == {
        "database": "ok",
        "buckets": dict.fromkeys(("images", "videos", "files"), "ok"),
    }
    assert descendants(dev.process.pid) == set()
    assert "Starting" not in dev.output
    assert "vanishes" not in dev.output
    assert dev.send(signal.SIGTERM) == 0
