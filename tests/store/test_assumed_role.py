"""A role's keys on Ceph RGW, which last for 900 s at least: their renewal, and their end."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.doctor.examine import examine
from app.doctor.findings import Level
from app.settings.model import load_settings
from app.store.credentials import RETRY_AFTER, utc_now
from tests.store.steps import Issuer
from tests.support.service import Clock, Store, prepared, running
from tests.support.steps import announced, send, slug
from tests.support.stores import rgw
from tests.support.stores.rgw import Keys, Rgw, Session

BUCKET = "assumed"


@dataclass
class Deployment:
    """A service whose keys are a role's, and what a client does with it."""

    gateway: Rgw
    role: str
    user: Keys
    environ: dict[str, str]
    web: httpx.AsyncClient
    clock: Clock = field(default_factory=Clock)
    client: httpx.AsyncClient = field(init=False)

    def assume(self) -> Session:
        return self.gateway.assume_role(self.role, self.user)

    @asynccontextmanager
    async def running(self, **more: str) -> AsyncIterator[httpx.AsyncClient]:
        async with running(load_settings(self.environ | more), clock=self.clock) as client:
            yield client

    async def works(self, client: httpx.AsyncClient, keys: Session) -> dict[str, Any]:
        """Announce, send, confirm and read, with these keys; the file."""
        upload = await announced(client, b"hello")
        assert keys.access_key in str(upload["upload"])
        assert (await send(self.web, upload["upload"], b"hello")).is_success
        response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        assert response.status_code == 200, response.text
        assert (await self.web.get(response.json()["presigned_url"])).content == b"hello"
        ready = await client.get("/readyz")
        assert ready.status_code == 200, ready.text
        file: dict[str, Any] = response.json()
        return file

    async def refuses(self, client: httpx.AsyncClient, file: dict[str, Any], upload: str) -> None:
        """Confirm first, and then all that signs: 503, and what runs the service is told why."""
        body = {"destination": "files", "filename": "a.txt", "size": 5}
        large = body | {"size": 200 * 1024**2}
        for method, path, sent in (
            ("POST", f"/v1/uploads/{upload}/confirm", None),
            ("POST", "/v1/uploads", body),
            ("POST", "/v1/uploads", large),
            ("POST", f"/v1/uploads/{upload}/renew", None),
            ("GET", f"/v1/files/{file['id']}", None),
            ("POST", "/v1/files/presign", {"ids": [file["id"]]}),
        ):
            response = await client.request(method, path, json=sent)
            said = (response.status_code, slug(response))
            assert said == (503, "signing-unavailable"), f"{path}: {response.text}"
            assert "have ended" in response.json()["detail"]
            assert "Retry-After" in response.headers
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert "credentials have ended" in ready.json()["buckets"]["files"]
        assert (await client.get("/livez")).status_code == 200

    async def credentials_found(self, **more: str) -> tuple[Level, str]:
        """The findings of the doctor about the credentials: the last one."""
        report = await examine(load_settings(self.environ | more), {}, clock=self.clock)
        found = [f for f in report.findings if f.check == "credentials"]
        return found[-1].level, found[-1].meaning


@pytest.fixture(scope="module")
def gateway() -> Iterator[Rgw]:
    """One whose roles can be assumed."""
    if reason := rgw.available():
        pytest.skip(reason)
    with rgw.start_rgw(sts=True) as gateway:
        yield gateway


@pytest.fixture
async def deployed(
    gateway: Rgw,
    database_url: str,
    issuer: Issuer,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> Deployment:
    """No keys are in its settings; the profile has none yet."""
    monkeypatch.setattr("app.routers.service.READY_REMEMBERED", 0.0)
    owner = Store(gateway.endpoint_url, gateway.owner.access_key, gateway.owner.secret_key)
    environ = {"DATABASE_URL": database_url, "CLAIMCHECK_AUTH": "none"} | owner.environ(BUCKET)
    await prepared(environ)
    gateway.client().put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={"IgnorePublicAcls": True}
    )
    without = {n: v for n, v in environ.items() if not n.endswith(("_KEY_ID", "_ACCESS_KEY"))}
    role = f"role-{secrets.token_hex(4)}"
    return Deployment(gateway, role, gateway.create_role(role, BUCKET), without, web)


def of_environment(keys: Session) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }


