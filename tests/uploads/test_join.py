"""Completion when the bucket is slow, loses answers or refuses, and when the service is killed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app import completion, resources, uploads
from app.completion import next_look
from app.core.parts import MIB
from app.settings import Settings, load_settings
from app.signer import utc_now
from tests.support.faulty_proxy import Meddler, Rule, meddler
from tests.support.service import owner_of_bucket, prepared, running, served
from tests.support.steps import announced, send, slug

DATA = bytes(range(256)) * (5 * MIB // 256) + b"the end"
DESTINATIONS = {"large": {"method": "multipart", "part_size": 5 * MIB}}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS)})


@pytest.fixture
async def between(settings: Settings, environ: dict[str, str]) -> AsyncIterator[Meddler]:
    async with meddler(environ["AWS_S3_ENDPOINT_URL"]) as between:
        yield between


@pytest.fixture
def meddled(environ: dict[str, str], between: Meddler) -> dict[str, str]:
    """The environment of a service whose own calls go through the meddler; browsers' do not."""
    return environ | {
        "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
        "AWS_S3_ENDPOINT_URL": between.address,
        "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
    }


@pytest.fixture
async def other(meddled: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service."""
    async with running(load_settings(meddled)) as client:
        yield client


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits before it tries again."""
    monkeypatch.setattr(completion, "_RETRY_DELAYS", (0.0, 0.0))


async def confirm_impatiently(
    client: httpx.AsyncClient, upload: dict[str, Any], patience: float = 0.2
) -> httpx.Response:
    """Confirm what has been claimed, with a service that waits for no more than a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(uploads.confirm.__kwdefaults__, "patience", patience)
        return await confirm(client, upload)


async def begin(client: httpx.AsyncClient, upload: dict[str, Any], complete: Rule) -> None:
    """Confirm, and go away once the bucket has been asked: the work goes on."""
    request = asyncio.create_task(confirm(client, upload))
    await asyncio.wait_for(complete.asked.wait(), 120)
    request.cancel()
    await asyncio.wait({request})


async def sent(client: httpx.AsyncClient, web: httpx.AsyncClient) -> dict[str, Any]:
    """An upload whose bytes are all there."""
    upload = await announced(client, DATA, "a.bin", destination="large")
    assert (await send(web, upload["upload"], DATA)).status_code == 200
    return upload


async def confirm(client: httpx.AsyncClient, upload: dict[str, Any]) -> httpx.Response:
    return await client.post(f"/v1/uploads/{upload['id']}/confirm")


async def state(client: httpx.AsyncClient, upload: dict[str, Any]) -> str:
    return str((await client.get(f"/v1/uploads/{upload['id']}")).json()["state"])


async def is_the_file(response: httpx.Response, web: httpx.AsyncClient) -> None:
    assert response.status_code == 200, response.text
    assert (await web.get(response.json()["presigned_url"])).content == DATA


async def until(done: Callable[[], Any]) -> None:
    """Wait for what another does."""
    for _ in range(3000):
        if await done():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not come to pass")


# --- Slow


async def test_what_takes_long_is_accepted_and_goes_on(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    complete = between.meddle("Complete", "before")
    # Long enough for all that comes before the bucket is asked.
    response = await confirm_impatiently(other, upload, patience=3)
    assert complete.asked.is_set()
    assert response.status_code == 202
    assert int(response.headers["retry-after"]) > 0
    assert (response.json()["state"], response.json()["id"]) == ("completing", upload["id"])
    # Asked again, in whatever way, it waits with the others.
    again = await confirm_impatiently(other, upload)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(uploads.confirm_file.__kwdefaults__, "patience", 0.2)
        by_url = await other.post("/v1/files", json={"url": upload["url"]})
    for waiting in (again, by_url):
        assert (waiting.status_code, waiting.json()["state"]) == (202, "completing")
        assert int(waiting.headers["retry-after"]) > 0
    # It is nobody's to cancel, to renew or to read, and all parts have arrived.
    for refused in (
        await other.delete(f"/v1/uploads/{upload['id']}"),
        await other.post(f"/v1/uploads/{upload['id']}/renew"),
        await other.post(f"/v1/uploads/{upload['id']}/parts", json={"part_numbers": [1]}),
    ):
        assert (refused.status_code, slug(refused)) == (409, "upload-not-pending")
        assert refused.json()["state"] == "completing"
    for method in ("GET", "DELETE"):
        assert (await other.request(method, f"/v1/files/{upload['id']}")).status_code == 404
    known = (await other.get(f"/v1/uploads/{upload['id']}/parts")).json()["parts"]
    assert [part["part_number"] for part in known] == [1, 2]
    complete.released.set()
    await until(lambda: is_confirmed(other, upload))
    await is_the_file(await confirm(other, upload), web)
    assert between.seen.count("Complete") == 1


async def is_confirmed(client: httpx.AsyncClient, upload: dict[str, Any]) -> bool:
    return await state(client, upload) == "confirmed"


async def test_it_goes_on_when_the_client_goes_away(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    complete = between.meddle("Complete", "before")
    await begin(other, upload, complete)
    complete.released.set()
    await until(lambda: is_confirmed(other, upload))


async def test_whoever_asks_meanwhile_gets_the_same_file(
    other: httpx.AsyncClient, between: Meddler, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    """In this process and in another."""
    upload = await sent(other, web)
    complete = between.meddle("Complete", "after")
    requests = [asyncio.create_task(confirm(other, upload))]
    await asyncio.wait_for(complete.asked.wait(), 120)
    requests += [asyncio.create_task(confirm(one, upload)) for one in (other, client, client)]
    complete.released.set()
    responses = await asyncio.gather(*requests)
    assert [response.status_code for response in responses] == [200] * 4
    assert len({response.json()["confirmed_at"] for response in responses}) == 1


async def test_the_lease_is_extended_while_the_bucket_works(
    other: httpx.AsyncClient,
    between: Meddler,
    web: httpx.AsyncClient,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(completion, "_EXTEND_EVERY", 0.02)
    upload = await sent(other, web)
    complete = between.meddle("Complete", "before")
    request = asyncio.create_task(confirm(other, upload))
    await asyncio.wait_for(complete.asked.wait(), 120)
    db = await asyncpg.connect(database_url)
    leases = set()

    async def extended() -> bool:
        leases.add(await db.fetchval("SELECT claimed_until FROM files"))
        return len(leases) >= 3

    await until(extended)
    assert None not in leases
    complete.released.set()
    await is_the_file(await request, web)
    assert await db.fetchval("SELECT claimed_until FROM files") is None
    await db.close()


async def test_a_process_that_ends_gives_the_completion_back(
    meddled: dict[str, str],
    between: Meddler,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources, "_DRAIN_SECONDS", 0.1)
    complete = between.meddle("Complete", "before")
    async with running(load_settings(meddled)) as ending:
        upload = await sent(ending, web)
        await begin(ending, upload, complete)
        assert (await confirm_impatiently(ending, upload)).status_code == 202
    assert await state(client, upload) == "completing"
    # At once, without waiting for the end of the lease.
    await is_the_file(await confirm(client, upload), web)


async def test_a_process_that_ends_finishes_what_it_can(
    meddled: dict[str, str],
    between: Meddler,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
) -> None:
    complete = between.meddle("Complete", "before")
    async with running(load_settings(meddled)) as ending:
        upload = await sent(ending, web)
        await begin(ending, upload, complete)
        assert (await confirm_impatiently(ending, upload)).status_code == 202
        asyncio.get_running_loop().call_later(0.1, complete.released.set)
    assert await state(client, upload) == "confirmed"


# --- Failing


@pytest.mark.parametrize(
    "how", ["lose", (200, "InternalError"), (500, "InternalError"), (503, "SlowDown")]
)
async def test_one_failure_is_not_the_end(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient, how: Any
) -> None:
    """Also an error under status 200 (AWS API, CompleteMultipartUpload), and a lost answer."""
    upload = await sent(other, web)
    between.meddle("Complete", how)
    await is_the_file(await confirm(other, upload), web)
    assert between.seen.count("Complete") == 2


@pytest.mark.parametrize("how", ["lose", (200, "InternalError"), (500, "InternalError")])
async def test_an_outcome_that_nobody_knows_is_found_out_later(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient, how: Any
) -> None:
    upload = await sent(other, web)
    between.meddle("Complete", how, times=3)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
    assert await state(other, upload) == "completing"
    assert (await other.delete(f"/v1/uploads/{upload['id']}")).status_code == 409
    await is_the_file(await confirm(other, upload), web)


async def test_a_store_that_forgot_the_upload_is_asked_for_the_object(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient
) -> None:
    """What AWS says to a complete that is repeated because its answer was lost."""
    upload = await sent(other, web)
    between.meddle("Complete", "lose")
    between.meddle("Complete", (404, "NoSuchUpload"))
    await is_the_file(await confirm(other, upload), web)


async def test_a_store_that_is_not_done_yet_ends_no_upload(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient
) -> None:
    """rclone forgets the upload before it has written the object."""
    upload = await sent(other, web)
    between.meddle("Complete", (404, "NoSuchUpload"), times=3)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
    between.meddle("ListParts", (404, "NoSuchUpload"))
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
    assert await state(other, upload) == "completing"
    await is_the_file(await confirm(other, upload), web)


@pytest.mark.parametrize(
    ("said", "status", "problem"),
    [
        ((400, "InvalidPart"), 409, "upload-not-arrived"),
        ((400, "EntityTooSmall"), 409, "upload-not-arrived"),
        ((403, "AccessDenied"), 502, "bucket-refused"),
    ],
)
async def test_what_the_bucket_refuses_is_as_it_was(
    other: httpx.AsyncClient,
    between: Meddler,
    web: httpx.AsyncClient,
    said: Any,
    status: int,
    problem: str,
) -> None:
    upload = await sent(other, web)
    between.meddle("Complete", said)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (status, problem)
    assert await state(other, upload) == "pending"
    again = await sent_again(other, upload, web)
    await is_the_file(await confirm(other, again), web)


async def sent_again(
    client: httpx.AsyncClient, upload: dict[str, Any], web: httpx.AsyncClient
) -> dict[str, Any]:
    renewed = (await client.post(f"/v1/uploads/{upload['id']}/renew")).json()
    assert (await send(web, renewed["upload"], DATA)).status_code == 200
    return renewed


async def test_what_was_refused_can_be_cancelled(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    between.meddle("Complete", (403, "AccessDenied"))
    assert (await confirm(other, upload)).status_code == 502
    assert (await other.delete(f"/v1/uploads/{upload['id']}")).status_code == 204


async def test_parts_that_come_while_they_are_dropped_are_dropped_too(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    # As if a part had come in between: the store still lists some after the first abort.
    between.meddle("Abort", (204, "none"))
    assert (await other.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    assert between.seen.count("Abort") == 2


async def test_a_removal_is_not_confirmed_meanwhile(
    other: httpx.AsyncClient, between: Meddler, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    abort = between.meddle("Abort", "before")
    removal = asyncio.create_task(other.delete(f"/v1/uploads/{upload['id']}"))
    await asyncio.wait_for(abort.asked.wait(), 120)
    response = await confirm(other, upload)
    assert (response.status_code, slug(response)) == (409, "upload-not-pending")
    abort.released.set()
    assert (await removal).status_code == 204
    assert slug(await confirm(other, upload)) == "upload-not-found"


async def test_a_removal_between_the_list_and_the_claim_wins(
    other: httpx.AsyncClient, between: Meddler, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await sent(other, web)
    listing = between.meddle("ListParts", "after")
    request = asyncio.create_task(confirm(other, upload))
    await asyncio.wait_for(listing.asked.wait(), 120)
    assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    listing.released.set()
    response = await request
    assert (response.status_code, slug(response)) == (404, "upload-not-found")
    assert "Complete" not in between.seen


# --- Killed


@pytest.mark.parametrize("how", ["before", "after"])
async def test_killed_while_the_bucket_begins_the_upload(
    meddled: dict[str, str],
    between: Meddler,
    settings: Settings,
    database_url: str,
    web: httpx.AsyncClient,
    tmp_path: Path,
    how: Any,
) -> None:
    """The row stands; what the store made of it is found by the key."""
    create = between.meddle("Create", how)
    async with served(meddled, tmp_path / "log") as service:
        body = {"destination": "large", "filename": "a.bin", "size": len(DATA)}
        request = asyncio.create_task(service.client.post("/v1/uploads", json=body))
        await asyncio.wait_for(create.asked.wait(), 120)
        if how == "after":
            async with owner_of_bucket(settings) as s3:
                await until(lambda: uploads_of(s3, settings))
        await service.kill()
        with pytest.raises(httpx.TransportError):
            await request
    db = await asyncpg.connect(database_url)
    upload = {"id": await db.fetchval("SELECT id FROM files WHERE state = 'pending'")}
    assert await db.fetchval("SELECT store_upload_id FROM files") is None
    await db.close()
    async with running(settings) as client, owner_of_bucket(settings) as s3:
        early = await confirm(client, upload)
        assert (early.status_code, early.json()["missing_parts"]) == (409, [1, 2])
        before = await uploads_of(s3, settings)
        assert len(before) == (1 if how == "after" else 0)
        await sent_again(client, upload, web)
        now = await uploads_of(s3, settings)
        assert len(now) == 1
        assert before in ([], now)
        await is_the_file(await confirm(client, upload), web)
        assert await uploads_of(s3, settings) == []


async def uploads_of(s3: Any, settings: Settings) -> list[str]:
    said = await s3.list_multipart_uploads(Bucket=settings.destinations["large"].bucket)
    return [upload["UploadId"] for upload in said.get("Uploads", [])]


@pytest.mark.parametrize("how", ["before", "after"])
async def test_killed_while_the_bucket_joins_the_parts(
    meddled: dict[str, str],
    between: Meddler,
    settings: Settings,
    web: httpx.AsyncClient,
    tmp_path: Path,
    how: Any,
) -> None:
    complete = between.meddle("Complete", how)
    async with served(meddled, tmp_path / "log") as service:
        upload = await sent(service.client, web)
        request = asyncio.create_task(confirm(service.client, upload))
        await asyncio.wait_for(complete.asked.wait(), 120)
        if how == "after":
            async with owner_of_bucket(settings) as s3:
                await until(lambda: not_uploads_of(s3, settings))
        await service.kill()
        with pytest.raises(httpx.TransportError):
            await request
    async with running(settings) as client:
        # Claimed until the lease ends.
        assert (await confirm_impatiently(client, upload)).status_code == 202
        assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 409
    later = utc_now() + timedelta(seconds=61)
    async with running(settings, clock=lambda: later) as client:
        file = await confirm(client, upload)
        assert (file.status_code, file.json()["state"]) == (200, "confirmed")
    async with running(settings) as client:
        await is_the_file(await confirm(client, upload), web)


async def not_uploads_of(s3: Any, settings: Settings) -> bool:
    return not await uploads_of(s3, settings)


async def test_two_that_begin_the_same_upload_agree_on_one(
    other: httpx.AsyncClient,
    between: Meddler,
    client: httpx.AsyncClient,
    settings: Settings,
    database_url: str,
    web: httpx.AsyncClient,
) -> None:
    """A slow announcement, and somebody who renews it meanwhile."""
    create = between.meddle("Create", "before")
    body = {"destination": "large", "filename": "a.bin", "size": len(DATA)}
    slow = asyncio.create_task(other.post("/v1/uploads", json=body))
    await asyncio.wait_for(create.asked.wait(), 120)
    db = await asyncpg.connect(database_url)
    upload = {"id": await db.fetchval("SELECT id FROM files")}
    await db.close()
    await sent_again(client, upload, web)
    create.released.set()
    assert (await slow).status_code == 201
    async with owner_of_bucket(settings) as s3:
        assert len(await uploads_of(s3, settings)) == 1
    await is_the_file(await confirm(client, upload), web)


def test_whoever_waits_long_looks_seldom() -> None:
    """Sixteen times or so in 20 seconds, and never more than a quarter later than need be."""
    looks, waited = 0, 0.0
    while waited < uploads.PATIENCE:
        pause = next_look(waited)
        assert pause <= max(0.25, waited / 4)
        waited, looks = waited + pause, looks + 1
    assert looks < 25
    assert next_look(3_600) == 2
