"""The service on Ceph RGW, which clients reach through a proxy that tests can disturb."""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from claimcheck_client import AsyncClient, Client, steps

from tests.clients.python.place import PART, SCOPES, Caller, Place
from tests.support.faulty_proxy import faulty_proxy
from tests.support.service import SESSION_SECRET, Store, key_for, own_database, prepared, served
from tests.support.stores.rgw import Rgw


@pytest.fixture(scope="package")
async def open_place(
    postgres_url: str, gateway: Rgw, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """One service for all of these tests, on a database of its own."""
    database_url = await own_database(postgres_url)
    owner = gateway.owner
    store = Store(gateway.endpoint_url, owner.access_key, owner.secret_key)
    parts = {"method": "multipart", "part_size": PART}
    destinations = {
        "files": {"method": "post"},
        "put": {"method": "put"},
        "parts": parts,
        "held": {**parts, "integrity": "md5"},
        "sized": {**parts, "unsized_parts": False},
        "small-held": {"method": "put", "integrity": "md5"},
        "texts": {"content_types": ["text/*"]},
        # Those of the README, which `make run` has as well.
        "videos": parts | {"content_types": ["video/*"]},
        "images": {"content_types": ["image/*"]},
    }
    fields = {"paper": "files", "clip": "parts", "picture": "images"}
    product: dict[str, Any] = {name: {"destination": to} for name, to in fields.items()}
    records = {"product": product | {"clips": {"destination": "parts", "many": True}}}
    async with faulty_proxy(gateway.endpoint_url) as proxy:
        environ = {
            **store.environ("clients"),
            "DATABASE_URL": database_url,
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
            "CLAIMCHECK_DESTINATIONS": json.dumps(destinations),
            "CLAIMCHECK_RECORDS": json.dumps(records),
            "AWS_S3_PUBLIC_ENDPOINT_URL": proxy.address,
        }
        settings = await prepared(environ)
        log = tmp_path_factory.mktemp("clients") / "log"
        async with served(environ, log) as service:
            header = await key_for(settings, *SCOPES)
            key = header["Authorization"].removeprefix("Bearer ")
            yield Place(str(service.client.base_url).rstrip("/"), key, proxy, settings)


@pytest.fixture
def place(open_place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The service and its store in order, and clients that repeat at once."""
    monkeypatch.setattr(steps, "_FIRST_WAIT", 0)
    open_place.proxy.mend()
    open_place.proxy.seen.clear()
    return open_place


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "asynchronous"])
async def caller(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Any:
    client = request.param(place.url, place.key, parallel=1, cache=tmp_path / "cache")
    yield Caller(client)
    closed = client.close()
    if closed is not None:
        await closed


@pytest.fixture
def blocking(place: Place, tmp_path: Path) -> Iterator[Caller]:
    """One client, for what is told once for both."""
    with Client(place.url, place.key, parallel=1, cache=tmp_path / "cache") as client:
        yield Caller(client)


@pytest.fixture
def sample(tmp_path: Path) -> Callable[..., Path]:
    """Makes a file of random bytes of a size."""

    def sample(size: int, name: str = "film.bin") -> Path:
        path = tmp_path / name
        path.write_bytes(os.urandom(size))
        return path

    return sample
