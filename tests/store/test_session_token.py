"""A session token of the environment: its end is unknown, unless a setting names it."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.doctor.examine import examine
from app.doctor.findings import Finding, Level
from app.embedded.gate_keys import TemporaryKey, write_temporary_keys
from app.embedded.s3 import start_s3
from app.settings.model import load_settings
from app.store.credentials import utc_now
from tests.support.service import ACCESS_KEY, SECRET_KEY, Clock, Store, prepared, running
from tests.support.steps import announced, send, slug, stored

HOUR = timedelta(hours=1)
BODY = {"destination": "files", "filename": "a.txt", "size": 5}
Service = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(scope="module")
def leasing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Path]]:
    """A store, and the file of the temporary keys that it takes."""
    path = tmp_path_factory.mktemp("leased") / "temporary.json"
    with start_s3(ACCESS_KEY, SECRET_KEY, temporary_keys=path) as endpoint_url:
        yield Store(endpoint_url), path


@pytest.fixture
def key(leasing: tuple[Store, Path]) -> TemporaryKey:
    key = TemporaryKey(
        f"ASIA{secrets.token_hex(8).upper()}",
        secrets.token_hex(20),
        f"{secrets.token_hex(40)}+/==",
        utc_now() + HOUR,
    )
    write_temporary_keys(leasing[1], [key])
    return key


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def environ(
    leasing: tuple[Store, Path], key: TemporaryKey, database_url: str
) -> dict[str, str]:
    store, _ = leasing
    common = {"DATABASE_URL": database_url, "CLAIMCHECK_AUTH": "none"}
    owned = common | store.environ(f"leased-{secrets.token_hex(6)}")
    await prepared(owned)
    return owned | {
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "AWS_SESSION_TOKEN": key.session_token,
    }


@pytest.fixture
def service(environ: dict[str, str], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr("app.routers.service.READY_REMEMBERED", 0.0)

    @asynccontextmanager
    async def service(**more: str) -> AsyncIterator[httpx.AsyncClient]:
        async with running(load_settings(environ | more), clock=clock) as client:
            yield client

    return service


async def diagnosed(environ: dict[str, str], clock: Clock) -> Finding:
    report = await examine(load_settings(environ), {}, clock=clock)
    return [finding for finding in report.findings if finding.check == "credentials"][-1]


async def refused(client: httpx.AsyncClient, method: str, path: str, body: object = None) -> None:
    response = await client.request(method, path, json=body)
    said = (response.status_code, slug(response))
    assert said == (503, "signing-unavailable"), f"{path}: {response.text}"
    assert "have ended" in response.json()["detail"]


async def not_ready(client: httpx.AsyncClient) -> bool:
    ready = await client.get("/readyz")
    return ready.status_code == 503 and "credentials have ended" in ready.text


async def test_an_end_that_nobody_names_is_told_of(
    service: Service, web: httpx.AsyncClient, environ: dict[str, str], clock: Clock
) -> None:
    found = await diagnosed(environ, clock)
    assert found.level is Level.WARNING
    assert "nothing says when they end" in found.meaning
    assert "CLAIMCHECK_CREDENTIALS_EXPIRE_AT" in found.remedy
    async with service() as client:
        file = await stored(client, web)
        large = {**BODY, "size": 200 * 1024**2, "filename": "b.txt"}
        for upload in (
            await announced(client, b"hello"),
            (await client.post("/v1/uploads", json=large)).json(),
        ):
            assert upload["upload"]["may_end_sooner"] is True
        parts = await client.post(f"/v1/uploads/{upload['id']}/parts", json={"part_numbers": [1]})
        links = await client.post("/v1/files/presign", json={"ids": [file["id"]]})
        listed = await client.get("/v1/files")
        for body in (file, parts.json(), links.json()["items"][0], listed.json()["items"][0]):
            assert body["may_end_sooner"] is True


async def test_an_end_that_is_named_holds(
    service: Service, web: httpx.AsyncClient, environ: dict[str, str], clock: Clock
) -> None:
    ends = (utc_now() + timedelta(minutes=20)).replace(microsecond=0)
    named = {"CLAIMCHECK_CREDENTIALS_EXPIRE_AT": ends.isoformat()}
    found = await diagnosed(environ | named, clock)
    assert found.level is Level.WARNING
    assert "19 minutes are left. Nothing renews them" in found.meaning
    async with service(**named) as client:
        file = await stored(client, web)
        assert "may_end_sooner" not in file
        assert datetime.fromisoformat(file["presigned_url_expires_at"]) == ends
        upload = await announced(client, b"hello")
        assert datetime.fromisoformat(upload["upload"]["expires_at"]) == ends
        clock.ahead = timedelta(minutes=20)
        await refused(client, "POST", "/v1/uploads", BODY)
        # The store would still take them: calls and signing go by one end.
        await refused(client, "POST", f"/v1/uploads/{upload['id']}/confirm")
        assert await not_ready(client)
    assert (await diagnosed(environ | named, clock)).level is Level.FAILURE


@pytest.mark.parametrize("as_on_rgw", [False, True], ids=["aws", "rgw"])
@pytest.mark.parametrize("first", ["confirm", "readyz", "parts", "cancel"])
async def test_what_the_store_says_of_the_end_is_believed_at_once(
    leasing: tuple[Store, Path],
    key: TemporaryKey,
    service: Service,
    web: httpx.AsyncClient,
    environ: dict[str, str],
    clock: Clock,
    as_on_rgw: bool,
    first: str,
) -> None:
    async with service() as client:
        file, other = await stored(client, web), await announced(client, b"hello", "b.txt")
        upload = await announced(client, b"hello")
        assert (await send(web, upload["upload"], b"hello")).is_success
        ended = replace(key, ends_at=utc_now(), ends_as_on_rgw=as_on_rgw)
        write_temporary_keys(leasing[1], [ended])
        large = {**BODY, "size": 200 * 1024**2}
        if first == "confirm":
            await refused(client, "POST", f"/v1/uploads/{upload['id']}/confirm")
        elif first == "readyz":
            assert await not_ready(client)
        elif first == "parts":
            await refused(client, "POST", "/v1/uploads", large)
        else:
            await refused(client, "DELETE", f"/v1/uploads/{other['id']}")
        for path, body in (
            ("/v1/uploads", BODY),
            ("/v1/uploads", large),
            ("/v1/uploads/batch", {"uploads": [BODY]}),
            ("/v1/files/presign", {"ids": [file["id"]]}),
            (f"/v1/uploads/{upload['id']}/renew", None),
        ):
            await refused(client, "POST", path, body)
        await refused(client, "GET", f"/v1/files/{file['id']}")
        await refused(client, "GET", f"/v1/files/{file['id']}/content")
        assert await not_ready(client)
        found = await diagnosed(environ, clock)
        assert found.level is Level.FAILURE
        assert "session token has ended" in found.meaning

        # A store that takes them again is believed, too.
        write_temporary_keys(leasing[1], [key])
        assert (await client.get("/readyz")).status_code == 200
        await stored(client, web)


async def test_a_file_that_has_other_keys_by_then_is_read_anew(
    leasing: tuple[Store, Path],
    key: TemporaryKey,
    environ: dict[str, str],
    web: httpx.AsyncClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As tools write it that log people in: with a token, and without its end."""
    names = {"access_key_id": "access_key", "secret_access_key": "secret_key"}
    names["session_token"] = "session_token"
    profile = tmp_path / "credentials"
    for name in names:
        monkeypatch.delenv(f"AWS_{name.upper()}", raising=False)
        del environ[f"AWS_{name.upper()}"]
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    def write(key: TemporaryKey) -> None:
        lines = [f"aws_{name} = {getattr(key, member)}" for name, member in names.items()]
        profile.write_text("\n".join(["[default]", *lines]))

    write(key)
    async with running(load_settings(environ)) as client:
        assert (await stored(client, web))["may_end_sooner"] is True
        upload = await announced(client, b"hello")
        assert (await send(web, upload["upload"], b"hello")).is_success
        other = replace(key, access_key="ASIAOTHER", session_token="other")
        write_temporary_keys(leasing[1], [replace(key, ends_at=utc_now()), other])
        write(other)
        await refused(client, "POST", f"/v1/uploads/{upload['id']}/confirm")
        assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 200
        await stored(client, web)


async def test_another_refusal_is_no_end(
    service: Service, web: httpx.AsyncClient, leasing: tuple[Store, Path], key: TemporaryKey
) -> None:
    """Another secret: the keys are wrong, which is not for others to wait for."""
    async with service() as client:
        upload = await announced(client, b"hello")
        write_temporary_keys(leasing[1], [replace(key, secret_key="0" * 40)])
        response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        assert (response.status_code, slug(response)) == (502, "bucket-refused")
        assert (await client.post("/v1/uploads", json=BODY)).status_code == 201
