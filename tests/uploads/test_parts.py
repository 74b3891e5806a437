"""Multipart uploads on the embedded store: announced, signed, listed, completed, cancelled."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app import completion, multipart, removals, uploads
from app.bucket import ObjectHandle
from app.core.parts import MIB
from app.core.principal import DEV
from app.errors import (
    BucketUnavailable,
    ContentTypeNotAllowed,
    UnknownDestination,
    UnknownPart,
    UploadNotArrived,
    UploadRejected,
)
from app.models import File
from app.resources import Resources, open_resources
from app.settings import Settings, load_settings
from app.signer import utc_now
from tests.support.service import UNKNOWN_ID, owner_of_bucket, prepared, running
from tests.support.steps import announced, send, slug

PART = 5 * MIB
DATA = bytes(range(32, 96)) * (2 * PART // 64) + b"the end"
DESTINATIONS: dict[str, Any] = {
    "large": {"part_size": PART, "multipart_threshold": 2 * PART, "max_size": 10**13},
    "always": {"method": "multipart", "part_size": PART, "multipart_expires_in": 86_400},
    "single": {"method": "put"},
    "some": {"content_types": ["text/*"], "min_size": 10, "max_size": len(DATA)},
}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS)})


@pytest.fixture
async def s3(settings: Settings) -> AsyncIterator[Any]:
    async with owner_of_bucket(settings) as s3:
        yield s3


async def begun(client: httpx.AsyncClient, data: bytes = DATA, **body: Any) -> dict[str, Any]:
    return await announced(client, data, "a.bin", **{"destination": "large"} | body)


async def confirm(client: httpx.AsyncClient, upload: dict[str, Any]) -> httpx.Response:
    return await client.post(f"/v1/uploads/{upload['id']}/confirm")


async def sign(client: httpx.AsyncClient, upload: dict[str, Any], *numbers: int) -> httpx.Response:
    body = {"part_numbers": numbers}
    return await client.post(f"/v1/uploads/{upload['id']}/parts", json=body)


async def parts(client: httpx.AsyncClient, upload: dict[str, Any]) -> Any:
    response = await client.get(f"/v1/uploads/{upload['id']}/parts")
    assert response.status_code == 200, response.text
    return response.json()


async def under_way(s3: Any, settings: Settings) -> list[str]:
    """The ids of the bucket's multipart uploads."""
    bucket = settings.destinations["large"].bucket
    said = await s3.list_multipart_uploads(Bucket=bucket)
    return [upload["UploadId"] for upload in said.get("Uploads", [])]


# --- Announcing


