"""One large file: uploader.js in Chromium, and the Python client, beside boto3's TransferManager.

To the same Ceph RGW.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from bench.servers import BenchError, serve, uvicorn
from bench.stack import Stack
from tests.support.stores import rgw

SECTION: Final = "a large file"
PARALLEL: Final = 4
PART: Final = 16 << 20
BUCKET: Final = "large"
HELD: Final = "uploader.js, each part held to its MD5"
PYTHON: Final = "the Python client"
_SOURCES: Final = Path(__file__).parents[2] / "clients" / "python" / "src"
_ROUNDS: Final = 3


def upload(stack: Stack) -> None:
    """One file, sent by each in turn with one part size and as many requests at once.

    Of uploader.js's no more than two are leaving: to the others the bucket's answer is out.
    """
    missing = rgw.available() or (shutil.which("chromium") is None and "chromium is not installed")
    if missing:
        stack.results.skipped[SECTION] = missing
        return
    size = stack.plan.large
    path = stack.scratch / "large.bin"
    with path.open("wb") as file:
        block = secrets.token_bytes(1 << 20)
        for _ in range(size >> 20):
            file.write(block)
    # All of it is in memory.
    with rgw.start_rgw(capacity=3 * size + (1 << 30)) as gateway:
        owner = gateway.client()
        owner.create_bucket(Bucket=BUCKET)
        rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]}
        owner.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [rule]})
        keys = gateway.owner
        parts = {"method": "multipart", "part_size": PART}
        environ = stack.environ | {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_S3_ENDPOINT_URL": gateway.endpoint_url,
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "CLAIMCHECK_DESTINATIONS": json.dumps(
                {"images": {}, "large": parts, "held": parts | {"integrity": "md5"}}
            ),
        }
        log = stack.scratch / "large.log"
        command = uvicorn("bench.service:create_app")
        with serve(command, cores={stack.cores.service}, environ=environ, log=log) as service:
            clients = {
                "uploader.js": ["bench.peers.chromium", service.url],
                HELD: ["bench.peers.chromium", f"{service.url}#held"],
                PYTHON: ["bench.peers.python_client", service.url],
                "boto3": ["bench.peers.transfer", gateway.endpoint_url],
            }
            speeds: dict[str, list[float]] = {name: [] for name in clients}
            growth, memory = [], 0.0
            for turn in range(_ROUNDS + 1):
                for name, client in clients.items():
                    stack.say(f"{SECTION}: {name}")
                    before = service.memory_mib()
                    said = _run(stack, [*client, str(path), str(PARALLEL), str(PART)], environ)
                    memory = max(memory, said.get("memory", 0))
                    if turn:  # the first one warms up
                        speeds[name].append(size / 1e6 / said["seconds"])
                        growth.append(service.memory_mib() - before)
                    gateway.empty(BUCKET)
    add = stack.results.add
    for name, found in speeds.items():
        add(SECTION, name, statistics.median(found), "MB/s")
    stack.results.compare(SECTION, "uploader.js", "boto3")
    stack.results.compare(SECTION, HELD, "uploader.js")
    stack.results.compare(SECTION, PYTHON, "boto3")
    add(SECTION, "growth of the service's memory", max(growth), "MiB")
    add(SECTION, "peak memory of the Python client", memory, "MiB")


def _run(stack: Stack, arguments: list[str], environ: dict[str, str]) -> dict[str, Any]:
    """The seconds that the upload took by the client's own clock, and what else it says."""
    both = {stack.cores.service, stack.cores.rest}
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environ, "PYTHONPATH": f"{Path.cwd()}:{_SOURCES}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, both),
    )
    if run.returncode:
        raise BenchError(f"{arguments[0]} failed:\n{run.stderr[-2000:]}")
    said: dict[str, Any] = json.loads(run.stdout)
    return said
