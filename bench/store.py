"""The store behind the builds of `--against`: Ceph RGW where it is installed, else a stand-in."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.builds import WORKING_TREE
from bench.servers import serve, uvicorn
from tests.support.stores import rgw


@dataclass(frozen=True)
class Store:
    """A running store, and the settings by which a service finds it."""

    name: str
    settings: dict[str, str]


@contextmanager
def open_store(buckets: Sequence[str], log: Path) -> Iterator[Store]:
    """Start it, on the cores of this process, with these buckets, which keep versions."""
    if rgw.available() is None:
        # Its objects lie in memory.
        with rgw.start_rgw(capacity=8 << 30) as gateway:
            s3 = gateway.client()
            for bucket in buckets:
                s3.create_bucket(Bucket=bucket)
                versioning = {"Status": "Enabled"}
                s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioning)
            s3.close()
            keys = gateway.owner
            settings = _settings(gateway.endpoint_url, keys.access_key, keys.secret_key)
            yield Store("Ceph RGW", settings)
    else:
        cores = os.sched_getaffinity(0)
        command = uvicorn("bench.bucket:create_app")
        with serve(
            command, cores=cores, environ={}, log=log, probe="/bench", directory=WORKING_TREE
        ) as server:
            settings = _settings(server.url, "BENCHAGAINSTREVISION", secrets.token_urlsafe(30))
            yield Store("a stand-in that answers at once and verifies nothing", settings)


def _settings(endpoint: str, access_key: str, secret_key: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_S3_ENDPOINT_URL": endpoint,
        "AWS_S3_ADDRESSING_STYLE": "path",
    }
