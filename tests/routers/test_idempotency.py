"""Idempotency-Key: a POST that is repeated makes nothing twice, whatever becomes of its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.deadlines import KEEP_IDEMPOTENCY_KEYS
from app.core.parts import MIB
from app.settings.model import Settings
from tests.support.service import Clock, bearer, key_for, prepared, running, served
from tests.support.steps import minted, send, slug, stored
from tests.support.upkeep import swept

UPLOAD = {"destination": "files", "filename": "a.txt", "size": 5}
LARGE = UPLOAD | {"filename": "a.bin", "size": 6 * MIB}
SESSION = {"destination": "files", "max_files": 3}
REQUEST = {"destination": "files", "note": "Yours, please."}
KEY = {"name": "back end", "scopes": ["files:read"]}
WEBHOOK = {"url": "https://www.example.com/hooks"}
ROUTES = {
    "/v1/uploads": UPLOAD,
    "/v1/uploads/batch": {"uploads": [UPLOAD, UPLOAD]},
    "/v1/upload-sessions": SESSION,
    "/v1/requests": REQUEST,
    "/v1/api-keys": KEY,
    "/v1/webhooks": WEBHOOK,
}
# And the member that has the secret.
WITH_SECRETS = {
    "/v1/upload-sessions": "token",
    "/v1/requests": "link",
    "/v1/api-keys": "token",
    "/v1/webhooks": "secret",
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    parts = {
        "CLAIMCHECK_AUTH": "keys",
        "CLAIMCHECK_DESTINATIONS__FILES__PART_SIZE": str(5 * MIB),
        "CLAIMCHECK_DESTINATIONS__FILES__MULTIPART_THRESHOLD": str(5 * MIB),
        "CLAIMCHECK_DESTINATIONS__FILES__EXTENSIONS": "txt, bin",
    }
    return await prepared(environ | parts)


@pytest.fixture
async def client(settings: Settings, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings, clock=clock) as client:
        client.headers.update(await key_for(settings, *SCOPES))
        yield client


SCOPES = (
    *("admin", "uploads:write", "files:read", "sessions:mint", "webhooks:manage"),
    "requests:manage",
)


def key(value: str = "one", **more: str) -> dict[str, str]:
    return {"Idempotency-Key": f'"{value}"', **more}


async def count(db: asyncpg.Connection, table: str) -> int:
    found: int = await db.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def counts(db: asyncpg.Connection) -> list[int]:
    return [
        await count(db, table)
        for table in ("files", "upload_sessions", "file_requests", "api_keys", "webhooks")
    ]


@asynccontextmanager
async def held_up(url: str, waiting: int) -> AsyncIterator[None]:
    """Nobody stores an idempotency key, until so many wait to and the block has been left."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE idempotency_keys IN SHARE MODE")
            yield
            await waits(connection, waiting)
    finally:
        await connection.close()


async def waits(db: asyncpg.Connection, number: int) -> None:
    """Until so many wait to store a key."""
    while number > await db.fetchval(  # noqa: ASYNC110
        "SELECT count(*) FROM pg_locks "
        "WHERE NOT granted AND relation = 'idempotency_keys'::regclass"
    ):
        await asyncio.sleep(0.02)


async def test_a_repeat_gives_the_same_upload_with_fresh_instructions(
    client: httpx.AsyncClient, web: httpx.AsyncClient, clock: Clock, db: asyncpg.Connection
) -> None:
    first = await client.post("/v1/uploads", json=UPLOAD, headers=key())
    clock.ahead = timedelta(minutes=10)
    again = await client.post("/v1/uploads", json=UPLOAD, headers=key())
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["location"] == again.headers["location"]
    mine, repeated = first.json(), again.json()
    assert repeated["key"] == mine["key"]
    assert repeated["upload"]["expires_at"] > mine["upload"]["expires_at"]
    assert repeated["upload"]["fields"]["policy"] != mine["upload"]["fields"]["policy"]
    assert await count(db, "files") == 1
    clock.ahead = timedelta()
    assert (await send(web, repeated["upload"], b"hello")).is_success
    # The answer to the announcement comes so late that the bytes have become a file.
    assert (await client.post(f"/v1/uploads/{mine['id']}/confirm")).is_success
    late = await client.post("/v1/uploads", json=UPLOAD, headers=key())
    assert late.status_code == 200
    assert (late.json()["id"], late.json()["upload"]) == (mine["id"], None)
    assert late.json()["state"] == "confirmed"
    assert await count(db, "files") == 1


