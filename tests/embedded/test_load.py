"""Many large uploads at once: few descriptors, little memory, and all of it given back."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.steps import Store, s3_client, send

KEYS = ("A" * 20, "s" * 40)
DESCRIPTORS = 100
MEMORY = 150 << 20  # bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


class Server:
    """An embedded S3 that may have 100 descriptors, with a bucket, and what it takes."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, str], client: Any) -> None:
        self.store = Store("embedded", ready["endpoint_url"], *KEYS, client)
        self.directory = Path(ready["directory"])
        self._pid = process.pid

    def most_memory(self) -> int:
        """The most bytes that it had in memory so far (proc(5), VmHWM)."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def open_files(self) -> int:
        """Descriptors, those of connections among them."""
        return len(os.listdir(f"/proc/{self._pid}/fd"))  # noqa: PTH208


@pytest.fixture
def server() -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-m", "app.embedded.s3_server"],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "EMBEDDED_S3_ACCESS_KEY": KEYS[0],
            "EMBEDDED_S3_SECRET_KEY": KEYS[1],
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
            with closing(s3_client(ready["endpoint_url"], *KEYS)) as client:
                client.create_bucket(Bucket=Store.bucket)
                yield Server(process, ready, client)
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("count", "size"),
    [(120, 256 << 10), pytest.param(1000, 6 << 20, marks=pytest.mark.slow)],
    ids=["few", "many"],
)
def test_a_hundred_at_once(server: Server, count: int, size: int) -> None:
    body = os.urandom(size)
    etag = f'"{hashlib.md5(body).hexdigest()}"'
    store, names = server.store, [f"load/{number}" for number in range(count)]
    all_there = threading.Barrier(100)

    def put(name: str) -> None:
        url = store.presign("put_object", expires=3600, Key=name)
        if names.index(name) < 100:
            all_there.wait(60)
        answer = send("PUT", url, body)
        assert (answer.status, answer.headers["ETag"]) == (200, etag), answer.body

    def post(name: str) -> None:
        answer = store.post(store.presign_post(name, expires=3600), body)
        assert answer.status == 204, answer.body

    def get(name: str) -> None:
        answer = send("GET", store.presign("get_object", expires=3600, Key=name))
        assert (answer.status, answer.body == body) == (200, True)

    with ThreadPoolExecutor(100) as pool:
        for work in (put, post, get):
            list(pool.map(work, names))
    print(f"{count} objects: {server.most_memory() >> 20} MiB, {server.open_files()} descriptors")  # noqa: T201
    assert server.most_memory() < MEMORY
    # Each name was written twice, and holds one object.
    assert len(list(server.directory.iterdir())) == count
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.client.delete_object(Bucket=store.bucket, Key=n), names))
    assert list(server.directory.iterdir()) == []
