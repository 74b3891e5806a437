"""Real S3 servers for the tests, started on loopback, and what their launchers share.

Each launcher module offers ``available() -> str | None`` (the reason when it cannot run here) and
a context manager that yields a running server and leaves neither process nor file behind.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"
# Test processes side by side each begin elsewhere.
_ports = itertools.count(os.getpid() * 1009)


class StartFailed(RuntimeError):
    """A server did not come up; the message holds the last lines of its log."""


@dataclass(frozen=True)
class Server:
    """A server in the foreground of its own session, and the file that takes its output."""

    process: subprocess.Popen[bytes]
    log: Path

    def state(self) -> str:
        """Its command, its exit status if it has ended, and the last 20 lines of its log."""
        code = self.process.poll()
        lines = self.log.read_text(errors="replace").splitlines()[-20:]
        return "\n".join(
            [
                f"{self.process.args!r}: {'running' if code is None else f'ended with {code}'}",
                *lines,
            ]
        )


def s3_client(endpoint_url: str, access_key: str, secret_key: str, **config: Any) -> Any:
    """A boto3 S3 client, path style and without retries; ``config`` goes to botocore's Config."""
    settings = {
        "signature_version": "s3v4",
        "s3": {"addressing_style": "path"},
        "retries": {"max_attempts": 0},
        # RGW 16.2 answers AccessDenied to botocore's default trailing checksums.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(**{**settings, **config}),
    )


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody has, and that nobody is given unasked.

    Linux gives the ports from 32768 on to every connection and to whoever listens on port 0: one of
    those may be taken again before the server that it is for has started.
    """
    while True:
        port = 12_000 + next(_ports) % 20_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def running(command: Sequence[str | Path], log: Path, *, kill: bool = False) -> Iterator[Server]:
    """Run ``command`` in the foreground, output to ``log``; stop it on leaving.

    ``kill`` gives it no time to end in order, for servers that take long and keep nothing.

    On Linux the kernel kills it when the thread that started it dies, so that a killed pytest
    leaves nothing running. Start servers from a thread that lives as long as they should.
    """
    setpriv = shutil.which("setpriv")
    guard = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*guard, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which then stops the server in order
        )
    try:
        yield Server(process, log)
    finally:
        (process.kill if kill else process.terminate)()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_http(url: str, servers: Sequence[Server], *, timeout: float = 180) -> None:
    """Return as soon as ``url`` answers anything in HTTP.

    Raises:
        StartFailed: one of ``servers`` ended, or ``timeout`` seconds went by.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and all(s.process.poll() is None for s in servers):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    states = "\n".join(server.state() for server in servers)
    raise StartFailed(f"{url} does not answer.\n{states}")


def block_public_access(owner: Any, bucket: str, *switches: str) -> None:
    """The bucket's public access block with these switches on, and no other."""
    owner.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(switches, True)
    )