async def test_above_the_threshold_a_file_goes_in_parts(client: httpx.AsyncClient) -> None:
    upload = await begun(client)
    given = upload["upload"]
    assert (given["method"], given["part_size"], given["part_count"]) == ("multipart", PART, 3)
    assert [(p["part_number"], p["size"]) for p in given["parts"]] == [(1, PART), (2, PART), (3, 7)]
    assert given["expires_at"] == upload["expires_at"]
    assert set(given) == {"method", "part_size", "part_count", "parts", "expires_at"}
    at_it = await begun(client, DATA[: 2 * PART])
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
    upload = await begun(client, data, destination="always", content_type="text/plain")
    assert upload["upload"]["part_count"] == max(1, -(-len(data) // PART))
    assert (await send(web, upload["upload"], data)).status_code == 200
    file = (await confirm(client, upload)).json()
    assert (file["state"], file["size"]) == ("confirmed", len(data))
    read = await web.get(file["presigned_url"])
    assert (read.content, read.headers["content-type"]) == (data, "text/plain")
    assert file["sealed"] == "version"


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


# --- Parts


async def test_parts_are_signed_just_in_time(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await begun(client)
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
        upload = await begun(client, b"x", destination="always")
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
    upload = await begun(client)
    response = await sign(client, upload, number)
    assert (response.status_code, slug(response)) == (422, "validation-failed")


async def test_parts_that_the_file_has_not(client: httpx.AsyncClient) -> None:
    upload = await begun(client)
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
    single = await begun(client, b"x", destination="single")
    assert slug(await sign(client, single, 1)) == "upload-not-multipart"
    response = await client.get(f"/v1/uploads/{single['id']}/parts")
    assert (response.status_code, slug(response)) == (409, "upload-not-multipart")


async def test_the_parts_that_arrived_are_listed_also_after_completion(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    upload = await begun(client)
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
    upload = await begun(client)
    [upload_id] = await under_way(s3, settings)
    where = {"Bucket": settings.destinations["large"].bucket, "Key": upload["key"]}
    for number in range(1, 1102):
        await s3.upload_part(**where, UploadId=upload_id, PartNumber=number, Body=b"x")
    known = (await parts(client, upload))["parts"]
    assert [part["part_number"] for part in known] == list(range(1, 1102))


# --- Renewing


async def test_renewed_instructions_are_for_the_same_upload(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    upload = await begun(client)
    renewed = (await client.post(f"/v1/uploads/{upload['id']}/renew")).json()
    assert {**renewed, "upload": None, "expires_at": None} == {
        **upload,
        "upload": None,
        "expires_at": None,
    }
    assert len(await under_way(s3, settings)) == 1
    await send(web, renewed["upload"], DATA)
    assert (await confirm(client, upload)).status_code == 200


# --- Confirming


async def test_missing_parts_are_named(client: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    upload = await begun(client)
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
    upload = await begun(client)
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
    upload = await begun(client)
    await send(web, upload["upload"], DATA)
    responses = await asyncio.gather(*(confirm(client, upload) for _ in range(20)))
    assert [response.status_code for response in responses] == [200] * 20
    assert len({response.json()["confirmed_at"] for response in responses}) == 1
    where = {"Bucket": settings.destinations["large"].bucket, "Prefix": upload["key"]}
    versions = (await s3.list_object_versions(**where))["Versions"]
    assert [v["VersionId"] for v in versions] == [responses[0].json()["version_id"]]


# --- Cancelling


async def test_cancelling_leaves_no_part_in_the_bucket(
    client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    upload = await begun(client)
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
        upload = await begun(client)
        await send(web, upload["upload"], DATA)
        [upload_id] = await under_way(s3, settings)
        await s3.abort_multipart_upload(**where, Key=upload["key"], UploadId=upload_id)
        response = await ask(client, upload)
        assert (response.status_code, slug(response)) == (422, "upload-rejected")
        assert "announce the file anew" in response.json()["detail"]
        assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204


# --- Sizes that nobody knows before the end


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res


async def unsized(res: Resources, web: httpx.AsyncClient, *data: bytes) -> File:
    """An upload with these parts."""
    file = await multipart.announce_unsized(res, DEV, "some", "a.txt", None)
    wanted = list(range(1, len(data) + 1))
    if wanted:
        signed = await multipart.sign_parts(res, DEV, file.id, wanted)
        for part, content in zip(signed.parts, data, strict=True):
            assert part.size is None
            assert (await web.put(part.url, content=content)).status_code == 200
    return file


async def test_an_upload_whose_size_nobody_said(
    res: Resources, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await unsized(res, web, DATA[:PART], DATA[PART:])
    assert (file.size, file.part_size, file.content_type) == (None, None, "text/plain")
    known = await multipart.list_parts(res, DEV, file.id)
    assert (known.part_size, known.part_count) == (None, None)
    assert [(p.part_number, p.size) for p in known.parts] == [(1, PART), (2, len(DATA) - PART)]
    confirmed = await uploads.confirm(res, DEV, file.id, patience=None, part_count=2)
    assert (confirmed.size, confirmed.state) == (len(DATA), "confirmed")
    read = (await client.get(f"/v1/files/{file.id}")).json()["presigned_url"]
    assert (await web.get(read)).content == DATA
    # Afterwards as if they had been cut as the first one was.
    known = await multipart.list_parts(res, DEV, file.id)
    assert sum(part.size for part in known.parts) == len(DATA)


async def test_only_its_client_knows_when_all_of_it_is_there(
    res: Resources, client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await unsized(res, web, DATA[:PART])
    for confirm in (
        client.post(f"/v1/uploads/{file.id}/confirm"),
        client.post("/v1/files", json={"destination": "some", "key": file.key}),
        client.post("/v1/files", json={"url": file.url}),
    ):
        response = await confirm
        assert (response.status_code, slug(response)) == (409, "upload-not-arrived")
        assert "its client completes the upload" in response.json()["detail"]
    assert (await client.get(f"/v1/uploads/{file.id}")).json()["state"] == "pending"
    assert (await uploads.confirm(res, DEV, file.id, part_count=1)).size == PART


async def test_whoever_takes_over_joins_the_same_parts(
    res: Resources, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await unsized(res, web, DATA[:PART])
    later = (await multipart.sign_parts(res, DEV, file.id, [2])).parts[0]

    async def down(*_: Any) -> None:
        raise BucketUnavailable("It is down.", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectHandle, "complete_upload", down)
        patch.setattr(completion, "_RETRY_DELAYS", ())
        with pytest.raises(BucketUnavailable):
            await uploads.confirm(res, DEV, file.id, part_count=1)
    assert (await web.put(later.url, content=b"of another attempt")).status_code == 200
    # Whoever it is, and whatever he believes.
    assert (await uploads.confirm(res, DEV, file.id, part_count=2)).size == PART


async def test_its_parts_have_the_numbers_that_s3_knows(res: Resources) -> None:
    file = await multipart.announce_unsized(res, DEV, "some", "a.txt", None)
    signed = await multipart.sign_parts(res, DEV, file.id, [1, 10_000])
    assert [part.part_number for part in signed.parts] == [1, 10_000]
    for number in (0, 10_001):
        with pytest.raises(UnknownPart):
            await multipart.sign_parts(res, DEV, file.id, [number])


@pytest.mark.parametrize(
    ("data", "says"),
    [([b"x" * 9], "has 9 bytes"), ([DATA[:PART], DATA[PART:], b"x"], "takes 10 to")],
    ids=["too small", "too large"],
)
async def test_a_sum_out_of_range_is_refused_and_dropped(
    res: Resources,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    data: list[bytes],
    says: str,
) -> None:
    file = await unsized(res, web, *data)
    for _ in range(2):
        with pytest.raises(UploadRejected, match=says):
            await uploads.confirm(res, DEV, file.id, part_count=len(data))
    assert await under_way(s3, settings) == []
    found = await s3.list_objects_v2(Bucket=file.bucket, Prefix=file.key)
    assert found["KeyCount"] == 0


async def test_parts_that_could_not_be_dropped_are_dropped_by_whoever_comes_next(
    res: Resources,
    web: httpx.AsyncClient,
    s3: Any,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also after a kill: an upload is not rejected before its parts are gone."""
    file = await unsized(res, web, b"x" * 9)

    async def down(*_: Any) -> None:
        raise BucketUnavailable("It is down.", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectHandle, "abort_uploads", down)
        with pytest.raises(BucketUnavailable):
            await uploads.confirm(res, DEV, file.id, part_count=1)
    assert len(await under_way(s3, settings)) == 1
    with pytest.raises(UploadRejected, match="has 9 bytes"):
        await uploads.confirm(res, DEV, file.id)
    assert await under_way(s3, settings) == []


async def test_gaps_and_nothing_at_all_have_not_arrived(
    res: Resources, web: httpx.AsyncClient, s3: Any, settings: Settings
) -> None:
    file = await unsized(res, web)
    with pytest.raises(UploadNotArrived, match="lacks 3 parts"):
        await uploads.confirm(res, DEV, file.id, part_count=3)
    signed = await multipart.sign_parts(res, DEV, file.id, [3])
    assert (await web.put(signed.parts[0].url, content=b"the last")).status_code == 200
    with pytest.raises(UploadNotArrived, match="1, 2") as caught:
        await uploads.confirm(res, DEV, file.id, part_count=3)
    assert caught.value.extensions["missing_parts"] == [1, 2]
    await removals.cancel_upload(res, DEV, file.id)
    assert await under_way(s3, settings) == []


async def test_the_destinations_rules_hold_without_a_size(res: Resources) -> None:
    with pytest.raises(ContentTypeNotAllowed):
        await multipart.announce_unsized(res, DEV, "some", "a.png", "image/png")
    with pytest.raises(UnknownDestination):
        await multipart.announce_unsized(res, DEV, "nowhere", "a.txt", None)
