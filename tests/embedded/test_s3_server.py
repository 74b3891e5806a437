"""The process: how it starts, what it shows of itself, and that it never outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.embedded.s3 import EmbeddedS3Error, start_s3
from tests.embedded.steps import Store, send
from tests.support.stores import free_port

ROOT = Path(__file__).parents[2]
KEYS = {"EMBEDDED_S3_ACCESS_KEY": "ACCESS0123456789ABCD", "EMBEDDED_S3_SECRET_KEY": "secret" * 7}
SERVER = [sys.executable, "-m", "app.embedded.s3_server"]


@contextmanager
def running(*arguments: str, keys: dict[str, str] = KEYS) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*SERVER, *arguments],
        cwd=ROOT,
        env={**os.environ, **keys},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answers(url: str) -> bool:
    try:
        return send("GET", url).status == 403
    except ConnectionError:
        return False


def ends_within(seconds: float, url: str) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not answers(url):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ready_line_and_prompt_end(number: signal.Signals) -> None:
    with running() as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready = json.loads(process.stdout.readline())
        assert "development only" in ready["note"]
        assert answers(ready["endpoint_url"])
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""


def test_keys_are_asked_for() -> None:
    with running(keys={**KEYS, "EMBEDDED_S3_SECRET_KEY": ""}) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "EMBEDDED_S3_SECRET_KEY" in errors


def test_it_listens_on_the_port_it_is_told(
    embedded: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    taken = int(embedded.endpoint_url.rpartition(":")[2])
    with pytest.raises(EmbeddedS3Error), start_s3("a" * 20, "s" * 40, port=taken):
        pass
    assert "in use" in capfd.readouterr().err
    port = free_port()
    with start_s3("a" * 20, "s" * 40, port=port) as endpoint_url:
        assert endpoint_url == f"http://127.0.0.1:{port}"
        assert answers(endpoint_url)
    assert not answers(endpoint_url)


@pytest.mark.skipif(not Path("/proc").exists(), reason="there is no /proc to look into")
def test_keys_are_not_arguments() -> None:
    secret = "only-in-the-environment-of-the-child-0000"
    shown = []
    with start_s3("a" * 20, secret):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                shown.append(path.read_bytes())
    assert any(b"app.embedded.s3_server" in line for line in shown)
    assert not any(secret.encode() in line for line in shown)


def test_it_ends_with_a_killed_parent() -> None:
    code = (
        "import time\n"
        "from app.embedded.s3 import start_s3\n"
        "with start_s3('a' * 20, 's' * 40) as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            url = parent.stdout.readline().strip()
            assert answers(url)
        finally:
            parent.kill()
    assert ends_within(60, url)


def test_it_does_not_start_for_a_parent_that_is_gone() -> None:
    with running("--parent-pid", "1") as process:
        assert process.wait(60) == 0


def test_nobody_is_there_to_read_that_it_is_ready() -> None:
    with running("--parent-pid", str(os.getpid())) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


_WITH_AN_OBJECT = """
import os, signal, sys
from contextlib import closing
from app.embedded.s3 import start_s3
from tests.embedded.steps import s3_client

with start_s3("a" * 20, "s" * 40) as url, closing(s3_client(url, "a" * 20, "s" * 40)) as client:
    client.create_bucket(Bucket="gate-disk")
    client.put_object(Bucket="gate-disk", Key="big", Body=bytes(1 << 20))
    assert client.head_object(Bucket="gate-disk", Key="big")["ContentLength"] == 1 << 20
    [folder] = os.listdir(os.environ["TMPDIR"])
    assert os.listdir(os.path.join(os.environ["TMPDIR"], folder))
    children = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    victim = {"parent": os.getpid(), "child": int(children[0])}.get(sys.argv[1])
    if victim:
        os.kill(victim, signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("killed", ["nobody", "parent", "child"])
def test_it_leaves_no_file_behind(tmp_path: Path, killed: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", _WITH_AN_OBJECT, killed],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert process.returncode == (-signal.SIGKILL if killed == "parent" else 0)
    deadline = time.monotonic() + 60
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []
