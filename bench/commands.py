"""Commands of the service over a hundred thousand objects, on a Ceph RGW of their own.

Its objects lie in memory. The commands run as cron would run them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import aiohttp
from yarl import URL

from app.runtime.resources import open_resources, open_session
from app.settings.model import Settings, load_settings
from app.store.look import ID_METADATA
from app.store.setup.provision import apply
from bench.rows import empty
from bench.servers import BenchError, inherited_environ
from bench.stack import Stack
from tests.support.stores import rgw

DATA: Final = b"hello"
_AT_ONCE: Final = 48
_SECONDS: Final = 3600


@dataclass(frozen=True)
class Made:
    """An upload: with `version_id` if its object is in the bucket. Others' objects have no `id`."""

    id: UUID | None
    key: str
    version_id: str | None = None


@contextmanager
def own_gateway(stack: Stack, section: str) -> Iterator[dict[str, str] | None]:
    """The environment of a service on an empty table and a gateway of its own; None without one.

    The gateway may use both cores, which its clients and the database share with it.
    """
    if missing := rgw.available():
        stack.results.skipped[section] = missing
        yield None
        return
    stack.query(empty)
    os.sched_setaffinity(0, {stack.cores.service, stack.cores.rest})
    try:
        with rgw.start_rgw(capacity=8 << 30) as gateway:
            keys = gateway.owner
            environ = stack.environ | {
                "AWS_ACCESS_KEY_ID": keys.access_key,
                "AWS_SECRET_ACCESS_KEY": keys.secret_key,
                "AWS_S3_ENDPOINT_URL": gateway.endpoint_url,
            }
            settings = load_settings(environ)
            asyncio.run(apply(open_session(settings), settings))
            yield environ
    finally:
        os.sched_setaffinity(0, {stack.cores.rest})
        stack.query(empty)


async def send(settings: Settings, uploads: list[Made]) -> list[Made]:
    """Put their objects into the bucket; the uploads, with the versions that the store made."""
    destination, left, sent = settings.destinations["files"], iter(uploads), []
    async with open_resources(settings) as res, aiohttp.ClientSession() as web:

        async def lane() -> None:
            for upload in left:
                headers = {"content-type": "text/plain"}
                if upload.id is not None:
                    headers[f"x-amz-meta-{ID_METADATA}"] = str(upload.id)
                signed = await res.signer.presign(
                    "PUT", destination.address, upload.key, expires_in=_SECONDS, headers=headers
                )
                url = URL(signed.url, encoded=True)
                async with web.put(url, headers=headers, data=DATA) as answer:
                    if answer.status != 200:
                        raise BenchError(f"the store answered {answer.status} to a PUT")
                    version = answer.headers["x-amz-version-id"]
                    sent.append(Made(upload.id, upload.key, version))

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(lane())
    return sent


@dataclass(frozen=True)
class Run:
    """A command that has ended: seconds, MiB at its peak, its lines."""

    seconds: float
    memory: float
    output: list[str]
    errors: list[str]


def run_command(
    scratch: Path,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    processes: int = 1,
    status: int = 0,
    killed_after: int | None = None,
    directory: Path | None = None,
) -> list[Run]:
    """Run the command of the service, in so many processes at once; all are to end so.

    With `killed_after` each is killed once it has written so many lines. `directory` is the tree of
    another build.
    """
    logs = [scratch / f"{arguments[0]}-{number}" for number in range(processes)]
    start = time.perf_counter()
    started = [_start(arguments, environ, log, directory) for log in logs]
    ended: dict[int, tuple[float, float]] = {}
    memory = dict.fromkeys(range(processes), 0.0)
    while len(ended) < processes:
        time.sleep(0.1)
        for number, process in enumerate(started):
            # The peak, as the kernel keeps it (proc(5), VmHWM); gone once the process is.
            memory[number] = _peak(process.pid) or memory[number]
            if number not in ended and process.poll() is not None:
                ended[number] = (time.perf_counter() - start, memory[number])
            elif killed_after is not None and len(_lines(logs[number], ".out")) >= killed_after:
                process.kill()
    wanted = status if killed_after is None else -signal.SIGKILL
    runs = []
    for number, (process, log) in enumerate(zip(started, logs, strict=True)):
        output, errors = _lines(log, ".out"), _lines(log, ".err")
        if process.returncode != wanted:
            raise BenchError(f"{arguments[0]} ended with {process.returncode}: {errors[-20:]}")
        runs.append(Run(*ended[number], output, errors))
    return runs


def _start(
    arguments: Sequence[str], environ: Mapping[str, str], log: Path, directory: Path | None
) -> subprocess.Popen[bytes]:
    with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=directory,
            env=inherited_environ(environ),
            stdout=out,
            stderr=err,
        )


def _lines(log: Path, suffix: str) -> list[str]:
    return log.with_suffix(suffix).read_text().splitlines()


def _peak(pid: int) -> float | None:
    try:
        with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None
