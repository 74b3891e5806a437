"""`claimcheck dev` as a user starts it, for browsers to talk to."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.stores import StartFailed, free_port

START_SECONDS = 180
STOP_SECONDS = 120


@contextmanager
def started(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The address of the service with its embedded stores; its log goes to the folder.

    Raises StartFailed.
    """
    port = free_port()
    ours = ("AWS_", "BUCKETEER_", "CLAIMCHECK_", "DATABASE_URL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "dev"],
            cwd=folder,
            env={**environment, "PORT": str(port), **environ},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            if not _is_ready(process, f"{address}/readyz"):
                log.seek(0)
                raise StartFailed(f"`claimcheck dev` did not get ready:\n{log.read()}")
            yield address
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


def _is_ready(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False, timeout=60).is_success:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False
