"""Database and bucket that are down or silent: what is said, and that it is recovered from."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from app.access import api_keys
from app.core.principal import Scope
from app.db import connections
from app.routers import service
from app.settings.model import load_settings
from tests.support.faults import Line, line_to
from tests.support.faulty_proxy import faulty_proxy
from tests.support.service import key_for, prepared, running
from tests.support.steps import announced, minted, send, slug, stored
from tests.support.unhurried import LONG, SERVED, as_served

# Heroku's router, and others alike, cut a request whose answer has not begun by then.
ROUTER_SECONDS = 30


# So that everything there is can be asked for.
EVERY: Final = {
    "CLAIMCHECK_AUTH": "keys",
    "CLAIMCHECK_SECRET_KEY": secrets.token_urlsafe(32),
    "CLAIMCHECK_METRICS_TOKEN": "scrape-" + secrets.token_hex(16),
    "CLAIMCHECK_DESTINATIONS__FILES__ALLOW_CLIENT_KEYS": "true",
    "CLAIMCHECK_RECORDS__PRODUCT__MANUAL__DESTINATION": "files",
    "CLAIMCHECK_QUOTA__OWNER__FILES": "1000",
    "CLAIMCHECK_QUOTA__TENANT__FILES": "1000",
}
LARGE: Final = {"destination": "files", "filename": "a.bin", "size": 1 << 30}
UPPY: Final = {"filename": "a.txt", "type": "text/plain", "metadata": {}}
# What answers without a database: keys that were seen a moment ago are remembered, and a key is no
# link of a request.
NO_DATABASE: Final = frozenset(
    {
        *("GET /livez", "GET /readyz", "GET /metrics", "GET /v1/destinations"),
        *("GET /v1/capabilities", "GET /v1/requests/open"),
        *("POST /v1/requests/open", "PATCH /v1/requests/open"),
    }
)
NEED_STORE: Final = frozenset(
    {
        "DELETE /v1/files/{file_id}?object=delete",
        "DELETE /v1/uploads/{upload_id}",
        "POST /uppy/to/files/s3/multipart",
        "POST /v1/files (arrived)",
        "POST /v1/upload-url",
        "POST /v1/uploads (large)",
        "POST /v1/uploads/{upload_id}/confirm",
    }
)


@pytest.fixture(autouse=True)
def on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: keys are remembered still."""
    monkeypatch.setattr(api_keys, "STALENESS", timedelta(minutes=10))


@dataclass
class Known:
    """A service, and what it knew before anything failed."""

    client: httpx.AsyncClient
    file: dict[str, Any]
    spare: dict[str, Any]
    upload: dict[str, Any]
    arrived: dict[str, Any]
    unwanted: dict[str, Any]
    session_id: str
    key_id: str
    webhook_id: str
    request_id: str


@dataclass
class Faulty(Known):
    """A service whose lines to database and store can fail."""

    database: Line
    store: Line


@asynccontextmanager
async def known(
    environ: dict[str, str], through: dict[str, str], web: httpx.AsyncClient
) -> AsyncIterator[dict[str, Any]]:
    """A service behind lines, which has files, uploads that have arrived, and some to take back."""
    whole = await prepared(environ | EVERY)
    key = await key_for(whole, *Scope)

    async def arrived() -> dict[str, Any]:
        upload = await announced(client, b"hello")
        assert (await send(web, upload["upload"], b"hello")).status_code in {200, 201, 204}
        return upload

    async with running(load_settings(environ | EVERY | through)) as client:
        client.headers.update(key)
        body = {"name": "unwanted", "scopes": ["files:read"]}
        made = await client.post("/v1/api-keys", json=body)
        assert made.status_code == 201, made.text
        told = await client.post("/v1/webhooks", json={"url": "https://hooks.example.com/a"})
        assert told.status_code == 201, told.text
        request = {"destination": "files", "note": "Send them."}
        wanted = await client.post("/v1/requests", json=request)
        assert wanted.status_code == 201, wanted.text
        await client.get("/openapi.json")  # made at the first request, which holds up all others
        yield {
            "client": client,
            "file": await stored(client, web),
            "spare": await stored(client, web),
            "upload": await arrived(),
            "arrived": await arrived(),
            "unwanted": await announced(client, b"hello"),
            "session_id": (await minted(client))["id"],
            "key_id": made.json()["id"],
            "webhook_id": told.json()["id"],
            "request_id": wanted.json()["id"],
        }