async def test_parts_are_signed_again(
    client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    first = (await client.post("/v1/uploads", json=LARGE, headers=key())).json()
    # As if the service had died before it noted what the store calls the upload.
    await db.execute("UPDATE files SET store_upload_id = NULL")
    again = (await client.post("/v1/uploads", json=LARGE, headers=key())).json()
    assert again["id"] == first["id"]
    assert await send(web, first["upload"] | {"parts": again["upload"]["parts"]}, bytes(6 * MIB))
    confirmed = await client.post(f"/v1/uploads/{first['id']}/confirm")
    assert confirmed.status_code == 200, confirmed.text
    assert await count(db, "files") == 1


async def test_a_batch_is_repeated_item_by_item(
    client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    wanted = [UPLOAD, {}, UPLOAD, UPLOAD | {"filename": "a.exe"}, LARGE]
    body = {"uploads": wanted}
    first, again = [
        (await client.post("/v1/uploads/batch", json=body, headers=key())).json()["uploads"]
        for _ in range(2)
    ]
    assert ["problem" in item for item in first] == [False, True, False, True, False]
    assert [item.get("id") for item in again] == [item.get("id") for item in first]
    assert [item.get("problem", {}).get("type") for item in again] == [
        item.get("problem", {}).get("type") for item in first
    ]
    assert len({item["id"] for item in first if "id" in item}) == await count(db, "files") == 3
    # One that could not be stored then is stored now.
    await db.execute("DELETE FROM idempotency_keys WHERE number = 2")
    third = await client.post("/v1/uploads/batch", json=body, headers=key())
    ids = [item.get("id") for item in third.json()["uploads"]]
    assert [new == old for new, old in zip(ids, [i.get("id") for i in first], strict=True)] == [
        *(True, True, False, True, True)
    ]
    assert await count(db, "files") == 4


async def test_for_an_upload_that_is_gone_nothing_is_signed(
    client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    upload = (await client.post("/v1/uploads", json=UPLOAD, headers=key())).json()
    assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    again = await client.post("/v1/uploads", json=UPLOAD, headers=key())
    assert (again.status_code, slug(again)) == (409, "already-made")
    assert again.json()["id"] == upload["id"]
    batch = {"uploads": [UPLOAD]}
    [item] = (await client.post("/v1/uploads/batch", json=batch, headers=key("two"))).json()[
        "uploads"
    ]
    await db.execute("UPDATE files SET state = 'rejected', reason = 'too large'")
    [again] = (await client.post("/v1/uploads/batch", json=batch, headers=key("two"))).json()[
        "uploads"
    ]
    assert again["problem"]["type"].endswith(":already-made")
    assert again["problem"]["id"] == item["id"]


@pytest.mark.parametrize("path", WITH_SECRETS)
async def test_a_secret_is_shown_once(
    client: httpx.AsyncClient, db: asyncpg.Connection, path: str
) -> None:
    first = await client.post(path, json=ROUTES[path], headers=key("my own"))
    before = await counts(db)
    again = await client.post(path, json=ROUTES[path], headers=key("my own"))
    assert (first.status_code, again.status_code, slug(again)) == (201, 409, "already-made")
    assert again.json()["id"] == first.json()["id"]
    secret = first.json()[WITH_SECRETS[path]]
    assert secret not in again.text
    assert await counts(db) == before
    rows = await db.fetch("SELECT * FROM idempotency_keys")
    assert "my own" not in str(rows)
    assert secret not in str(rows)


@pytest.mark.parametrize("path", ROUTES)
async def test_a_key_of_another_request_is_refused(
    client: httpx.AsyncClient, db: asyncpg.Connection, path: str
) -> None:
    assert (await client.post(path, json=ROUTES[path], headers=key())).is_success
    before = await counts(db)
    changed = {
        "/v1/uploads": UPLOAD | {"size": 6},
        "/v1/uploads/batch": {"uploads": [UPLOAD]},
        "/v1/upload-sessions": SESSION | {"max_files": 4},
        "/v1/requests": REQUEST | {"max_files": 4},
        "/v1/api-keys": KEY | {"name": "other"},
        "/v1/webhooks": WEBHOOK | {"types": ["file.confirmed"]},
    }
    for other, body in {**ROUTES, path: changed[path]}.items():
        answer = await client.post(other, json=body, headers=key())
        assert (answer.status_code, slug(answer)) == (422, "idempotency-key-reused"), other
    assert await counts(db) == before


async def test_keys_are_their_senders_own(
    client: httpx.AsyncClient, settings: Settings, db: asyncpg.Connection
) -> None:
    session = bearer((await minted(client, max_files=5))["token"])
    others = [session, await key_for(settings, *SCOPES), await key_for(settings, *SCOPES)]
    ids = {
        (await client.post("/v1/uploads", json=UPLOAD, headers=key() | other)).json()["id"]
        for other in (*others, *others)
    }
    assert len(ids) == await count(db, "files") == 3


async def test_a_session_pays_once(client: httpx.AsyncClient) -> None:
    session = await minted(client, max_files=2)
    headers = key() | bearer(session["token"])
    first, again = [
        (await client.post("/v1/uploads", json=UPLOAD, headers=headers)).json() for _ in range(2)
    ]
    assert first["id"] == again["id"]
    used = (await client.get(f"/v1/upload-sessions/{session['id']}")).json()["used_files"]
    assert used == 1
    # A request that made nothing leaves its key free.
    large = UPLOAD | {"size": 10**12}
    for _ in range(2):
        refused = await client.post("/v1/uploads", json=large, headers=headers | key("two"))
        assert refused.status_code >= 400
        assert slug(refused) != "already-made"
    assert (await client.post("/v1/uploads", json=UPLOAD, headers=headers | key("two"))).is_success


@pytest.mark.parametrize("path", ROUTES)
async def test_of_requests_at_the_same_time_one_is_first(
    client: httpx.AsyncClient,
    settings: Settings,
    database_url: str,
    db: asyncpg.Connection,
    path: str,
) -> None:
    before = await counts(db)
    async with running(settings) as replica:
        replica.headers.update(client.headers)
        async with held_up(database_url, waiting=2):
            requests = [
                asyncio.create_task(one.post(path, json=ROUTES[path], headers=key()))
                for one in (client, replica)
            ]
        answers = sorted(await asyncio.gather(*requests), key=lambda answer: answer.status_code)
    assert [answer.is_success for answer in answers] == [True, False]
    assert (answers[1].status_code, slug(answers[1])) == (409, "request-under-way")
    assert answers[1].headers["retry-after"] == "1"
    made = [new - old for new, old in zip(await counts(db), before, strict=True)]
    assert sum(made) == (2 if path.endswith("batch") else 1)


async def test_of_many_in_one_process_one_is_first(
    client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    same = [client.post("/v1/uploads", json=UPLOAD, headers=key()) for _ in range(12)]
    others = [client.post("/v1/uploads", json=UPLOAD, headers=key(f"{n}")) for n in range(12)]
    plain = [client.post("/v1/uploads", json=UPLOAD) for _ in range(4)]
    answers = await asyncio.gather(*same, *others, *plain)
    assert {answer.status_code for answer in answers[12:]} == {201}
    ids = {answer.json()["id"] for answer in answers[:12] if answer.is_success}
    assert len(ids) == 1
    assert {slug(answer) for answer in answers[:12] if not answer.is_success} <= {
        "request-under-way"
    }
    again = await client.post("/v1/uploads", json=UPLOAD, headers=key())
    assert {again.json()["id"]} == ids
    assert await count(db, "files") == 1 + 12 + 4


async def test_killed_in_between_it_has_made_both_or_neither(
    environ: dict[str, str],
    settings: Settings,
    database_url: str,
    db: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    headers = key() | await key_for(settings, *SCOPES)
    before = await counts(db)
    environ = environ | {"CLAIMCHECK_AUTH": "keys"}
    async with served(environ, tmp_path / "log") as service:
        # Uploads and a batch of them wait as one.
        async with held_up(database_url, waiting=5):
            requests = [
                asyncio.create_task(
                    service.client.post(path, json=body, headers=headers | key(path))
                )
                for path, body in ROUTES.items()
            ]
            await waits(db, 5)
            await service.kill()
        lost = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(answer, httpx.TransportError) for answer in lost)
    # The database goes on for a moment with what it was told.
    while await db.fetchval(  # noqa: ASYNC110
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'claimcheck' "
        "AND datname = current_database() AND state <> 'idle'"
    ):
        await asyncio.sleep(0.02)
    async with running(settings) as client:
        for path, body in ROUTES.items():
            answer = await client.post(path, json=body, headers=headers | key(path))
            assert answer.is_success, answer.text
    made = [new - old for new, old in zip(await counts(db), before, strict=True)]
    assert made == [1 + 2, 1, 1, 1, 1]


async def test_without_a_key_nobody_asks_for_any(
    client: httpx.AsyncClient, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
        for path, body in ROUTES.items():
            for _ in range(2):
                assert (await client.post(path, json=body)).is_success
    await connection.close()


async def test_after_a_day_a_key_is_free(
    client: httpx.AsyncClient, settings: Settings, clock: Clock, db: asyncpg.Connection
) -> None:
    first = (await client.post("/v1/uploads", json=UPLOAD, headers=key())).json()
    clock.ahead = KEEP_IDEMPOTENCY_KEYS - timedelta(minutes=1)
    again = await client.post("/v1/uploads", json=UPLOAD, headers=key())
    assert again.json()["id"] == first["id"]
    clock.ahead = KEEP_IDEMPOTENCY_KEYS + timedelta(minutes=1)
    other = await client.post("/v1/uploads", json=UPLOAD | {"size": 4}, headers=key())
    assert other.status_code == 201, other.text
    assert other.json()["id"] != first["id"]
    assert await count(db, "idempotency_keys") == 1
    await swept(settings, KEEP_IDEMPOTENCY_KEYS)
    assert await count(db, "idempotency_keys") == 1
    await swept(settings, KEEP_IDEMPOTENCY_KEYS * 2 + timedelta(minutes=2))
    assert await count(db, "idempotency_keys") == 0


@pytest.mark.parametrize("path", ROUTES)
async def test_what_is_no_key_is_refused(client: httpx.AsyncClient, path: str) -> None:
    for value in ("", '""', '"a", "b"', "a b", "x" * 256):
        answer = await client.post(path, json=ROUTES[path], headers={"Idempotency-Key": value})
        assert (answer.status_code, slug(answer)) == (422, "validation-failed"), value
        assert answer.json()["errors"][0]["loc"] == ["header", "Idempotency-Key"]


async def test_same_bytes_make_no_upload_and_take_no_key(
    environ: dict[str, str], web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    environ = environ | {"CLAIMCHECK_DESTINATIONS__FILES__ALLOW_EXISTENCE_OPTIMIZATION": "true"}
    sha256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    async with running(await prepared(environ)) as client:
        file = await stored(client, web, checksum_sha256=sha256)
        body: dict[str, Any] = UPLOAD | {"checksum_sha256": sha256}
        for _ in range(2):
            answer = await client.post("/v1/uploads", json=body, headers=key())
            assert (answer.status_code, answer.json()["id"]) == (200, file["id"]), answer.text
    assert await count(db, "idempotency_keys") == 0
