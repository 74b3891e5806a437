"""Chromium, and a service on Ceph RGW that the examples' pages talk to."""

import json
from collections.abc import AsyncIterator

import pytest

from app.core.principal import Scope
from tests.quickstarts.bench import MIB, Bench
from tests.support.browser import fixtures
from tests.support.service import Store, key_for, prepared, served
from tests.support.stores import block_public_access, free_port, rgw

browser, watch = fixtures.browser, fixtures.watch

BUCKET = "quickstarts"
# As `make run` has it, but for parts of a size that lets a small file have some.
IMAGES = {"content_types": ["image/*"], "multipart_threshold": 5 * MIB, "part_size": 5 * MIB}


@pytest.fixture(scope="session")
async def bench(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    folder, port = tmp_path_factory.mktemp("quickstarts"), free_port()
    with rgw.start_rgw() as gateway:
        keys = gateway.owner
        environ = {
            "DATABASE_URL": postgres_url,
            "CLAIMCHECK_CORS_ORIGINS": f"http://localhost:{port}",
            "CLAIMCHECK_DESTINATIONS": json.dumps({"images": IMAGES}),
            **Store(gateway.endpoint_url, keys.access_key, keys.secret_key).environ(BUCKET),
        }
        settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
        # RGW 16.2 refuses every upload under the rest of it.
        block_public_access(gateway.client(), BUCKET, "IgnorePublicAcls")
        everything = await key_for(settings, *Scope, owner="shop")
        shop = await key_for(settings, Scope.SESSIONS_MINT, Scope.FILES_READ, owner="shop")
        async with (
            served(environ | {"CLAIMCHECK_AUTH": "none"}, folder / "open.log") as without,
            served(environ | {"CLAIMCHECK_AUTH": "keys"}, folder / "keyed.log") as with_keys,
        ):
            with_keys.client.headers.update(everything)
            key = shop["Authorization"].removeprefix("Bearer ")
            bucket = gateway.endpoint_url
            yield Bench(port, bucket, without.client, with_keys.client, key)