@asynccontextmanager
async def faulty(environ: dict[str, str], web: httpx.AsyncClient) -> AsyncIterator[Faulty]:
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
        async with known(environ, through, web) as found:
            yield Faulty(**found, database=database, store=store)


class Ask(NamedTuple):
    """A request; `name` is its method and its route, and a word where that is not enough."""

    name: str
    path: str
    body: Any = None
    headers: dict[str, str] | None = None

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]


async def every_route(of: Known) -> list[Ask]:
    """A request for each operation of the API, and what else is asked for, about what is known."""
    document = (await of.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    values = {
        "file_id": of.file["id"],
        "session_id": of.session_id,
        "key_id": of.key_id,
        "webhook_id": of.webhook_id,
        "request_id": of.request_id,
        "record_type": "product",
        "record_id": "42",
        "field": "manual",
    }
    real = {
        "POST /v1/files/presign": {"ids": [of.file["id"]]},
        "POST /v1/files": {"url": of.file["url"]},
        "POST /v1/upload-url": {"object_key": f"files/{secrets.token_hex(6)}.txt"},
        "PUT /v1/records/{record_type}/{record_id}/{field}": {"file_id": of.file["id"]},
    }
    asks: list[Ask] = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name, body = f"{method.upper()} {path}", None
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                if "$ref" in schema:  # where the body may be left out, it is
                    body = schemas[schema["$ref"].rsplit("/", 1)[1]]["example"]
            upload = of.unwanted if method == "delete" else of.upload
            where = path.format(**values, upload_id=upload["id"])
            if name == "GET /v1/records/{record_type}":
                where += "?ids=42"
            asks.append(Ask(name, where, real.get(name, body)))
    delete = "?object=delete"
    asks += [
        Ask(f"DELETE /v1/files/{{file_id}}{delete}", f"/v1/files/{of.spare['id']}{delete}"),
        Ask("POST /v1/files (arrived)", "/v1/files", {"url": of.arrived["url"]}),
        Ask("POST /v1/uploads (large)", "/v1/uploads", LARGE),
        Ask("GET /uppy/to/files/s3/params", "/uppy/to/files/s3/params?filename=a.txt"),
        Ask("POST /uppy/to/files/s3/multipart", "/uppy/to/files/s3/multipart", UPPY),
    ]
    scrape = {"Authorization": f"Bearer {EVERY['CLAIMCHECK_METRICS_TOKEN']}"}
    asks.append(Ask("GET /metrics", "/metrics", headers=scrape))
    return asks


async def ask_all(of: Known) -> list[tuple[Ask, httpx.Response, float]]:
    """All at once, as they would come in. Answers, and the seconds that each took; without those
    in which the machine stood still.
    """
    now = 0.0

    async def tick() -> None:
        nonlocal now
        while True:
            await asyncio.sleep(0.1)
            now += 0.1

    async def answered(ask: Ask) -> tuple[Ask, httpx.Response, float]:
        start = now
        response = await of.client.request(
            ask.method, ask.path, json=ask.body, headers=ask.headers, timeout=60
        )
        return ask, response, now - start

    asks = await every_route(of)
    ticking = asyncio.create_task(tick())
    try:
        return await asyncio.gather(*map(answered, asks))
    finally:
        ticking.cancel()


async def check(of: Known, database: bool, store: bool) -> None:
    """Every route answers in time: with a problem where it needs what is down, and else not."""
    answers = await ask_all(of)
    refused = {ask.name for ask, response, _ in answers if response.status_code >= 500}
    for ask, response, seconds in answers:
        assert seconds < ROUTER_SECONDS, ask
        if ask.name == "GET /readyz":
            assert response.status_code == 503
            ready = response.json()
            assert (ready["database"] != "ok") is database, ready
            assert (set(ready["buckets"].values()) != {"ok"}) is store, ready
        elif response.status_code >= 500:
            assert response.status_code == 503, (ask, response.text)
            assert int(response.headers["retry-after"]) > 0
            assert slug(response) in {
                "database-unavailable",
                "examination-under-way",
                "bucket-unavailable",
                "answer-overdue",
            }
        else:
            assert response.status_code not in {401, 403}, (ask, response.text)
    names = {ask.name for ask, _, _ in answers}
    assert names > NO_DATABASE | NEED_STORE
    must = (names - NO_DATABASE if database else set()) | (NEED_STORE if store else set())
    assert refused - {"GET /readyz", "GET /v1/capabilities"} == must


async def check_recovered(faulty: Known) -> None:
    """Work that the failure left behind is finished, by the same process."""
    for _ in range(600):
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
    environ: dict[str, str], web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The servers take connections and never say a word: the worst that can happen."""
    assert SERVED["app.http.middleware.ANSWER_SECONDS"] + 3 < ROUTER_SECONDS
    as_served(monkeypatch)
    # What is up has time to say so, however busy the machine is: a store, to /readyz; a database,
    # a connection for each request.
    monkeypatch.setattr(service, "READY_SECONDS", 20)
    unhurried = {"CLAIMCHECK_DATABASE_POOL_SIZE": "100"}

    async def one(faulty: Faulty, database: bool, store: bool) -> None:
        if database:
            faulty.database.silence()
        if store:
            faulty.store.silence()
        await check(faulty, database, store)
        faulty.database.mend()
        faulty.store.mend()
        await check_recovered(faulty)

    async with AsyncExitStack() as stack:
        services = []
        for database, _ in DOWN:
            with monkeypatch.context() as patch:
                if not database:
                    patch.setattr(connections, "CONNECT_SECONDS", LONG)
                    patch.setattr(connections, "STATEMENT_SECONDS", LONG)
                more = {} if database else unhurried
                services.append(await stack.enter_async_context(faulty(environ | more, web)))
        async with asyncio.TaskGroup() as at_once:
            for each, (database, store) in zip(services, DOWN, strict=True):
                at_once.create_task(one(each, database, store))


@pytest.mark.parametrize(("database", "store"), DOWN)
async def test_what_is_down_is_said_and_recovered_from(
    environ: dict[str, str], web: httpx.AsyncClient, database: bool, store: bool
) -> None:
    async with faulty(environ, web) as cut:
        for line, down in ((cut.database, database), (cut.store, store)):
            if down:
                line.cut()
        await check(cut, database, store)
        cut.database.mend()
        cut.store.mend()
        await check_recovered(cut)


async def test_a_store_that_is_overrun_is_not_asked_more_than_twice(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """503 SlowDown, which AWS answers to more requests than a prefix takes."""
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        through = {
            "AWS_S3_ENDPOINT_URL": proxy.address,
            "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
        }
        async with known(environ, through, web) as found:
            overrun = Known(**found)
            client = overrun.client
            for call in ("HEAD", "GET", "PUT", "POST", "DELETE", "Create", "ListUploads"):
                proxy.disturb(call, (503, "SlowDown"), times=10_000)
            await check(overrun, database=False, store=True)
            del proxy.seen[:]
            confirm = f"/v1/uploads/{overrun.upload['id']}/confirm"
            response = await client.post(confirm)
            assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
            assert int(response.headers["retry-after"]) > 0
            assert proxy.seen == ["GET", "GET"]
            proxy.mend()
            await check_recovered(overrun)
            assert (await client.post(confirm)).status_code == 200
