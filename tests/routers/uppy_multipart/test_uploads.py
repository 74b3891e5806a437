"""Uppy's uploads in parts, over HTTP, in the words of both majors of its client."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.settings.model import Settings
from tests.routers.uppy_multipart.steps import DOOR, METADATA, MIB, Uppy, explained
from tests.support.service import UNKNOWN_ID


@pytest.mark.parametrize("major", [5, 6])
async def test_a_file_in_parts(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings, major: int
) -> None:
    upload = Uppy(client, web, major)
    created = await upload.create(metadata=METADATA[major])
    bucket = settings.destinations["files"].bucket
    assert set(created) == {"key", "uploadId", "bucket"}
    assert UUID(created["uploadId"])
    assert created["bucket"] == bucket
    assert created["key"].startswith("files/")
    assert await upload.listed() == []

    signed = (await upload.sign(1)).json()
    assert set(signed) == {"method", "url", "expires"}
    assert signed["method"] == "PUT"
    assert 3590 <= signed["expires"] <= 3600
    await upload.send(2, b"end")
    await upload.send(1, b"x" * 5 * MIB)
    parts = await upload.listed()
    assert [(p["PartNumber"], p["Size"]) for p in parts] == [(1, 5 * MIB), (2, 3)]
    assert all(p["ETag"].strip('"') == upload.etags[p["PartNumber"]].strip('"') for p in parts)

    # A client that went on after a reload has quotes around some of them, and not in order.
    response = await upload.complete(
        {"parts": [{"PartNumber": "2", "ETag": None}, {"PartNumber": 1, "ETag": '"x"'}]}
    )
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"location", "key", "bucket"}
    assert (answer["key"], answer["bucket"]) == (upload.key, bucket)
    file = (await client.get(f"/v1/files/{upload.upload_id}")).json()
    assert answer["location"] == file["url"]
    assert (file["state"], file["size"]) == ("confirmed", 5 * MIB + 3)
    assert (file["filename"], file["content_type"]) == ("日本.bin", "text/plain")
    # What only Uppy says, and what is no string, number or boolean, is not the file's.
    assert (file["metadata"], file["path"]) == ({5: {}, 6: {"n": 5}}[major], None)
    assert (await web.get(file["presigned_url"])).content == b"x" * 5 * MIB + b"end"

    # The answer was lost, or Uppy 5 has lost patience: nothing is lost here.
    await upload.abort()
    assert (await upload.complete()).json() == answer
    assert [p["PartNumber"] for p in await upload.listed()] == [1, 2]
    assert all(p["ETag"] for p in await upload.listed())
    assert explained(await upload.sign(3), 409) == "upload-not-pending"
    assert await upload.state() == "confirmed"


async def test_the_destination_is_in_the_metadata(upload: Uppy, client: httpx.AsyncClient) -> None:
    created = await upload.create("/uppy//s3/multipart", metadata={"destination": "empty"})
    assert created["key"].startswith("empty/")
    for metadata in (None, [], "x", {"destination": None}, {}):
        body = {"filename": "a", "type": None, "metadata": metadata}
        response = await client.post("/uppy/s3/multipart", json=body)
        assert explained(response, 422) == "unknown-destination"


@pytest.mark.parametrize("size", [None, 3])
async def test_metadata_and_path_arrive(
    upload: Uppy, client: httpx.AsyncClient, size: int | None
) -> None:
    said = {"album": "spring", "stars": 5, "raw": True, "size": size, "name": "x", "none": None}
    await upload.create(metadata={**said, "relativePath": "/Spring/日本.bin"})
    await upload.send(1, b"abc")
    assert (await upload.complete()).status_code == 200
    file = (await client.get(f"/v1/files/{upload.upload_id}")).json()
    assert file["metadata"] == {"album": "spring", "stars": 5, "raw": True}
    assert file["path"] == "Spring/日本.bin"


async def test_too_much_metadata_is_refused_in_words(client: httpx.AsyncClient) -> None:
    for metadata in ({"a": "x" * 2048}, {str(n): n for n in range(21)}):
        body = {"filename": "a.bin", "metadata": metadata}
        response = await client.post(DOOR, json=body)
        assert explained(response, 422) == "validation-failed"
        assert "allowedMetaFields" in response.json()["detail"]


async def test_an_empty_file_is_one_empty_part(upload: Uppy, client: httpx.AsyncClient) -> None:
    await upload.create("/uppy/to/empty/s3/multipart")
    await upload.send(1, b"")
    assert (await upload.complete()).status_code == 200
    assert (await client.get(f"/v1/files/{upload.upload_id}")).json()["size"] == 0


async def test_parts_are_held_to_the_md5_that_a_page_says(
    upload: Uppy, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    """Uppy itself says none, and is told why it is refused."""
    await upload.create("/uppy/to/held/s3/multipart")
    assert explained(await upload.sign(1), 422) == "checksum-required"
    batch = await upload.ask("GET", f"{upload.path}/batch?partNumbers=1,2")
    assert explained(batch, 422) == "checksum-required"
    wrong = await upload.ask("GET", f"{upload.path}/1?checksum_md5=short")
    assert explained(wrong, 422) == "validation-failed"
    md5 = base64.b64encode(hashlib.md5(b"hello", usedforsecurity=False).digest()).decode()
    answer = await upload.ask("GET", f"{upload.path}/1?checksum_md5={quote(md5)}")
    signed = answer.json()
    assert signed["headers"] == {"content-md5": md5}
    assert (await web.put(signed["url"], content=b"hello")).status_code == 403
    sent = await web.put(signed["url"], content=b"hello", headers=signed["headers"])
    upload.etags[1] = sent.headers["etag"]
    assert (await upload.complete()).status_code == 200
    file = (await client.get(f"/v1/files/{upload.upload_id}")).json()
    assert file["parts_verified"] is True


@pytest.mark.parametrize("given", [True, False])
async def test_a_form_is_announced_with_the_md5_in_the_metadata(
    client: httpx.AsyncClient, web: httpx.AsyncClient, *, given: bool
) -> None:
    md5 = base64.b64encode(hashlib.md5(b"hello", usedforsecurity=False).digest()).decode()
    query = {"filename": "a.txt", "metadata[checksum_md5]": md5 if given else "null"}
    answer = await client.get("/uppy/to/held/s3/params", params=query)
    if not given:
        assert explained(answer, 422) == "checksum-required"
        return
    form = answer.json()
    await web.post(form["url"], data=form["fields"], files={"file": ("blob", b"hello")})
    key = {"destination": "held", "key": form["fields"]["key"]}
    file = (await client.post("/v1/files", json=key)).json()
    assert (file["parts_verified"], file["metadata"]) == (True, {})


async def test_a_batch_of_urls(upload: Uppy, web: httpx.AsyncClient) -> None:
    await upload.create()
    response = await upload.ask("GET", f"{upload.path}/batch?partNumbers=1,10000,2")
    urls = response.json()["presignedUrls"]
    assert set(urls) == {"1", "2", "10000"}
    assert (await web.put(urls["2"], content=b"x")).status_code == 200
    for wrong, problem in (
        ("", "validation-failed"),
        ("1,,2", "validation-failed"),
        ("1,a", "validation-failed"),
        ("0,1", "unknown-part"),
        ("1,10001", "unknown-part"),
    ):
        response = await upload.ask("GET", f"{upload.path}/batch?partNumbers={wrong}")
        assert explained(response, 422) == problem, wrong


@pytest.mark.parametrize("number", [0, 10_001, -1, 10**30, "x", "1.5"])
async def test_part_numbers_that_there_are_not(upload: Uppy, number: int | str) -> None:
    await upload.create()
    code = explained(await upload.sign(number), 422)
    assert code == ("unknown-part" if isinstance(number, int) else "validation-failed")
    body = {"parts": [{"PartNumber": number, "ETag": "x"}]}
    assert explained(await upload.complete(body), 422) == "validation-failed"
    assert await upload.state() == "pending"


@pytest.mark.parametrize(
    "body",
    [
        {"parts": []},
        {"parts": None},
        {"parts": [{}]},
        {"parts": [{"PartNumber": 2}]},
        {"parts": [{"PartNumber": 1}, {"PartNumber": 3}]},
        {"nothing": 1},
        [],
    ],
)
async def test_part_lists_that_make_no_file(upload: Uppy, body: Any) -> None:
    await upload.create()
    await upload.send(1, b"x")
    response = await upload.ask("POST", f"{upload.path}/complete", json=body)
    assert explained(response, 422) == "validation-failed"
    assert await upload.state() == "pending"


async def test_missing_parts_can_be_sent_and_completed(
    upload: Uppy, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    await upload.create()
    await upload.send(1, b"a" * 5 * MIB)
    # The last one is missing: without Uppy's own count a shorter file would come of it.
    claimed = {"parts": [{"PartNumber": n, "ETag": "x"} for n in (1, 2)]}
    response = await upload.complete(claimed)
    assert explained(response, 409) == "upload-not-arrived"
    assert response.json()["missing_parts"] == [2]
    await upload.send(2, b"b")
    # Left over from an attempt that was cut otherwise: no part of the file.
    await upload.send(3, b"c")
    assert (await upload.complete(claimed)).status_code == 200
    file = (await client.get(f"/v1/files/{upload.upload_id}")).json()
    assert (await web.get(file["presigned_url"])).content == b"a" * 5 * MIB + b"b"


@pytest.mark.parametrize(("sizes", "door"), [([5, 5, 3], DOOR), ([0], DOOR)])
async def test_a_sum_out_of_range_is_refused_and_aborted(
    upload: Uppy, web: httpx.AsyncClient, sizes: list[int], door: str
) -> None:
    await upload.create(door)
    for number, size in enumerate(sizes, 1):
        await upload.send(number, b"x" * size * MIB)
    url = (await upload.sign(1)).json()["url"]
    assert explained(await upload.complete(), 422) == "upload-rejected"
    assert await upload.state() == "rejected"
    assert (await web.put(url, content=b"x")).status_code == 404  # the bucket has dropped it
    assert explained(await upload.complete(), 422) == "upload-rejected"


async def test_abort_drops_the_parts(upload: Uppy, web: httpx.AsyncClient) -> None:
    await upload.create()
    await upload.send(1, b"x")
    url = (await upload.sign(1)).json()["url"]
    await upload.abort()
    await upload.abort()
    assert await upload.state() == "gone"
    assert (await web.put(url, content=b"x")).status_code == 404
    assert explained(await upload.complete(), 404) == "upload-not-found"
    assert explained(await upload.sign(1), 404) == "upload-not-found"


def every_call(upload: Uppy) -> list[tuple[str, str]]:
    return [
        ("GET", f"{upload.path}/1"),
        ("GET", f"{upload.path}/batch?partNumbers=1"),
        ("GET", upload.path),
        ("POST", f"{upload.path}/complete"),
    ]


async def test_nobody_gets_at_anothers_upload(
    upload: Uppy, database_url: str, web: httpx.AsyncClient
) -> None:
    await upload.create()
    await upload.send(1, b"x")
    url = (await upload.sign(1)).json()["url"]
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE files SET tenant = 'somebody else'")
    for method, path in every_call(upload):
        body = upload.parts() if method == "POST" else None
        # Whatever key is echoed.
        for key in (upload.key, "files/other"):
            response = await upload.ask(method, path, json=body, key=key)
            assert explained(response, 404) == "upload-not-found", path
    await upload.abort()
    assert await connection.fetchval("SELECT state FROM files") == "pending"
    await connection.close()
    assert (await web.put(url, content=b"x")).status_code == 200  # nothing was dropped


async def test_a_key_that_is_not_the_uploads_is_refused(
    upload: Uppy, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    other = Uppy(client, web)
    await other.create()
    await upload.create()
    await upload.send(1, b"x")
    for method, path in [*every_call(upload), ("DELETE", upload.path)]:
        body = upload.parts() if method == "POST" else None
        response = await upload.ask(method, path, json=body, key=other.key)
        assert explained(response, 404) == "upload-not-found", path
    assert await upload.state() == "pending"
    assert (await upload.complete()).status_code == 200
    assert await other.state() == "pending"


async def test_unknown_and_foreign_ids(upload: Uppy) -> None:
    upload.upload_id, upload.key = UNKNOWN_ID, "k"
    upload.etags[1] = "x"
    for method, path in every_call(upload):
        response = await upload.ask(method, path, json=upload.parts())
        assert explained(response, 404) == "upload-not-found"
    await upload.abort()
    # Such as S3's own, from another server.
    upload.upload_id = "2~ab"
    for method, path in [*every_call(upload), ("DELETE", upload.path)]:
        response = await upload.ask(method, path, json=upload.parts())
        assert explained(response, 422) == "validation-failed"


async def test_a_body_of_ten_thousand_parts_is_read(upload: Uppy) -> None:
    await upload.create()
    part = {"ETag": f'"{"0123456789abcdef" * 8}"'}
    body = {"parts": [{"PartNumber": n, **part} for n in range(1, 10_001)]}
    assert len(json.dumps(body)) > 1.5 * MIB
    response = await upload.complete(body)
    assert explained(response, 409) == "upload-not-arrived"
    body["parts"].append({"PartNumber": 1})
    assert explained(await upload.complete(body), 422) == "validation-failed"
    body["parts"][0]["ETag"] = "x" * 1024 * 1024
    assert explained(await upload.complete(body), 413) == "request-too-large"
