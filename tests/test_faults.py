"""Database and bucket that are down or silent: what is said, and that it is recovered from."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from app.routers.middleware import ANSWER_SECONDS
from app.settings import load_settings
from tests.faults import Line, line_to
from tests.meddler import meddler
from tests.support import announced, prepared, running, send, slug, stored

# Heroku's router, and others alike, cut a request whose answer has not begun by then.
ROUTER_SECONDS = 30


@dataclass
class Known:
    """A service, and what it knew before anything failed."""

    client: httpx.AsyncClient
    file: dict[str, Any]
    upload: dict[str, Any]
    unwanted: dict[str, Any]


@dataclass
class Faulty(Known):
    """A service whose lines to database and store can fail."""

    database: Line
    store: Line


async def known(client: httpx.AsyncClient, web: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """A file, an upload that has arrived, and one to cancel."""
    file = await stored(client, web)
    upload = await announced(client, b"hello")
    assert (await send(web, upload["upload"], b"hello")).status_code in {200, 201, 204}
    return {"file": file, "upload": upload, "unwanted": await announced(client, b"hello")}


@asynccontextmanager
async def faulty(environ: dict[str, str], web: httpx.AsyncClient) -> AsyncIterator[Faulty]:
    await prepared(environ)
    url, s3 = urlsplit(environ["DATABASE_URL"]), urlsplit(environ["AWS_S3_ENDPOINT_URL"])
    assert url.hostname
    assert url.port
    assert s3.hostname
    assert s3.port
    async with line_to(url.hostname, url.port) as database, line_to(s3.hostname, s3.port) as store:
        netloc = url.netloc.replace(f":{url.port}", f":{database.port}")
        through = {
            "DATABASE_URL": urlunsplit(url._replace(netloc=netloc)),
            "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{store.port}",
            "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
        }
        async with running(load_settings(environ | through)) as client:
            yield Faulty(client, **await known(client, web), database=database, store=store)


Ask = tuple[str, str, Any]


async def every_route(faulty: Known) -> list[Ask]:
    """A request for each operation of the API, about the known file and uploads."""
    document = (await faulty.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    asks: list[Ask] = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            body = None
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                if "$ref" in schema:  # where the body may be left out, it is
                    body = schemas[schema["$ref"].rsplit("/", 1)[1]]["example"]
            upload = faulty.unwanted if method == "delete" else faulty.upload
            known = path.replace("{upload_id}", upload["id"])
            known = known.replace("{file_id}", faulty.file["id"])
            asks.append((method.upper(), known, body))
    presign = {"ids": [faulty.file["id"]]}
    asks.append(("POST", "/v1/files/presign", presign))
    asks.append(("POST", "/v1/files", {"url": faulty.upload["url"]}))
    return asks


async def ask_all(faulty: Known) -> dict[Ask, tuple[httpx.Response, float]]:
    """All at once, as they would come in. Answers, and the seconds that each took."""

    async def ask(method: str, path: str, body: Any) -> tuple[httpx.Response, float]:
        start = time.monotonic()
        response = await faulty.client.request(method, path, json=body, timeout=60)
        return response, time.monotonic() - start

    asks = await every_route(faulty)
    answers = await asyncio.gather(*(ask(*one) for one in asks))
    return {(m, p, str(b)): a for (m, p, b), a in zip(asks, answers, strict=True)}


async def check(faulty: Known, database: bool, store: bool) -> None:
    """Every route answers in time, with a problem where it needs what is down."""
    refused = 0
    for ask, (response, seconds) in (await ask_all(faulty)).items():
        assert seconds < ROUTER_SECONDS, ask
        if ask[1] == "/livez":
            assert response.status_code == 200
        elif ask[1] == "/readyz":
            assert response.status_code == 503
            ready = response.json()
            assert (ready["database"] != "ok") is database, ready
            assert (list(ready["buckets"].values()) != ["ok"]) is store, ready
        elif response.status_code >= 500:
            assert response.status_code == 503, (ask, response.text)
            assert slug(response) in {
                "database-unavailable",
                "examination-under-way",
                "bucket-unavailable",
                "answer-overdue",
            }
            assert int(response.headers["retry-after"]) > 0
            refused += 1
    # Confirm, cancel, remove and store by URL need the bucket; nearly everything the database.
    assert refused >= (10 if database else 3)


async def check_recovered(faulty: Known) -> None:
    """What the failure left behind is finished, by the same process."""
    for _ in range(300):
        ready = await faulty.client.get("/readyz")
        if ready.status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert ready.json()["database"] == "ok"
    response = await faulty.client.get("/v1/files")
    assert response.status_code == 200
    response = await faulty.client.post("/v1/uploads", json=ANNOUNCEMENT)
    assert response.status_code == 201


ANNOUNCEMENT = {"destination": "files", "filename": "a.png", "size": 5}
DOWN = [(True, False), (False, True), (True, True)]


async def test_every_route_answers_in_time_when_nothing_else_does(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """The servers take connections and never say a word: the worst that can happen."""
    assert ANSWER_SECONDS + 3 < ROUTER_SECONDS

    async def one(database: bool, store: bool) -> None:
        async with faulty(environ, web) as service:
            if database:
                service.database.silence()
            if store:
                service.store.silence()
            await check(service, database, store)
            service.database.mend()
            service.store.mend()
            await check_recovered(service)

    async with asyncio.TaskGroup() as at_once:
        for database, store in DOWN:
            at_once.create_task(one(database, store))


@pytest.mark.parametrize(("database", "store"), DOWN)
async def test_what_is_down_is_said_and_recovered_from(
    environ: dict[str, str], web: httpx.AsyncClient, database: bool, store: bool
) -> None:
    async with faulty(environ, web) as service:
        for line, down in ((service.database, database), (service.store, store)):
            if down:
                line.cut()
        await check(service, database, store)
        service.database.mend()
        service.store.mend()
        await check_recovered(service)


async def test_a_store_that_is_overrun_is_not_asked_more_than_twice(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """503 SlowDown, which AWS answers to more requests than a prefix takes."""
    await prepared(environ)
    async with meddler(environ["AWS_S3_ENDPOINT_URL"]) as between:
        through = {
            "AWS_S3_ENDPOINT_URL": between.address,
            "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
        }
        async with running(load_settings(environ | through)) as client:
            service = Known(client, **await known(client, web))
            for call in ("HEAD", "GET", "PUT", "POST", "DELETE", "Create", "ListUploads"):
                between.meddle(call, (503, "SlowDown"), times=10_000)
            await check(service, database=False, store=True)
            del between.seen[:]
            confirm = f"/v1/uploads/{service.upload['id']}/confirm"
            response = await client.post(confirm)
            assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
            assert int(response.headers["retry-after"]) > 0
            assert between.seen == ["HEAD", "HEAD"]
            between.mend()
            await check_recovered(service)
            assert (await client.post(confirm)).status_code == 200
