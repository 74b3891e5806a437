"""The ways out: cancelled uploads, released files, removed objects, and removals cut short."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.runtime.resources import open_resources
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from app.uploads.remove import delete_object
from tests.support.faults import Fault, faulty
from tests.support.faulty_proxy import faulty_proxy
from tests.support.rows import new_file
from tests.support.service import UNKNOWN_ID, owner_of_bucket, running
from tests.support.steps import announced, send, slug, stored


@pytest.fixture
async def s3(settings: Settings) -> AsyncIterator[Any]:
    async with owner_of_bucket(settings) as s3:
        yield s3


async def versions(s3: Any, settings: Settings, key: str) -> list[str]:
    """The ids of the key's versions and delete markers."""
    bucket = settings.destinations["files"].bucket
    listing = await s3.list_object_versions(Bucket=bucket, Prefix=key)
    entries = listing.get("Versions", []) + listing.get("DeleteMarkers", [])
    return [entry["VersionId"] for entry in entries if entry["Key"] == key]


async def overwrite(s3: Any, settings: Settings, key: str) -> None:
    bucket = settings.destinations["files"].bucket
    await s3.put_object(Bucket=bucket, Key=key, Body=b"another version")


async def state(database_url: str, file_id: str) -> str:
    connection = await asyncpg.connect(database_url)
    found = await connection.fetchval("SELECT state FROM files WHERE id = $1", file_id)
    await connection.close()
    return str(found)


async def test_a_released_file_is_gone_and_its_object_stays(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    database_url: str,
) -> None:
    file = await stored(client, web)
    for _ in range(2):
        assert (await client.delete(f"/v1/files/{file['id']}")).status_code == 204
    assert await state(database_url, file["id"]) == "released"
    assert len(await versions(s3, settings, file["key"])) == 1
    assert slug(await client.get(f"/v1/files/{file['id']}")) == "file-not-found"
    assert slug(await client.get(f"/v1/uploads/{file['id']}")) == "upload-not-found"
    assert slug(await client.post(f"/v1/uploads/{file['id']}/confirm")) == "upload-not-found"
    assert slug(await client.post("/v1/files", json={"url": file["url"]})) == "upload-not-found"
    assert slug(await client.delete(f"/v1/uploads/{file['id']}")) == "upload-not-found"
    assert (await client.get("/v1/files")).json()["items"] == []
    signed = await client.post("/v1/files/presign", json={"ids": [file["id"]]})
    assert list(signed.json()["items"][0]) == ["problem"]
    # The record is gone, and with it the say over the object: no 204 for what is not done.
    late = await client.delete(f"/v1/files/{file['id']}", params={"object": "delete"})
    assert (late.status_code, slug(late)) == (404, "file-not-found")
    assert len(await versions(s3, settings, file["key"])) == 1


async def test_a_removed_file_leaves_no_version(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    database_url: str,
) -> None:
    file = await stored(client, web)
    for _ in range(2):
        await overwrite(s3, settings, file["key"])
    bucket = settings.destinations["files"].bucket
    await s3.delete_object(Bucket=bucket, Key=file["key"])  # leaves a delete marker
    await overwrite(s3, settings, f"{file['key']}.other")
    assert len(await versions(s3, settings, file["key"])) == 4
    assert (await web.get(file["presigned_url"])).content == b"hello"

    for _ in range(2):
        gone = await client.delete(f"/v1/files/{file['id']}", params={"object": "delete"})
        assert gone.status_code == 204
    assert await versions(s3, settings, file["key"]) == []
    assert len(await versions(s3, settings, f"{file['key']}.other")) == 1
    assert (await web.get(file["presigned_url"])).status_code == 404
    assert await state(database_url, file["id"]) == "removed"
    assert slug(await client.get(f"/v1/files/{file['id']}")) == "file-not-found"


