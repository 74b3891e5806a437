"""One large file: uploader.js in Chromium beside boto3's TransferManager, to the same Ceph RGW."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
from typing import Any, Final

from bench.servers import BenchError, serve, uvicorn
from bench.stack import Stack
from tests.support.stores import rgw

SECTION: Final = "a large file"
PARALLEL: Final = 4
PART: Final = 16 << 20
BUCKET: Final = "large"
HELD: Final = "uploader.js, each part held to its MD5"
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
    # RGW keeps what was deleted for a while, and all of it in memory.
    with rgw.start_rgw(capacity=3 * (_ROUNDS + 1) * size + (1 << 30)) as gateway:
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
                "boto3": ["bench.peers.transfer", gateway.endpoint_url],
            }
            speeds: dict[str, list[float]] = {name: [] for name in clients}
            growth = []
            for turn in range(_ROUNDS + 1):
                for name, client in clients.items():
                    stack.say(f"{SECTION}: {name}")
                    before = service.memory_mib()
                    seconds = _run(stack, [*client, str(path), str(PARALLEL), str(PART)], environ)
                    if turn:  # the first one warms up
                        speeds[name].append(size / 1e6 / seconds)
                        growth.append(service.memory_mib() - before)
    add = stack.results.add
    for name, found in speeds.items():
        add(SECTION, name, statistics.median(found), "MB/s")
    stack.results.compare(SECTION, "uploader.js", "boto3")
    stack.results.compare(SECTION, HELD, "uploader.js")
    add(SECTION, "growth of the service's memory", max(growth), "MiB")


def _run(stack: Stack, arguments: list[str], environ: dict[str, str]) -> float:
    """Seconds that the upload took, by the client's own clock."""
    both = {stack.cores.service, stack.cores.rest}
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, both),
    )
    if run.returncode:
        raise BenchError(f"{arguments[0]} failed:\n{run.stderr[-2000:]}")
    said: dict[str, Any] = json.loads(run.stdout)
    return float(said["seconds"])
