"""Bytes that an owner has already need not be sent again, where a destination says so."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
import httpx
import pytest

from app.db import files as db_files
from app.errors import BucketUnavailable
from app.models.files import File
from app.settings.model import Settings
from app.store.objects import ObjectHandle
from tests.support.service import owner_of_bucket, prepared
from tests.support.steps import announced, stored

DESTINATIONS = {
    "once": {"allow_existence_optimization": True},
    "other": {"allow_existence_optimization": True},
    "always": {},
}
SHA256 = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
BODY: dict[str, Any] = {
    "destination": "once",
    "filename": "b.txt",
    "size": 5,
    "checksum_sha256": SHA256,
}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS)})


@pytest.fixture
async def file(client: httpx.AsyncClient, web: httpx.AsyncClient) -> dict[str, Any]:
    return await stored(client, web, destination="once", checksum_sha256=SHA256)


async def test_what_is_there_need_not_be_sent(
    client: httpx.AsyncClient, web: httpx.AsyncClient, file: dict[str, Any]
) -> None:
    response = await client.post("/v1/uploads", json=BODY)
    assert response.status_code == 200
    assert "location" not in response.headers
    answer = response.json()
    assert answer["upload"] is None
    assert (answer["id"], answer["state"], answer["filename"]) == (file["id"], "confirmed", "a.txt")
    assert set(answer) == {*file, "upload"}
    assert (await web.get(answer["presigned_url"])).content == b"hello"
    # Confirming it, as clients do that do not look, gives the file as well.
    confirmed = await client.post(f"/v1/uploads/{answer['id']}/confirm")
    assert (confirmed.status_code, confirmed.json()["id"]) == (200, file["id"])
    assert len((await client.get("/v1/files")).json()["items"]) == 1


async def test_in_a_batch_each_has_its_own_answer(
    client: httpx.AsyncClient, file: dict[str, Any]
) -> None:
    batch = {"uploads": [BODY, BODY | {"size": 6}, BODY | {"destination": "nowhere"}]}
    same, new, refused = (await client.post("/v1/uploads/batch", json=batch)).json()["uploads"]
    assert (same["id"], same["upload"]) == (file["id"], None)
    assert new["upload"]["method"] == "POST"
    assert "problem" in refused


async def test_a_batch_is_looked_up_with_one_query(
    client: httpx.AsyncClient, file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ask = db_files.confirmed_by_checksum

    async def counted(db: asyncpg.Connection, like: Sequence[File]) -> list[File]:
        asked.append(len(like))
        return await ask(db, like)

    monkeypatch.setattr(db_files, "confirmed_by_checksum", counted)
    others = [BODY | {"size": size} for size in range(6, 20)]
    batch = {"uploads": [BODY, *others, BODY | {"destination": "always"}, BODY]}
    answers = (await client.post("/v1/uploads/batch", json=batch)).json()["uploads"]
    assert asked == [16]
    assert [answer["upload"] is None for answer in answers] == [True, *[False] * 15, True]
    assert {answers[0]["id"], answers[-1]["id"]} == {file["id"]}


async def test_a_bucket_that_does_not_say_whether_it_is_there_holds_up_no_other(
    client: httpx.AsyncClient, file: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*where: object) -> None:
        raise BucketUnavailable("The bucket did not answer.")

    monkeypatch.setattr(ObjectHandle, "head", silent)
    batch = {"uploads": [BODY, BODY | {"size": 6}]}
    same, new = (await client.post("/v1/uploads/batch", json=batch)).json()["uploads"]
    assert same["problem"]["type"].endswith(":bucket-unavailable")
    assert new["upload"]["method"] == "POST"


@pytest.mark.parametrize(
    "change",
    [
        {"checksum_sha256": None},
        {"checksum_sha256": SHA256[:-2] + "E="},
        {"size": 4},
        {"content_type": "image/webp"},
        {"destination": "other"},
        {"destination": "always"},
    ],
    ids=["no checksum", "another checksum", "size", "type", "destination", "not allowed"],
)
async def test_anything_else_is_sent(
    client: httpx.AsyncClient, file: dict[str, Any], change: dict[str, Any]
) -> None:
    response = await client.post("/v1/uploads", json=BODY | change)
    assert response.status_code == 201, response.text
    assert response.json()["upload"] is not None


async def test_what_nobody_verified_is_sent(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    """Confirmed without the checksum that is now claimed for it."""
    await stored(client, web, destination="once")
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 201


async def test_what_is_no_file_yet_is_sent(client: httpx.AsyncClient) -> None:
    await announced(client, b"hello", destination="once", checksum_sha256=SHA256)
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 201


async def test_what_is_no_file_any_more_is_sent(
    client: httpx.AsyncClient, file: dict[str, Any]
) -> None:
    assert (await client.delete(f"/v1/files/{file['id']}")).status_code == 204
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 201


async def test_an_object_that_is_gone_is_sent_again(
    client: httpx.AsyncClient, file: dict[str, Any], settings: Settings
) -> None:
    """Deleted behind our back: a file without its bytes is of no use to anybody."""
    where = {"Bucket": settings.destinations["once"].bucket, "Key": file["key"]}
    async with owner_of_bucket(settings) as s3:
        await s3.delete_object(**where)
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 201


async def test_an_object_that_is_another_now_is_sent_again(
    client: httpx.AsyncClient, file: dict[str, Any], settings: Settings
) -> None:
    where = {"Bucket": settings.destinations["once"].bucket, "Key": file["key"]}
    async with owner_of_bucket(settings) as s3:
        await s3.put_object(**where, Body=b"other")
    assert (await client.post("/v1/uploads", json=BODY)).status_code == 201