async def test_what_is_not_a_file_cannot_be_deleted_as_one(client: httpx.AsyncClient) -> None:
    upload = await announced(client, b"x")
    for file_id in (upload["id"], UNKNOWN_ID):
        for query in ({}, {"object": "keep"}, {"object": "delete"}):
            response = await client.delete(f"/v1/files/{file_id}", params=query)
            assert (response.status_code, slug(response)) == (404, "file-not-found")
    response = await client.delete(f"/v1/files/{UNKNOWN_ID}", params={"object": "burn"})
    assert (response.status_code, slug(response)) == (422, "validation-failed")
    assert (await client.get(f"/v1/uploads/{upload['id']}")).json()["state"] == "pending"


async def test_a_cancelled_upload_is_gone_with_its_bytes(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    database_url: str,
) -> None:
    upload = await announced(client, b"hello")
    await send(web, upload["upload"], b"hello")
    for _ in range(2):
        assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    assert await versions(s3, settings, upload["key"]) == []
    assert await state(database_url, upload["id"]) == "removed"
    assert (await client.get(f"/v1/uploads/{upload['id']}")).status_code == 404
    # The form still works until it ends; what it brings is never a file.
    assert (await send(web, upload["upload"], b"hello")).is_success
    for path in ("confirm", "renew"):
        response = await client.post(f"/v1/uploads/{upload['id']}/{path}")
        assert (response.status_code, slug(response)) == (404, "upload-not-found")
    assert (await client.delete(f"/v1/uploads/{UNKNOWN_ID}")).status_code == 404


