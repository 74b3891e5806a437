"""5 GiB by the Python client: beside boto3's TransferManager, in little memory, and killed."""

import asyncio
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from claimcheck_client import Client

from tests.clients.python.place import SCOPES
from tests.support.service import Store, key_for, prepared, served
from tests.support.stores import rgw

ROOT = Path(__file__).parents[3]
SIZE = int(os.environ.get("CLIENT_SIZE", 5 << 30))
PART = 16 << 20
PARALLEL = 4
TURNS = int(os.environ.get("CLIENT_TURNS", 3))
pytestmark = pytest.mark.slow

_PUT = re.compile(r'beast: .*"PUT /large/\S*[?&]partNumber=([0-9]+)')

# The client, by itself: the seconds that the upload took, and the most memory it had (MiB).
PROGRAM = f"""
import json, sys, time
from pathlib import Path
from claimcheck_client import Client
client = Client(sys.argv[1], sys.argv[2], parallel={PARALLEL})
begun = time.perf_counter()
file = client.upload(sys.argv[3], "parts")
seconds = time.perf_counter() - begun
# Not ru_maxrss, which has the most memory of the process before exec in it (getrusage(2)).
memory = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
print(json.dumps({{"seconds": seconds, "memory": memory}}))
"""


@dataclass(frozen=True)
class Place:
    gateway: rgw.Rgw
    environ: dict[str, str]
    url: str
    key: str
    path: Path

    async def run(self, *command: str) -> dict[str, float]:
        process = await self.start(*command)
        output, _ = await process.communicate()
        assert process.returncode == 0
        return dict(json.loads(output))

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        environ = os.environ | self.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/clients/python/src"}
        return await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environ, stdout=subprocess.PIPE
        )

    def client(self) -> tuple[str, ...]:
        return ("-c", PROGRAM, self.url, self.key, str(self.path))

    def puts(self) -> list[int]:
        """The number of each part that was sent, and came or not, by the store's log."""
        log = (self.gateway.conf.parent / "radosgw.log").read_text(errors="replace")
        return [int(number) for number in _PUT.findall(log)]

    def arrived(self) -> int:
        """Parts of the upload that is under way."""
        s3 = self.gateway.client()
        count = 0
        for upload in s3.list_multipart_uploads(Bucket="large").get("Uploads") or []:
            named = {"Bucket": "large", "Key": upload["Key"], "UploadId": upload["UploadId"]}
            for page in s3.get_paginator("list_parts").paginate(**named):
                count += len(page.get("Parts", []))
        return count


@pytest.fixture
async def place(database_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    if reason := rgw.available():
        pytest.skip(reason)
    path = tmp_path / "film.bin"
    with path.open("wb") as file:
        for at in range(0, SIZE, PART):  # sparse, and no part like another
            file.seek(at)
            file.write(secrets.token_bytes(4096))
        file.truncate(SIZE)
    with rgw.start_rgw(capacity=2 * SIZE + (3 << 30)) as gateway:
        keys = gateway.owner
        destinations = {"parts": {"method": "multipart", "part_size": PART, "max_size": 10 << 30}}
        environ = {
            **Store(gateway.endpoint_url, keys.access_key, keys.secret_key).environ("large"),
            "DATABASE_URL": database_url,
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_DESTINATIONS": json.dumps(destinations),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        settings = await prepared(environ)
        async with served(environ, tmp_path / "log") as service:
            key = (await key_for(settings, *SCOPES))["Authorization"].removeprefix("Bearer ")
            url = str(service.client.base_url).rstrip("/")
            yield Place(gateway, environ, url, key, path)


async def test_killed_five_times(place: Place) -> None:
    """No more than the parts that were under way is sent again."""
    parts = SIZE // PART
    for turn in range(1, 6):
        process = await place.start(*place.client())
        while place.arrived() < turn * parts // 6:
            assert process.returncode is None
            await asyncio.sleep(0.2)
        process.kill()
        await process.wait()
    kept = place.arrived()
    sent: list[int] = []
    cache = Path(place.environ["XDG_CACHE_HOME"]) / "claimcheck"
    with Client(place.url, place.key, cache=cache) as client:
        file = await asyncio.to_thread(
            client.upload, place.path, "parts", on_progress=lambda so, _: sent.append(so)
        )
    # What the bucket has is told first, part by part.
    assert sent[kept - 1] == kept * PART
    assert kept >= 5 * parts // 6
    assert file["size"] == SIZE
    # Of each of the five that were killed, no more than it had under way.
    sent_again = len(place.puts()) - parts
    print(f"{sent_again} of {parts} parts were sent again")  # noqa: T201
    assert set(place.puts()) == set(range(1, parts + 1))
    assert sent_again <= 5 * PARALLEL


async def test_beside_boto3(place: Place) -> None:
    transfer = ("-m", "bench.peers.transfer", place.gateway.endpoint_url, str(place.path))
    commands = {"client": place.client(), "boto3": (*transfer, str(PARALLEL), str(PART))}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    memory = 0.0
    for _ in range(TURNS):
        for name, command in commands.items():
            found = await place.run(*command)
            print(name, found, os.getloadavg()[0], flush=True)  # noqa: T201
            seconds[name].append(found["seconds"])
            memory = max(memory, found.get("memory", 0))
            place.gateway.empty("large")
    ratio = statistics.median(seconds["boto3"]) / statistics.median(seconds["client"])
    print(f"{ratio:.2f} of boto3's rate, {memory:.0f} MiB; {seconds}; {time.ctime()}")  # noqa: T201
    assert memory < 120
