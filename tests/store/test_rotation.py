"""S3 keys that change while the service runs, on Ceph RGW: a refreshing chain takes it along."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.settings.model import load_settings
from app.store.credentials import RETRY_AFTER
from tests.store.steps import Issuer
from tests.support.service import Clock, Store, prepared, running
from tests.support.steps import announced, send, slug, stored
from tests.support.stores.rgw import Keys, Rgw

BUCKET = "rotated"


@pytest.fixture
def first(gateway: Rgw, issuer: Issuer) -> Keys:
    keys = gateway.add_keys(gateway.owner)
    issuer.issue(keys)
    return keys


@pytest.fixture
async def client(
    gateway: Rgw, database_url: str, first: Keys, clock: Clock
) -> AsyncIterator[httpx.AsyncClient]:
    """A service without keys in its settings."""
    owner = Store(gateway.endpoint_url, gateway.owner.access_key, gateway.owner.secret_key)
    common = {"DATABASE_URL": database_url, "CLAIMCHECK_AUTH": "none"}
    environ = common | owner.environ(BUCKET)
    await prepared(environ)
    gateway.client().put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={"IgnorePublicAcls": True}
    )
    without = {n: v for n, v in environ.items() if not n.endswith(("_KEY_ID", "_ACCESS_KEY"))}
    async with running(load_settings(without), clock=clock) as client:
        yield client


async def test_new_keys_are_taken_up_and_revoked_ones_told(
    gateway: Rgw,
    issuer: Issuer,
    first: Keys,
    clock: Clock,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.routers.service.READY_REMEMBERED", 0.0)
    file = await stored(client, web)
    upload = await announced(client, b"hello")
    assert (await send(web, upload["upload"], b"hello")).is_success

    second = gateway.add_keys(gateway.owner)
    issuer.issue(second)
    gateway.remove_keys(first)
    clock.ahead += RETRY_AFTER
    response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert response.status_code == 200, response.text
    assert (await web.get(response.json()["presigned_url"])).content == b"hello"
    # What the old keys have signed is dead, and the same link is signed anew.
    assert (await web.get(file["presigned_url"])).status_code == 403
    fresh = (await client.get(f"/v1/files/{file['id']}")).json()["presigned_url"]
    assert (await web.get(fresh)).content == b"hello"
    assert await stored(client, web)
    assert (await client.get("/readyz")).status_code == 200

    upload = await announced(client, b"hello")
    assert (await send(web, upload["upload"], b"hello")).is_success
    gateway.remove_keys(second)
    response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert (response.status_code, slug(response)) == (502, "bucket-refused")
    assert "does not know the access key" in response.json()["detail"]
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert all("refused the service's own request" in w for w in ready.json()["buckets"].values())
    assert (await client.get("/livez")).status_code == 200

    third = gateway.add_keys(gateway.owner)
    issuer.issue(third)
    clock.ahead += RETRY_AFTER
    assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 200
    assert await stored(client, web)
    gateway.remove_keys(third)
