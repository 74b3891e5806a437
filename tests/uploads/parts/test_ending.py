"""Multipart uploads on the embedded store: confirmed or cancelled."""

import asyncio
from typing import Any

import httpx

from app.settings.model import Settings
from tests.support.steps import send, slug
from tests.uploads.parts.steps import DATA, PART, confirm, sign, start_upload, under_way


async def test_missing_parts_are_named(client: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    upload = await start_upload(client)
    nothing = await confirm(client, upload)
    assert (nothing.status_code, slug(nothing)) == (409, "upload-not-arrived")
    assert nothing.json()["missing_parts"] == [1, 2, 3]
    await web.put(upload["upload"]["parts"][1]["url"], content=DATA[PART : 2 * PART])
    some = await confirm(client, upload)
    assert (some.status_code, some.json()["missing_parts"]) == (409, [1, 3])
    assert "1, 3" in some.json()["detail"]
    await send(web, upload["upload"], DATA)
    file = (await confirm(client, upload)).json()
    assert (await web.get(file["presigned_url"])).content == DATA


async def test_what_is_missing_of_ten_thousand_parts_is_a_short_list(
    client: httpx.AsyncClient,
) -> None:
    body = {"destination": "large", "filename": "a.bin", "size": 10**13}
    upload = (await client.post("/v1/uploads", json=body)).json()
    problem = (await confirm(client, upload)).json()
    assert problem["missing_count"] == upload["upload"]["part_count"] > 9000
    assert problem["missing_parts"] == list(range(1, 101))
    assert len(problem["detail"]) < 200


async def test_a_part_of_another_size_is_missing(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    """Only the bucket's owner can send one: the length is signed."""
    upload = await start_upload(client)
    await send(web, upload["upload"], DATA)
    [upload_id] = await under_way(s3, settings)
    where = {"Bucket": settings.destinations["large"].bucket, "Key": upload["key"]}
    wrong = b"x" * (PART + 1)
    await s3.upload_part(**where, UploadId=upload_id, PartNumber=2, Body=wrong)
    await s3.upload_part(**where, UploadId=upload_id, PartNumber=4, Body=b"beyond the end")
    response = await confirm(client, upload)
    assert (response.status_code, response.json()["missing_parts"]) == (409, [2])
    await send(web, upload["upload"], DATA)
    file = (await confirm(client, upload)).json()
    assert (await web.get(file["presigned_url"])).content == DATA


async def test_twenty_confirms_at_once_give_one_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    upload = await start_upload(client)
    await send(web, upload["upload"], DATA)
    responses = await asyncio.gather(*(confirm(client, upload) for _ in range(20)))
    assert [response.status_code for response in responses] == [200] * 20
    assert len({response.json()["confirmed_at"] for response in responses}) == 1
    where = {"Bucket": settings.destinations["large"].bucket, "Prefix": upload["key"]}
    versions = (await s3.list_object_versions(**where))["Versions"]
    assert [v["VersionId"] for v in versions] == [responses[0].json()["version_id"]]


async def test_cancelling_leaves_no_part_in_the_bucket(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    upload = await start_upload(client)
    await send(web, upload["upload"], DATA)
    where = {"Bucket": settings.destinations["large"].bucket, "Key": upload["key"]}
    # One that a lost answer left behind.
    await s3.create_multipart_upload(**where)
    assert len(await under_way(s3, settings)) == 2
    for _ in range(2):
        response = await client.delete(f"/v1/uploads/{upload['id']}")
        assert response.status_code == 204, response.text
    assert await under_way(s3, settings) == []
    late = await web.put(upload["upload"]["parts"][2]["url"], content=DATA[-7:])
    assert late.status_code == 404
    for response in (await confirm(client, upload), await sign(client, upload, 1)):
        assert (response.status_code, slug(response)) == (404, "upload-not-found")


async def test_parts_that_the_bucket_dropped_end_the_upload(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    """A lifecycle rule, for example."""
    where = {"Bucket": settings.destinations["large"].bucket}
    for ask in (confirm, lambda c, u: c.get(f"/v1/uploads/{u['id']}/parts")):
        upload = await start_upload(client)
        await send(web, upload["upload"], DATA)
        [upload_id] = await under_way(s3, settings)
        await s3.abort_multipart_upload(**where, Key=upload["key"], UploadId=upload_id)
        response = await ask(client, upload)
        assert (response.status_code, slug(response)) == (422, "upload-rejected")
        assert "announce the file anew" in response.json()["detail"]
        assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