async def test_a_rejected_upload_can_be_cancelled_and_a_file_cannot(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    upload = await announced(client, b"hello")
    await overwrite(s3, settings, upload["key"])
    assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 422
    assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    assert await versions(s3, settings, upload["key"]) == []

    file = await stored(client, web)
    response = await client.delete(f"/v1/uploads/{file['id']}")
    assert (response.status_code, slug(response)) == (409, "upload-not-pending")
    assert response.json()["state"] == "confirmed"
    assert (await web.get(file["presigned_url"])).content == b"hello"


async def test_a_removal_that_fails_in_the_middle_is_finished_later(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    environ: dict[str, str],
    database_url: str,
) -> None:
    file = await stored(client, web)
    for _ in range(2):
        await overwrite(s3, settings, file["key"])
    endpoint, fault = environ["AWS_S3_ENDPOINT_URL"], Fault(deletes_left=1)
    async with faulty(endpoint, fault) as address:
        through = {"AWS_S3_ENDPOINT_URL": address, "AWS_S3_PUBLIC_ENDPOINT_URL": endpoint}
        async with running(load_settings(environ | through)) as unlucky:
            path = f"/v1/files/{file['id']}?object=delete"
            response = await unlucky.delete(path)
            assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
            assert int(response.headers["retry-after"]) > 0
            assert len(await versions(s3, settings, file["key"])) == 2
            # Half a file is none.
            assert await state(database_url, file["id"]) == "removing"
            assert (await unlucky.get(f"/v1/files/{file['id']}")).status_code == 404
            # The failure gave its claim back, so nobody waits for the lease.
            fault.deletes_left = 1_000
            assert (await unlucky.delete(path)).status_code == 204
    assert await versions(s3, settings, file["key"]) == []
    assert await state(database_url, file["id"]) == "removed"


async def test_one_worker_at_a_time(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    settings: Settings,
    environ: dict[str, str],
    database_url: str,
) -> None:
    file = await stored(client, web)
    endpoint = environ["AWS_S3_ENDPOINT_URL"]
    fault = Fault(hold=asyncio.Event(), asked=asyncio.Event())
    assert fault.hold is not None
    assert fault.asked is not None
    path = f"/v1/files/{file['id']}?object=delete"
    async with faulty(endpoint, fault) as address:
        through = {"AWS_S3_ENDPOINT_URL": address, "AWS_S3_PUBLIC_ENDPOINT_URL": endpoint}
        async with running(load_settings(environ | through)) as slow:
            removal = asyncio.create_task(slow.delete(path))
            await asyncio.wait_for(fault.asked.wait(), 120)
            for request in (
                client.delete(path),
                client.delete(f"/v1/files/{file['id']}"),
                client.delete(f"/v1/uploads/{file['id']}"),
            ):
                response = await request
                assert (response.status_code, slug(response)) == (409, "removal-under-way")
                assert int(response.headers["retry-after"]) > 0
            assert slug(await client.get(f"/v1/files/{file['id']}")) == "file-not-found"
            confirmed = await client.post(f"/v1/uploads/{file['id']}/confirm")
            assert (confirmed.status_code, slug(confirmed)) == (409, "upload-not-pending")

            # After the lease another worker takes over, and the slow one does no harm.
            later = utc_now() + timedelta(seconds=61)
            async with running(settings, clock=lambda: later) as other:
                assert (await other.delete(path)).status_code == 204
            assert await state(database_url, file["id"]) == "removed"
            fault.hold.set()
            assert (await removal).status_code == 204
    assert await state(database_url, file["id"]) == "removed"


@pytest.mark.usefixtures("settings")  # which make the bucket
async def test_a_bucket_is_not_asked_for_again_with_every_key(environ: dict[str, str]) -> None:
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        behind = load_settings(environ | {"AWS_S3_ENDPOINT_URL": proxy.address})
        async with open_resources(behind) as res:
            none = res.object_at(behind.destinations["files"], "files/none")
            for _ in range(3):
                assert await none.head() is None
            assert proxy.seen == ["HEAD"] * 4
            await none.delete()
            assert proxy.seen[4:] == ["GET"]


@pytest.mark.parametrize("ours", [True, False])
async def test_at_a_shared_key_also_a_store_without_versions_keeps_what_is_not_ours(
    settings: Settings, environ: dict[str, str], s3: Any, ours: bool
) -> None:
    bucket = settings.destinations["files"].bucket
    file = new_file(destination="files", bucket=bucket, key="files/shared", size=None)
    metadata = {"claimcheck-id": str(file.id if ours else UNKNOWN_ID)}
    await s3.put_object(Bucket=bucket, Key=file.key, Body=b"1", Metadata=metadata)
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        proxy.disturb("GET", (501, "NotImplemented"), times=10)
        behind = load_settings(environ | {"AWS_S3_ENDPOINT_URL": proxy.address})
        async with open_resources(behind) as res:
            await delete_object(res, file)
    assert proxy.seen.count("DELETE") == (1 if ours else 0)


@pytest.mark.parametrize(
    ("inner", "calls"),
    [
        ("", ["GET", "HEAD", "DELETE"]),
        (
            "<Version><Key>files/there</Key><VersionId>7</VersionId></Version>",
            ["GET", "DELETE versionId=7"],
        ),
    ],
    ids=["objects", "versions"],
)
async def test_a_store_that_answers_with_another_list(
    environ: dict[str, str], inner: str, calls: list[str]
) -> None:
    """One of objects where versions were asked for, or of versions but without its markers."""
    listed = (
        f"<ListBucketResult><IsTruncated>false</IsTruncated>{inner}</ListBucketResult>".encode()
    )
    seen: list[str] = []
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target = head.split(" ")[:2]
        seen.append(method)
        asked.append(f"{method} {target.partition('?')[2]}" if method == "DELETE" else method)
        body = listed if seen[-1] == "GET" else b""
        length = len(body) if seen[-1] == "GET" else 5
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        if seen[-1] == "DELETE":
            answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        writer.write(answer.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        other = load_settings(environ | {"AWS_S3_ENDPOINT_URL": address})
        async with open_resources(other) as res:
            await res.object_at(other.destinations["files"], "files/there").delete()
    assert [call.strip() for call in asked] == calls
