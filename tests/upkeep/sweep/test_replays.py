"""The sweep takes the versions that replays have made of confirmed files' keys, and no others."""

import secrets
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.errors import BucketUnavailable
from app.settings.model import Settings
from app.store.objects import ObjectHandle
from tests.support.service import Store, owner_of_bucket, prepared, running
from tests.support.steps import announced, send
from tests.support.stores import rgw
from tests.support.upkeep import swept
from tests.upkeep.sweep.steps import DATA, Bucket, parts_sent

# Past the longest life of instructions, a day for requests under way, and more.
LATE = timedelta(days=9)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"


async def replayed(
    client: httpx.AsyncClient, web: httpx.AsyncClient, data: bytes, name: str, destination: str
) -> dict[str, Any]:
    """A confirmed file whose instructions were used before that, and twice again after it."""
    upload = await announced(client, data, name, destination=destination)
    for _ in range(2):
        await send(web, upload["upload"], data)
    file = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    for _ in range(2):
        # A `PUT` is refused by its `If-None-Match`.
        again = await send(web, upload["upload"], data)
        assert again.is_success is (upload["upload"]["method"] == "POST")
    return dict(file.raise_for_status().json())


async def test_replays_go_and_the_file_stays(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, bucket: Bucket
) -> None:
    files = [
        await replayed(client, web, b"hello", "a.txt", "files"),
        await replayed(client, web, PNG, "a.png", "images"),
    ]
    theirs = files[0]["key"]
    async with owner_of_bucket(settings) as s3:
        await s3.put_object(Bucket=bucket.name, Key=theirs, Body=b"another writer's")
    assert [await bucket.versions(file["key"]) for file in files] == [5, 1]
    assert await swept(settings) == {}
    assert await swept(settings, LATE) == {"replayed": 3}
    assert [await bucket.versions(file["key"]) for file in files] == [2, 1]
    # Each is looked at once.
    assert await swept(settings, 2 * LATE) == {}
    for file in files:
        fresh = (await client.get(f"/v1/files/{file['id']}")).json()
        assert fresh["version_id"] == file["version_id"]
        assert (await web.get(fresh["presigned_url"])).content in {b"hello", PNG}
    assert "replay" not in (await client.get("/metrics")).text


@pytest.mark.parametrize("what", ["file", "rejected", "released"])
async def test_an_upload_in_parts_that_nobody_knows_goes(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    what: str,
) -> None:
    """One that was begun for a file when the store's answer was lost, and begun again."""
    data, name = PNG + DATA[len(PNG) :], "a.pdf" if what == "rejected" else "a.png"
    upload = await parts_sent(client, web, data, 2, name)
    async with owner_of_bucket(settings) as s3:
        await s3.create_multipart_upload(Bucket=bucket.name, Key=upload["key"])
    confirmed = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert confirmed.status_code == (422 if what == "rejected" else 200)
    if what == "released":
        assert (await client.delete(f"/v1/files/{upload['id']}")).is_success
    await swept(settings)
    assert await bucket.uploads() == 1
    await swept(settings, LATE)
    assert await bucket.uploads() == 0
    assert (await client.get(f"/v1/files/{upload['id']}")).is_success is (what == "file")
    assert await bucket.versions(upload["key"]) == 1


@pytest.mark.parametrize("is_ours", [True, False])
async def test_an_upload_in_parts_of_another_program_stays(
    environ: dict[str, str],
    gateway: rgw.Rgw,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    is_ours: bool,
) -> None:
    """One that was begun too late to be of the file, whose object is the user's again."""
    keys = gateway.owner
    store = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
    settings = await prepared(environ | store.environ(f"replays-{secrets.token_hex(6)}"))
    async with running(settings) as client, owner_of_bucket(settings) as s3:
        bucket = Bucket(s3, settings)
        upload = await parts_sent(client, web, DATA, 2)
        assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).is_success
        assert (await client.delete(f"/v1/files/{upload['id']}")).is_success
        await swept(settings)
        await s3.create_multipart_upload(Bucket=bucket.name, Key=upload["key"])
        if not is_ours:
            # Its last URL, of an hour, had expired a day and a minute before.
            await db.execute("UPDATE files SET expires_at = expires_at - interval '25h 1min'")
        await swept(settings, LATE)
        assert await bucket.uploads() == (0 if is_ours else 1)


async def test_the_upload_that_became_the_object_stays_where_it_is_still_listed(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To abort it would delete the object, where that is its parts."""
    upload = await parts_sent(client, web, DATA, 2)
    assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).is_success
    own = await db.fetchval("SELECT store_upload_id FROM files")
    aborted: list[str] = []

    async def still_listed(_: ObjectHandle, **__: Any) -> list[str]:
        return [own, "another"]

    async def abort(_: ObjectHandle, upload_id: str) -> None:
        aborted.append(upload_id)

    monkeypatch.setattr(ObjectHandle, "find_uploads", still_listed)
    monkeypatch.setattr(ObjectHandle, "abort_upload", abort)
    await swept(settings, LATE)
    assert aborted == ["another"]


async def test_a_store_that_fails_is_asked_again(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = await replayed(client, web, b"hello", "a.txt", "files")
    assert await swept(settings, LATE - timedelta(days=2)) == {}

    async def fails(_: ObjectHandle) -> list[str | None]:
        raise BucketUnavailable("The bucket did not answer.")

    due = timedelta(days=8, minutes=5)
    with monkeypatch.context() as failing:
        failing.setattr(ObjectHandle, "find_versions", fails)
        assert await swept(settings, due) == {"failed": 1}
    assert await swept(settings, due) == {"replayed": 3}
    assert await bucket.versions(file["key"]) == 1


async def test_where_sweeps_ran_before_old_files_are_left_to_reconcile(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    file = await replayed(client, web, b"hello", "a.txt", "files")
    await swept(settings)
    await db.execute("DELETE FROM sweep_totals WHERE outcome <> 'run'")
    assert await swept(settings, LATE) == {}
    assert await bucket.versions(file["key"]) == 4
