"""Why a store refuses the service, said wherever it does: on the embedded store and on Ceph RGW."""

import json
import secrets
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.settings.model import load_settings
from tests.support.service import Clock, Store, prepared, running
from tests.support.steps import announced, send, slug

DESTINATIONS = json.dumps({"files": {}, "parts": {"method": "multipart"}})


@pytest.fixture(params=["embedded", "ceph"])
def store(request: pytest.FixtureRequest, environ: dict[str, str]) -> dict[str, str]:
    """The environment of a service with one of the stores."""
    found = environ | {"CLAIMCHECK_DESTINATIONS": DESTINATIONS}
    if request.param == "ceph":
        gateway = request.getfixturevalue("gateway")
        owner = Store(gateway.endpoint_url, gateway.owner.access_key, gateway.owner.secret_key)
        found |= owner.environ(f"refusals-{secrets.token_hex(6)}")
    return found


@pytest.fixture
def ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """This machine's clock, as the service's calls have it, is 20 minutes ahead or behind.

    Ceph RGW takes URLs that were signed in the future, so that there a confirm succeeds.
    """
    embedded = request.node.callspec.params["store"] == "embedded"
    ahead = timedelta(minutes=20 if embedded else -20)
    # botocore asks for the time in UTC, without a zone unless it is told otherwise.
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime",
        lambda remove_tzinfo=True: (datetime.now(UTC) + ahead).replace(
            tzinfo=None if remove_tzinfo else UTC
        ),
    )
    monkeypatch.setattr("app.store.sending.utc_now", lambda: datetime.now(UTC) + ahead)
    monkeypatch.setattr("app.store.refusals._now", lambda: datetime.now(UTC) + ahead)
    return ahead


async def announce(client: httpx.AsyncClient, destination: str) -> httpx.Response:
    body = {"destination": destination, "filename": "a.bin", "size": 5}
    return await client.post("/v1/uploads", json=body)


async def sent(environ: dict[str, str], web: httpx.AsyncClient) -> str:
    """The id of an upload that has arrived, while all was well."""
    async with running(await prepared(environ)) as client:
        upload = await announced(client, b"hello", destination="files")
        assert (await send(web, upload["upload"], b"hello")).is_success
    return str(upload["id"])


async def test_a_clock_that_is_wrong_is_named_wherever_it_is_refused(
    store: dict[str, str], web: httpx.AsyncClient, request: pytest.FixtureRequest
) -> None:
    upload = await sent(store, web)
    ahead = request.getfixturevalue("ahead")
    clock = Clock()
    clock.ahead = ahead
    where = "ahead of" if ahead > timedelta(0) else "behind"
    says = f"because the service's clock is 20 minutes {where} the store's"
    async with running(load_settings(store), clock=clock) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.headers["Retry-After"]) == (503, "5")
        assert says in ready.text
        for response in (
            await client.post(f"/v1/uploads/{upload}/confirm"),
            await announce(client, "parts"),
        ):
            assert (response.status_code, slug(response)) == (502, "bucket-refused")
            assert says in response.json()["detail"]
            assert response.headers["Retry-After"] == "60"
        # No form is signed that the store would refuse.
        form = await announce(client, "files")
        assert (form.status_code, slug(form)) == (502, "bucket-refused")
        assert "clock" in form.json()["detail"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "hunter2-and-more"}, "because the secret key is wrong"),
        ({"AWS_ACCESS_KEY_ID": "NOBODYSKEY0000000001"}, "because it does not know the access key"),
    ],
)
async def test_wrong_keys_are_told_from_missing_rights(
    store: dict[str, str], web: httpx.AsyncClient, change: dict[str, str], says: str
) -> None:
    upload = await sent(store, web)
    async with running(load_settings(store | change)) as client:
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert says in ready.text
        for response in (
            await client.post(f"/v1/uploads/{upload}/confirm"),
            await announce(client, "parts"),
        ):
            assert (response.status_code, slug(response)) == (502, "bucket-refused")
            assert says in response.json()["detail"]
            assert f"must set {next(iter(change))}" in response.json()["detail"]
            assert "hunter2" not in response.text
