"""The S3 servers that the gate's tests run on, and the means to send them any request.

Ceph RGW, where it is installed, holds the gate to a real server's answers: a test that takes
``store`` runs on both, one that takes ``embedded`` says why it cannot.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.embedded.s3 import start_s3
from tests.embedded.steps import CORS_RULES, Store, s3_client
from tests.support.stores import rgw


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``clock(seconds)`` lets botocore sign as if it were that much later."""

    def shift(seconds: float) -> None:
        moment = datetime.now(UTC) + timedelta(seconds=seconds)
        for module in ("auth", "signers"):
            monkeypatch.setattr(
                f"botocore.{module}.get_current_datetime",
                lambda remove_tzinfo=True: moment.replace(tzinfo=None if remove_tzinfo else UTC),
            )

    return shift


def _store(name: str, endpoint_url: str, access_key: str, secret_key: str) -> Iterator[Store]:
    client = s3_client(endpoint_url, access_key, secret_key)
    store = Store(name, endpoint_url, access_key, secret_key, client)
    for bucket in (store.bucket, store.versioned, store.other):
        client.create_bucket(Bucket=bucket)
        if bucket != store.other:
            client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": CORS_RULES})
    client.put_bucket_versioning(
        Bucket=store.versioned, VersioningConfiguration={"Status": "Enabled"}
    )
    yield store
    client.close()


@pytest.fixture(scope="session")
def embedded() -> Iterator[Store]:
    access_key, secret_key = secrets.token_hex(10).upper(), secrets.token_hex(20)
    with start_s3(access_key, secret_key) as endpoint_url:
        yield from _store("embedded", endpoint_url, access_key, secret_key)


@pytest.fixture(scope="session")
def ceph() -> Iterator[Store]:
    if reason := rgw.available():
        pytest.skip(reason)
    with rgw.start_rgw() as gateway:
        keys = gateway.owner
        yield from _store("ceph", gateway.endpoint_url, keys.access_key, keys.secret_key)


@pytest.fixture(scope="session", params=["embedded", "ceph"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found
