"""Confirming: what the bucket is asked, what it may answer, and many callers at once."""

import asyncio
import base64
import hashlib
import urllib.parse
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import pytest

from app.settings.model import Settings, load_settings
from tests.support.service import UNKNOWN_ID, owner_of_bucket, prepared, running
from tests.support.steps import announced, confirm_all, send, slug, stored

LINKS = {"presigned_url", "presigned_url_expires_at"}


@pytest.fixture
async def s3(settings: Settings) -> AsyncIterator[Any]:
    async with owner_of_bucket(settings) as s3:
        yield s3


async def put_otherwise(s3: Any, settings: Settings, upload: dict[str, Any], **change: Any) -> None:
    """Store another object in the upload's place, as only the bucket's owner can."""
    await s3.put_object(
        **{
            "Bucket": settings.destinations["files"].bucket,
            "Key": upload["key"],
            "Body": b"hello",
            "ContentType": upload["content_type"],
            "Metadata": {"claimcheck-id": upload["id"]},
        }
        | change
    )


async def test_a_confirmed_upload_is_a_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await announced(client, b"hello", "Hällo.txt")
    assert (await send(web, upload["upload"], b"hello")).status_code == 201
    response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    file = response.json()
    for name in ("id", "destination", "key", "url", "filename", "content_type", "size"):
        assert file[name] == upload[name], name
    assert file["state"] == "confirmed"
    assert file["etag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert file["version_id"]
    assert (file["checksum_sha256"], file["checksum_verified"]) == (None, False)
    created, confirmed = (datetime.fromisoformat(file[f"{n}_at"]) for n in ("created", "confirmed"))
    assert created < confirmed
    read = await web.get(file["presigned_url"])
    assert (read.status_code, read.content) == (200, b"hello")
    assert (await client.get(f"/v1/uploads/{upload['id']}")).json()["state"] == "confirmed"


async def test_a_checksum_that_the_bucket_reports_is_verified(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    checksum = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    file = await stored(client, web, checksum_sha256=checksum)
    assert (file["checksum_sha256"], file["checksum_verified"]) == (checksum, True)


async def test_the_link_reads_the_confirmed_version(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    file = await stored(client, web)
    await put_otherwise(s3, settings, file, Body=b"evil!")
    fresh = (await client.get(f"/v1/files/{file['id']}")).json()
    for link in (file["presigned_url"], fresh["presigned_url"]):
        assert (await web.get(link)).content == b"hello"
    again = await client.post(f"/v1/uploads/{file['id']}/confirm")
    assert again.json()["version_id"] == file["version_id"]


async def test_an_unknown_upload_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.post(f"/v1/uploads/{UNKNOWN_ID}/confirm")
    assert (response.status_code, slug(response)) == (404, "upload-not-found")


async def test_what_has_not_arrived_can_be_confirmed_later(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await announced(client, b"hello")
    early = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert (early.status_code, slug(early)) == (409, "upload-not-arrived")
    assert early.headers["retry-after"] == "1"
    assert (await client.get(f"/v1/files/{upload['id']}")).status_code == 404
    await send(web, upload["upload"], b"hello")
    assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Body": b"hello, more"}, "has 11 bytes; 5 bytes were announced"),
        ({"ContentType": "text/html"}, "is text/html; text/plain was announced"),
        ({"Metadata": {}}, "not uploaded with the signed instructions"),
        (
            {"Metadata": {"claimcheck-id": UNKNOWN_ID}},
            "not uploaded with the signed instructions",
        ),
        ({"Body": b"hullo", "ChecksumAlgorithm": "SHA256"}, "SHA-256 is not the one"),
    ],
    ids=["size", "type", "no id", "another's id", "checksum"],
)
async def test_what_was_not_announced_is_rejected_for_good(
    client: httpx.AsyncClient, s3: Any, settings: Settings, change: dict[str, Any], reason: str
) -> None:
    checksum = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    upload = await announced(client, b"hello", checksum_sha256=checksum)
    await put_otherwise(s3, settings, upload, **change)
    first = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert (first.status_code, slug(first)) == (422, "upload-rejected")
    assert reason in first.json()["detail"]
    assert first.json()["state"] == "rejected"
    row = (await client.get(f"/v1/uploads/{upload['id']}")).json()
    assert (row["state"], row["reason"]) == ("rejected", first.json()["detail"])
    # It is more, or other, than its client was allowed, so it is not kept.
    bucket = settings.destinations["files"].bucket
    found = await s3.list_object_versions(Bucket=bucket, Prefix=upload["key"])
    assert not {"Versions", "DeleteMarkers"} & found.keys()

    # The right bytes come too late: an answer once given stands.
    await put_otherwise(s3, settings, upload)
    again = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert (again.status_code, again.json()["detail"]) == (422, first.json()["detail"])
    assert (await client.get(f"/v1/files/{upload['id']}")).status_code == 404
    assert slug(await client.post(f"/v1/uploads/{upload['id']}/renew")) == "upload-not-pending"


async def test_a_repeated_confirm_gives_the_same_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    first = await stored(client, web)
    again = (await client.post(f"/v1/uploads/{first['id']}/confirm")).json()
    assert {k: v for k, v in again.items() if k not in LINKS} == {
        k: v for k, v in first.items() if k not in LINKS
    }


async def test_twenty_confirms_at_once_are_one_change(
    client: httpx.AsyncClient, web: httpx.AsyncClient, database_url: str
) -> None:
    upload = await announced(client, b"hello")
    await send(web, upload["upload"], b"hello")
    responses = await asyncio.gather(
        *(client.post(f"/v1/uploads/{upload['id']}/confirm") for _ in range(20))
    )
    assert [response.status_code for response in responses] == [200] * 20
    # confirmed_at, which each call would set to its own time, is among what is compared.
    assert len({repr({**r.json(), **dict.fromkeys(LINKS)}) for r in responses}) == 1
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT state, confirmed_at FROM files")
    await connection.close()
    assert [row["state"] for row in rows] == ["confirmed"]
    assert rows[0]["confirmed_at"].isoformat() == responses[0].json()["confirmed_at"].replace(
        "Z", "+00:00"
    )


async def test_confirm_racing_cancel_has_one_winner(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    async def after(seconds: float, request: Awaitable[httpx.Response]) -> httpx.Response:
        await asyncio.sleep(seconds)
        return await request

    async def race(head_start: float) -> str:
        upload = await announced(client, b"hello")
        await send(web, upload["upload"], b"hello")
        confirm = client.post(f"/v1/uploads/{upload['id']}/confirm")
        cancel = client.delete(f"/v1/uploads/{upload['id']}")
        if abs(head_start) == 1:  # the one is over before the other begins
            first, second = (confirm, cancel) if head_start > 0 else (cancel, confirm)
            ended = await first, await second
            confirmed, cancelled = ended if head_start > 0 else ended[::-1]
        else:
            confirmed, cancelled = await asyncio.gather(
                after(-head_start, confirm), after(head_start, cancel)
            )
        read = await client.get(f"/v1/files/{upload['id']}")
        if confirmed.status_code == 200:
            assert slug(cancelled) == "upload-not-pending"
            assert (await web.get(read.json()["presigned_url"])).content == b"hello"
            return "confirmed"
        assert cancelled.status_code == 204
        # The object may be gone already, or the row on its way out, or out.
        assert slug(confirmed) in {"upload-not-arrived", "upload-not-pending", "upload-not-found"}
        assert read.status_code == 404
        return "cancelled"

    ends = [await race(delay) for delay in (-1, -0.02, -0.01, 0, 0.01, 0.02, 1)]
    assert (ends[0], ends[-1]) == ("cancelled", "confirmed")


async def test_a_bucket_that_does_not_answer_changes_nothing(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    environ: dict[str, str],
) -> None:
    upload = await announced(client, b"hello")
    await send(web, upload["upload"], b"hello")
    endpoint = environ["AWS_S3_ENDPOINT_URL"]
    unreachable = environ | {
        "AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_S3_PUBLIC_ENDPOINT_URL": endpoint,
    }
    async with running(load_settings(unreachable)) as other:
        response = await other.post(f"/v1/uploads/{upload['id']}/confirm")
        assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
        assert int(response.headers["retry-after"]) > 0
    refused = environ | {"AWS_SECRET_ACCESS_KEY": "not the secret key".replace(" ", "-")}
    async with running(load_settings(refused)) as other:
        response = await other.post(f"/v1/uploads/{upload['id']}/confirm")
        assert (response.status_code, slug(response)) == (502, "bucket-refused")
        assert "AWS_SECRET_ACCESS_KEY" in response.json()["detail"]
    assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 200


async def test_a_database_that_does_not_answer_is_a_problem(environ: dict[str, str]) -> None:
    down = environ | {"DATABASE_URL": "postgres://user:hunter2@127.0.0.1:1/name"}
    async with running(load_settings(down)) as client:
        response = await client.post(f"/v1/uploads/{UNKNOWN_ID}/confirm")
    assert (response.status_code, slug(response)) == (503, "database-unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert "hunter2" not in response.text


async def test_confirming_by_url_or_key_may_be_repeated(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await announced(client, b"hello")
    by_url = {"url": upload["url"]}
    by_key = {"key": upload["key"], "destination": "files"}
    for body in (by_url, by_key):
        assert slug(await client.post("/v1/files", json=body)) == "upload-not-arrived"
    await send(web, upload["upload"], b"hello")
    answers = [await client.post("/v1/files", json=body) for body in (by_url, by_key, by_url)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.json()["id"] for answer in answers} == {upload["id"]}
    assert len({answer.json()["confirmed_at"] for answer in answers}) == 1


async def test_a_url_is_known_in_every_spelling(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    endpoint = environ["AWS_S3_ENDPOINT_URL"].replace("127.0.0.1", "localhost")
    settings = await prepared(environ | {"AWS_S3_ENDPOINT_URL": endpoint})
    bucket = settings.destinations["files"].bucket
    host = endpoint.removeprefix("http://")
    async with running(settings) as client:
        file = await stored(client, web, filename="a b.txt")
        for url in (
            file["url"],
            file["presigned_url"],
            f"{file['url']}#fragment",
            f"http://{bucket}.{host}/{file['key']}",
            f"HTTP://{host.upper()}/{bucket}/{file['key']}",
            file["url"].replace("a-b.txt", "%61%2Db%2Etxt"),
            file["url"].replace("files/", "files%2F"),
        ):
            response = await client.post("/v1/files", json={"url": url})
            assert (response.status_code, response.json().get("id")) == (200, file["id"]), url


async def test_aws_urls_in_both_styles(environ: dict[str, str], database_url: str) -> None:
    region = "eu-central-1"
    environ = environ | {"AWS_S3_REGION_NAME": region, "AWS_STORAGE_BUCKET_NAME": "our-bucket"}
    del environ["AWS_S3_ENDPOINT_URL"]
    async with running(load_settings(environ)) as client:
        upload = await announced(client, b"x")
        key = upload["key"]
        await confirm_all(database_url)
        assert upload["url"] == f"https://s3.{region}.amazonaws.com/our-bucket/{key}"
        for url in (
            upload["url"],
            f"https://our-bucket.s3.{region}.amazonaws.com/{key}",
            f"https://our-bucket.s3.amazonaws.com/{key}?X-Amz-Signature=00",
            f"https://our-bucket.s3.dualstack.{region}.amazonaws.com/{key}",
            f"https://s3.amazonaws.com/our-bucket/{key}",
        ):
            response = await client.post("/v1/files", json={"url": url})
            assert (response.status_code, response.json().get("id")) == (200, upload["id"]), url
        for url in (
            f"https://our-bucket.s3.{region}.amazonaws.com.evil.example/{key}",
            f"https://evil.example/our-bucket/{key}",
            f"https://our-bucket.evil.example/{key}",
            f"https://their-bucket.s3.{region}.amazonaws.com/{key}",
            f"https://user@our-bucket.s3.{region}.amazonaws.com/{key}",
            f"http://169.254.169.254/our-bucket/{key}",
            f"s3://our-bucket/{key}",
            f"https://s3.{region}.amazonaws.com/our-bucket/",
            f"https://s3.{region}.amazonaws.com/our-bucket/a/../{key}",
            f"https://s3.{region}.amazonaws.com/our-bucket/%00",
            f"https://s3.{region}.amazonaws.com/our-bucket/%ff",
            "not a URL",
            "",
        ):
            response = await client.post("/v1/files", json={"url": url})
            assert (response.status_code, slug(response)) == (422, "url-not-ours"), url


async def test_a_url_that_is_ours_but_unknown_is_not_found(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    destination = settings.destinations["files"]
    base = f"{destination.stored_endpoint}/{destination.bucket}"
    for key in ("files/nothing.png", "😀", "a b+c%&='\"<>;${filename}", "files//x/", "é" * 500):
        by_url = {"url": f"{base}/{urllib.parse.quote(key)}"}
        for body in (by_url, {"key": key, "destination": "files"}):
            response = await client.post("/v1/files", json=body)
            assert (response.status_code, slug(response)) == (404, "upload-not-found"), body
    response = await client.post("/v1/files", json={"key": "x", "destination": "nowhere"})
    assert (response.status_code, slug(response)) == (422, "unknown-destination")


async def test_a_changed_endpoint_orphans_nothing(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    endpoint = environ["AWS_S3_ENDPOINT_URL"]
    old = await prepared(
        environ | {"AWS_S3_ENDPOINT_URL": endpoint.replace("127.0.0.1", "localhost")}
    )
    async with running(old) as client:
        file = await stored(client, web)
    assert file["url"].startswith("http://localhost:")
    async with running(load_settings(environ)) as client:
        response = await client.post("/v1/files", json={"url": file["url"]})
        links = await client.post("/v1/files/presign", json={"urls": [file["url"]]})
        assert response.status_code == 200
        assert response.json()["url"] == file["url"]
        for link in (
            response.json()["presigned_url"],
            links.json()["items"][0]["presigned_url"],
        ):
            assert link.startswith(f"{endpoint}/")
            assert (await web.get(link)).content == b"hello"
        # The new endpoint's spelling of the same object is known as well.
        moved = file["url"].replace("localhost", "127.0.0.1")
        assert (await client.post("/v1/files", json={"url": moved})).json()["id"] == file["id"]


async def test_settings_that_change_meanwhile_reject_nothing(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    name = "CLAIMCHECK_DESTINATIONS__{}__{}".format
    before = environ | {name("IMAGES", "MAX_SIZE"): "1000", name("CLIPS", "MAX_SIZE"): "1000"}
    async with running(await prepared(before)) as client:
        uploads = [
            await announced(client, b"x" * 500, destination=where) for where in ("images", "clips")
        ]
        for upload in uploads:
            assert (await send(web, upload["upload"], b"x" * 500)).status_code == 201
    after = environ | {name("IMAGES", "MAX_SIZE"): "100"}
    async with running(load_settings(after)) as client:
        for upload in uploads:
            response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
            assert response.status_code == 200, response.text


async def test_a_bucket_that_is_gone_is_not_a_file_that_has_not_come(
    environ: dict[str, str],
) -> None:
    await prepared(environ)
    missing = {"AWS_STORAGE_BUCKET_NAME": f"{environ['AWS_STORAGE_BUCKET_NAME']}-gone"}
    async with running(load_settings(environ | missing)) as client:
        upload = await announced(client, b"hello")
        response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        assert (response.status_code, slug(response)) == (502, "bucket-refused")


async def test_an_acl_goes_with_the_form_and_with_the_put(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    name = "CLAIMCHECK_DESTINATIONS__{}__{}".format
    more = {
        name("FORMS", "ACL"): "private",
        name("PUTS", "ACL"): "private",
        name("PUTS", "METHOD"): "put",
    }
    async with running(await prepared(environ | more)) as client:
        form = await announced(client, b"hello", destination="forms")
        put = await announced(client, b"hello", destination="puts")
        assert form["upload"]["fields"]["acl"] == "private"
        assert put["upload"]["headers"]["x-amz-acl"] == "private"
        for upload in (form, put):
            assert (await send(web, upload["upload"], b"hello")).is_success
            confirmed = await client.post(f"/v1/uploads/{upload['id']}/confirm")
            assert confirmed.status_code == 200
