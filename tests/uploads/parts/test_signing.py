"""Multipart uploads on the embedded store: announced, signed, listed, renewed."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from tests.support.service import UNKNOWN_ID, running
from tests.support.steps import send, slug
from tests.uploads.parts.steps import (
    DATA,
    DESTINATIONS,
    PART,
    confirm,
    parts,
    sign,
    start_upload,
    under_way,
)


async def test_above_the_threshold_a_file_goes_in_parts(client: httpx.AsyncClient) -> None:
    upload = await start_upload(client)
    given = upload["upload"]
    assert (given["method"], given["part_size"], given["part_count"]) == ("multipart", PART, 3)
    assert [(p["part_number"], p["size"]) for p in given["parts"]] == [(1, PART), (2, PART), (3, 7)]
    assert given["expires_at"] == upload["expires_at"]
    assert set(given) == {"method", "part_size", "part_count", "parts", "expires_at"}
    at_it = await start_upload(client, DATA[: 2 * PART])
    assert at_it["upload"]["method"] == "POST"


async def test_an_announcement_signs_a_hundred_parts_at_most(client: httpx.AsyncClient) -> None:
    body = {"destination": "large", "filename": "a.bin", "size": 10**13}
    upload = (await client.post("/v1/uploads", json=body)).json()
    assert upload["upload"]["part_count"] <= 10_000
    assert [p["part_number"] for p in upload["upload"]["parts"]] == list(range(1, 101))
    batch = {"uploads": [body] * 50 + [body | {"destination": "nowhere"}]}
    answers = (await client.post("/v1/uploads/batch", json=batch)).json()["uploads"]
    assert [len(answer["upload"]["parts"]) for answer in answers[:50]] == [20] * 50
    assert "problem" in answers[50]
    assert len({answer["id"] for answer in answers[:50]}) == 50


@pytest.mark.parametrize("data", [b"", b"small", DATA])
async def test_a_destination_may_always_take_parts(
    client: httpx.AsyncClient, web: httpx.AsyncClient, data: bytes
) -> None:
    upload = await start_upload(client, data, destination="always", content_type="text/plain")
    assert upload["upload"]["part_count"] == max(1, -(-len(data) // PART))
    assert (await send(web, upload["upload"], data)).status_code == 200
    file = (await confirm(client, upload)).json()
    assert (file["state"], file["size"]) == ("confirmed", len(data))
    read = await web.get(file["presigned_url"])
    assert (read.content, read.headers["content-type"]) == (data, "text/plain; charset=utf-8")
    # Nobody has proved anything of this bucket.
    assert file["sealed"] == "no"


async def test_a_bucket_that_does_not_answer_leaves_a_row_to_sweep(
    environ: dict[str, str], settings: Settings, client: httpx.AsyncClient
) -> None:
    """The row stands before the bucket is asked, so that nothing there is without one."""
    unreachable = environ | {
        "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
        "AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1",
    }
    async with running(load_settings(unreachable)) as other:
        body = {"destination": "large", "filename": "a.bin", "size": len(DATA)}
        response = await other.post("/v1/uploads", json=body)
        assert (response.status_code, slug(response)) == (503, "bucket-unavailable")
        small = await other.post("/v1/uploads/batch", json={"uploads": [body, body | {"size": 1}]})
        assert ["problem" in answer for answer in small.json()["uploads"]] == [True, False]


async def test_parts_are_signed_just_in_time(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await start_upload(client)
    response = await sign(client, upload, 3, 1)
    assert response.status_code == 200
    signed = response.json()
    assert [(p["part_number"], p["size"]) for p in signed["parts"]] == [(3, 7), (1, PART)]
    assert (await web.put(signed["parts"][0]["url"], content=DATA[-7:])).status_code == 200
    for length in (6, 8):
        refused = await web.put(signed["parts"][0]["url"], content=b"x" * length)
        assert refused.status_code == 403, length
    assert [p["part_number"] for p in (await parts(client, upload))["parts"]] == [3]


async def test_signing_keeps_the_upload_alive_up_to_a_cap(settings: Settings) -> None:
    start = utc_now()
    now = [start]

    def at(**later: float) -> None:
        now[0] = start + timedelta(**later)

    async with running(settings, clock=lambda: now[0]) as client:
        upload = await start_upload(client, b"x", destination="always")
        begins = datetime.fromisoformat(upload["expires_at"])

        async def expires_at() -> datetime:
            answer = await client.get(f"/v1/uploads/{upload['id']}")
            return datetime.fromisoformat(answer.json()["expires_at"])

        at(hours=2)
        signed = (await sign(client, upload, 1)).json()
        assert await expires_at() == datetime.fromisoformat(signed["expires_at"])
        assert await expires_at() > begins + timedelta(hours=1, minutes=59)
        at(hours=23, minutes=50)
        signed = (await sign(client, upload, 1)).json()
        cap = start + timedelta(days=1)
        assert cap - timedelta(seconds=2) <= await expires_at() <= cap
        assert datetime.fromisoformat(signed["expires_at"]) <= cap
        at(days=1)
        for path in ("renew", "parts"):
            body = {"part_numbers": [1]} if path == "parts" else None
            response = await client.post(f"/v1/uploads/{upload['id']}/{path}", json=body)
            assert (response.status_code, slug(response)) == (409, "upload-expired")


@pytest.mark.parametrize("number", [0, -1, 10_001, "1", 1.5, None])
async def test_part_numbers_that_s3_does_not_know(client: httpx.AsyncClient, number: Any) -> None:
    upload = await start_upload(client)
    response = await sign(client, upload, number)
    assert (response.status_code, slug(response)) == (422, "validation-failed")


async def test_parts_that_the_file_has_not(client: httpx.AsyncClient) -> None:
    upload = await start_upload(client)
    response = await sign(client, upload, 1, 4)
    assert (response.status_code, slug(response)) == (422, "unknown-part")
    assert response.json()["part_count"] == 3
    assert slug(await sign(client, upload)) == "validation-failed"
    assert slug(await sign(client, upload, *[1] * 1001)) == "validation-failed"
    assert (await sign(client, upload, *[1] * 1000)).status_code == 200


async def test_no_parts_of_other_uploads(client: httpx.AsyncClient) -> None:
    assert slug(await sign(client, {"id": UNKNOWN_ID}, 1)) == "upload-not-found"
    response = await client.get(f"/v1/uploads/{UNKNOWN_ID}/parts")
    assert slug(response) == "upload-not-found"
    single = await start_upload(client, b"x", destination="single")
    assert slug(await sign(client, single, 1)) == "upload-not-multipart"
    response = await client.get(f"/v1/uploads/{single['id']}/parts")
    assert (response.status_code, slug(response)) == (409, "upload-not-multipart")


async def test_the_parts_that_arrived_are_listed_also_after_completion(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await start_upload(client)
    assert await parts(client, upload) == {"part_size": PART, "part_count": 3, "parts": []}
    etags = {}
    for part in (upload["upload"]["parts"][0], upload["upload"]["parts"][2]):
        start = (part["part_number"] - 1) * PART
        sent = await web.put(part["url"], content=DATA[start : start + part["size"]])
        etags[part["part_number"]] = sent.headers["etag"]
    known = (await parts(client, upload))["parts"]
    assert known == [
        {"part_number": 1, "size": PART, "etag": etags[1]},
        {"part_number": 3, "size": 7, "etag": etags[3]},
    ]
    await send(web, upload["upload"], DATA)
    assert (await confirm(client, upload)).status_code == 200
    known = (await parts(client, upload))["parts"]
    assert [(p["part_number"], p["size"]) for p in known] == [(1, PART), (2, PART), (3, 7)]
    assert slug(await sign(client, upload, 1)) == "upload-not-pending"


async def test_more_parts_than_one_page_of_the_bucket(
    client: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    upload = await start_upload(client)
    [upload_id] = await under_way(s3, settings)
    where = {"Bucket": settings.destinations["large"].bucket, "Key": upload["key"]}
    for number in range(1, 1102):
        await s3.upload_part(**where, UploadId=upload_id, PartNumber=number, Body=b"x")
    known = (await parts(client, upload))["parts"]
    assert [part["part_number"] for part in known] == list(range(1, 1102))


async def test_renewed_instructions_are_for_the_same_upload(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    upload = await start_upload(client)
    renewed = (await client.post(f"/v1/uploads/{upload['id']}/renew")).json()
    assert {**renewed, "upload": None, "expires_at": None} == {
        **upload,
        "upload": None,
        "expires_at": None,
    }
    assert len(await under_way(s3, settings)) == 1
    await send(web, renewed["upload"], DATA)
    assert (await confirm(client, upload)).status_code == 200
