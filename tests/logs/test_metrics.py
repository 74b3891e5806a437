"""Metrics for Prometheus, and who may ask."""

import asyncio
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from app.errors import ConfigurationError
from app.logs.metrics import measured, report
from app.routers.metrics import may_scrape
from app.settings.model import load_settings
from app.store.signer import utc_now
from tests.support.service import assert_limited, key_for, owner_of_bucket, prepared, running
from tests.support.steps import announced, stored
from tests.support.upkeep import EXPIRED, swept
from tests.support.workers import BY_UVICORN, SERVE, workers

TOKEN = "scrape-" + secrets.token_hex(16)
ELSEWHERE = {"DATABASE_URL": "postgres://somewhere/else"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
async def open_to_token(environ: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with running(await prepared(environ | {"CLAIMCHECK_METRICS_TOKEN": TOKEN})) as client:
        yield client


async def scraped(client: httpx.AsyncClient) -> dict[str, float]:
    response = await client.get("/metrics", headers=BEARER)
    assert response.status_code == 200, response.text
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def difference(
    client: httpx.AsyncClient, before: dict[str, float], *names: str
) -> tuple[float, ...]:
    after = await scraped(client)
    return tuple(after.get(name, 0) - before.get(name, 0) for name in names)


def test_the_docs_list_them() -> None:
    told = report(None, {"expired": 1}, {"clean": 1}, 1.0).decode()
    names = re.findall(r"^# TYPE (\w+) ", told, re.MULTILINE)
    page = (Path(__file__).parents[2] / "docs/logging.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (`claimcheck_.*?) \|", page, re.MULTILINE)
    found = {name for cell in listed for name in re.findall(r"`(claimcheck_\w+)`", cell)}
    assert found == {name for name in names if not name.endswith("_created")}


async def test_uploads_and_requests_are_counted(
    open_to_token: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    client = open_to_token
    before = await scraped(client)
    await stored(client, web, b"12345")
    wrong = await announced(client, b"hello", "b.txt", content_type="text/plain")
    await client.delete(f"/v1/uploads/{wrong['id']}")
    await client.head("/v1/files")
    await client.get("/no/such/route")
    requests = 'claimcheck_request_seconds_count{{method="{}",route="{}",status="{}"}}'
    assert await difference(
        client,
        before,
        'claimcheck_uploads_total{destination="files",outcome="announced"}',
        'claimcheck_uploads_total{destination="files",outcome="confirmed"}',
        'claimcheck_uploads_total{destination="files",outcome="cancelled"}',
        'claimcheck_confirmed_bytes_total{destination="files"}',
        requests.format("POST", "/v1/uploads", 201),
        requests.format("POST", "/v1/uploads/{upload_id}/confirm", 200),
        requests.format("HEAD", "/v1/files", 200),
        requests.format("GET", "unmatched", 404),
    ) == (2, 1, 1, 5, 2, 1, 1, 1)


async def test_an_upload_whose_size_nobody_said_is_counted_as_any_other(
    open_to_token: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    client, door = open_to_token, "/uppy/to/files/s3/multipart"
    before = await scraped(client)
    body = {"filename": "a.txt", "type": "text/plain", "metadata": {}}
    upload = f"{door}/{(await client.post(door, json=body)).json()['uploadId']}"
    part = (await client.get(f"{upload}/1")).json()
    etag = (await web.put(part["url"], content=b"hello")).headers["etag"]
    parts = {"parts": [{"PartNumber": 1, "ETag": etag}]}
    for _ in range(2):
        assert (await client.post(f"{upload}/complete", json=parts)).status_code == 200
    assert await difference(
        client,
        before,
        'claimcheck_uploads_total{destination="files",outcome="announced"}',
        'claimcheck_uploads_total{destination="files",outcome="confirmed"}',
        'claimcheck_confirmed_bytes_total{destination="files"}',
    ) == (1, 1, 5)


async def test_a_rejected_upload_is_counted_once(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    settings = await prepared(environ | {"CLAIMCHECK_METRICS_TOKEN": TOKEN})
    async with running(settings) as client, owner_of_bucket(settings) as s3:
        before = await scraped(client)
        upload = await announced(client, b"hello")
        bucket = settings.destinations["files"].bucket
        # Not with the signed form: nothing at the key says whose it is.
        await s3.put_object(Bucket=bucket, Key=upload["key"], Body=b"hello")
        answers = [await client.post(f"/v1/uploads/{upload['id']}/confirm") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [422, 422]
        rejected = 'claimcheck_uploads_total{destination="files",outcome="rejected"}'
        assert await difference(client, before, rejected) == (1,)


async def test_only_the_token_opens_it(open_to_token: httpx.AsyncClient) -> None:
    missing = await open_to_token.get("/no/such/route")
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"bearer {TOKEN}x"}):
        response = await open_to_token.get("/metrics", headers=headers)
        assert response.status_code == 404
        assert response.json()["type"] == missing.json()["type"]
        assert response.json()["detail"] == missing.json()["detail"]


async def test_it_is_closed_unless_the_settings_open_it(client: httpx.AsyncClient) -> None:
    for headers in ({}, BEARER, {"Authorization": "Bearer None"}):
        assert (await client.get("/metrics", headers=headers)).status_code == 404


@pytest.mark.parametrize(
    ("networks", "status"),
    [("127.0.0.0/8", 200), ("10.0.0.0/8, 127.0.0.1/32", 200), ("10.0.0.0/8", 404), ("::/0", 404)],
)
async def test_networks_open_it(environ: dict[str, str], networks: str, status: int) -> None:
    settings = load_settings(environ | {"CLAIMCHECK_METRICS_NETWORKS": networks})
    async with running(settings) as client:
        assert (await client.get("/metrics")).status_code == status


async def test_sweeps_are_told_of_by_whoever_is_asked(
    open_to_token: httpx.AsyncClient, environ: dict[str, str]
) -> None:
    client, last = open_to_token, "claimcheck_last_sweep_timestamp_seconds"
    assert last not in await scraped(client)
    for count in (1, 2):
        started = (utc_now() + EXPIRED).timestamp()
        for _ in range(2):
            await announced(client, b"x")
        assert await swept(load_settings(environ)) == {"removed": 2}
        found = await scraped(client)
        assert found['claimcheck_swept_total{outcome="removed"}'] == 2 * count
        assert found[last] >= started
    assert not [name for name in found if "run" in name]


async def test_without_a_database_the_rest_is_told(environ: dict[str, str]) -> None:
    down = {"DATABASE_URL": "postgres://u:p@127.0.0.1:1/d", "CLAIMCHECK_METRICS_TOKEN": TOKEN}
    async with running(load_settings(environ | down)) as client:
        found = await scraped(client)
    assert "claimcheck_credential_life_seconds" in found
    assert not [name for name in found if "sweep" in name or "swept" in name]


def test_a_proxy_is_in_no_network() -> None:
    """Behind a router everybody comes from the router's address."""
    settings = load_settings(ELSEWHERE | {"CLAIMCHECK_METRICS_NETWORKS": "10.0.0.0/8"})

    def asked_by(*headers: tuple[bytes, bytes]) -> bool:
        scope = {"type": "http", "client": ("10.1.2.3", 1), "headers": list(headers)}
        return may_scrape(settings, Request(scope))

    assert asked_by()
    assert not asked_by((b"x-forwarded-for", b"10.1.2.3"))
    assert not asked_by((b"forwarded", b"for=10.1.2.3"))


@pytest.mark.parametrize("value", ["short", "10.0.0.0/33", "10.0.0.1/8", "everywhere"])
def test_a_wrong_setting_is_named(value: str) -> None:
    name = "CLAIMCHECK_METRICS_" + ("TOKEN" if value == "short" else "NETWORKS")
    with pytest.raises(ConfigurationError, match=name):
        load_settings(ELSEWHERE | {name: value})


async def test_credentials_without_an_end_live_for_ever(open_to_token: httpx.AsyncClient) -> None:
    assert (await scraped(open_to_token))["claimcheck_credential_life_seconds"] == float("inf")


async def test_a_loop_that_was_held_up_is_seen(open_to_token: httpx.AsyncClient) -> None:
    async with measured():
        await asyncio.sleep(0.3)
        time.sleep(0.6)  # noqa: ASYNC251
        await asyncio.sleep(0.3)
        lag = (await scraped(open_to_token))["claimcheck_event_loop_lag_seconds"]
    assert lag > 0.2


@pytest.mark.parametrize("command", [SERVE, pytest.param(BY_UVICORN, marks=pytest.mark.slow)])
async def test_workers_add_up(
    environ: dict[str, str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Whichever of two workers is asked tells of both, and of none of an earlier start."""
    announcements = 40
    for _ in range(2):
        environ |= {"CLAIMCHECK_METRICS_TOKEN": TOKEN, "CLAIMCHECK_AUTH": "keys"}
        async with (
            workers(environ, tmp_path, command) as port,
            # A connection each, so that both workers get some.
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Connection": "close"},
                trust_env=False,
                timeout=60,
            ) as client,
        ):
            body = {"destination": "files", "filename": "a.png", "size": 1}
            key = await key_for(load_settings(environ), "uploads:write")
            answers = await asyncio.gather(
                *(client.post("/v1/uploads", json=body, headers=key) for _ in range(announcements))
            )
            assert {answer.status_code for answer in answers} == {201}
            await assert_limited(f"http://127.0.0.1:{port}")
            name = 'claimcheck_uploads_total{destination="files",outcome="announced"}'
            for _ in range(10):
                report = (await client.get("/metrics", headers=BEARER)).text
                assert f"{name} {announcements}.0" in report.splitlines()


def worker(folder: Path, does: str) -> subprocess.Popen[str]:
    """A worker that does this; it lives until its standard input ends, or as long as it likes."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import os, sys; from app.logs import metrics; {does}; sys.stdin.read()",
        ],
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


TELL = "print(metrics.report({}, {{}}, {{}}, None).decode(), flush=True)"


def test_gauges_are_of_the_living_and_of_now(tmp_path: Path) -> None:
    """A credential that was renewed since another worker looked, a worker that was killed."""
    says = "metrics._loop_lag.set({}); " + TELL.replace("\n", "")
    with worker(tmp_path, "metrics._loop_lag.set(9); os._exit(0)") as killed:
        killed.wait(120)
    assert list(tmp_path.glob(f"gauge_livemax_{killed.pid}.db"))
    with worker(tmp_path, says.format(0.1, 100)) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("claimcheck_event_loop_lag_seconds "):
                break
        with worker(tmp_path, says.format(0.2, 5000)) as other:
            report = other.communicate(timeout=120)[0].splitlines()
        first.communicate(timeout=120)
    assert "claimcheck_credential_life_seconds 5000.0" in report
    assert "claimcheck_event_loop_lag_seconds 0.2" in report