async def test_renewed_keys_are_taken_up_and_ended_ones_told(
    deployed: Deployment, issuer: Issuer
) -> None:
    clock, first = deployed.clock, deployed.assume()
    issuer.issue(first, ends_at=first.ends_at)
    async with deployed.running() as client:
        file = await deployed.works(client, first)
        ends = file["presigned_url_expires_at"]
        assert ends <= first.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        level, meaning = await deployed.credentials_found()
        assert level is Level.OK
        assert "They are renewed" in meaning

        second = deployed.assume()
        issuer.issue(second, ends_at=second.ends_at)
        clock.ahead += RETRY_AFTER
        await deployed.works(client, second)

        # While nothing comes, calls and signing go on together ...
        issuer.fail()
        left = second.ends_at - utc_now()
        clock.ahead = left - timedelta(seconds=540)
        await deployed.works(client, second)
        clock.ahead = left - timedelta(seconds=90)
        await deployed.works(client, second)
        upload = await announced(client, b"hello")
        # ... and end together, though the store would still take them.
        clock.ahead = left + timedelta(seconds=1)
        await deployed.refuses(client, file, upload["id"])
        assert (await deployed.credentials_found())[0] is Level.FAILURE

        third = deployed.assume()
        issuer.issue(third, ends_at=clock() + timedelta(minutes=10))
        await deployed.works(client, third)


async def test_keys_that_end_before_the_time_that_was_said(
    deployed: Deployment, issuer: Issuer
) -> None:
    first = deployed.assume()
    issuer.issue(first)
    async with deployed.running() as client:
        file = await deployed.works(client, first)
        upload = await announced(client, b"hello")
        issuer.issue(deployed.assume().ended())
        deployed.clock.ahead += RETRY_AFTER
        await deployed.refuses(client, file, upload["id"])
        level, meaning = await deployed.credentials_found()
        assert level is Level.FAILURE
        assert "session token has ended" in meaning

        third = deployed.assume()
        issuer.issue(third)
        deployed.clock.ahead += RETRY_AFTER
        await deployed.works(client, third)


async def test_lacking_rights_are_no_end(deployed: Deployment, issuer: Issuer) -> None:
    keys = deployed.assume()
    issuer.issue(keys)
    async with deployed.running() as client:
        file = await deployed.works(client, keys)
        upload = await announced(client, b"hello")
        deployed.gateway.set_rights(deployed.role, None)
        response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        assert (response.status_code, slug(response)) == (502, "bucket-refused")
        assert (await client.get(f"/v1/files/{file['id']}")).status_code == 200
        deployed.gateway.set_rights(deployed.role, BUCKET)
        assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code != 502


@pytest.mark.slow
async def test_the_real_900_seconds(deployed: Deployment, issuer: Issuer) -> None:
    """A renewal and then none, and beside it a token of the environment, whose end nobody names."""
    first = deployed.assume()
    issuer.issue(first, ends_at=first.ends_at)
    async with (
        deployed.running() as client,
        deployed.running(**of_environment(first)) as unnamed,
    ):
        file, other = await deployed.works(client, first), await deployed.works(unnamed, first)
        assert (await deployed.credentials_found())[0] is Level.OK
        assert (await deployed.credentials_found(**of_environment(first)))[0] is Level.WARNING
        upload = await announced(unnamed, b"hello")
        second = deployed.assume()
        issuer.issue(second, ends_at=second.ends_at)
        deployed.clock.ahead += RETRY_AFTER
        await deployed.works(client, second)
        deployed.clock.ahead = timedelta()
        await _until(first)
        # The first session has ended at the store, and nothing here has been told so.
        await deployed.refuses(unnamed, other, upload["id"])
        found = await deployed.credentials_found(**of_environment(first))
        assert found[0] is Level.FAILURE
        assert "session token has ended" in found[1]
        await _until(second)
        await deployed.refuses(client, file, upload["id"])
        assert (await deployed.credentials_found())[0] is Level.FAILURE

        third = deployed.assume()
        issuer.issue(third, ends_at=third.ends_at)
        await deployed.works(client, third)


async def _until(keys: Session) -> None:
    """Two seconds after the end, by the machine's clock, which is the store's too."""
    left = keys.ends_at + timedelta(seconds=2) - utc_now()
    await asyncio.sleep(max(0.0, left.total_seconds()))
