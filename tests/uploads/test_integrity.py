"""Uploads with integrity = "md5": what is asked of clients, and what is compared."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.parts import MIB
from app.core.principal import DEV
from app.doctor.seals import remember_seals
from app.errors import ChecksumRequired, ConfigurationError
from app.models.seals import CONTENT_MD5, MD5_ETAGS, ProvenSeal
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from app.uploads.announce import announce_unsized
from app.uploads.confirm import confirm_upload
from app.uploads.parts import sign_parts
from tests.support.service import owner_of_bucket, prepared, running
from tests.support.steps import announced, send, slug, without_length
from tests.support.upkeep import EXPIRED, swept

PART = 5 * MIB
DATA = bytes(range(32, 96)) * (2 * PART // 64) + b"the end"
PARTS = {1: DATA[:PART], 2: DATA[PART : 2 * PART], 3: DATA[2 * PART :]}
DESTINATIONS: dict[str, Any] = {
    "parts": {"method": "multipart", "part_size": PART, "integrity": "md5"},
    "put": {"method": "put", "integrity": "md5"},
    "post": {"integrity": "md5"},
    "off": {"method": "multipart", "part_size": PART},
}


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS)})


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res


async def ask(
    client: httpx.AsyncClient, upload: dict[str, Any], parts: dict[int, bytes]
) -> httpx.Response:
    body = {"part_numbers": [*parts], "checksums_md5": [md5(data) for data in parts.values()]}
    return await client.post(f"/v1/uploads/{upload['id']}/parts", json=body)


async def sent(
    client: httpx.AsyncClient, web: httpx.AsyncClient, upload: dict[str, Any], *numbers: int
) -> None:
    """These parts, as they are announced."""
    parts = {number: PARTS[number] for number in numbers}
    for given in (await ask(client, upload, parts)).json()["parts"]:
        data = parts[given["part_number"]]
        assert given["headers"] == {"content-md5": md5(data)}
        answer = await web.put(given["url"], content=data, headers=given["headers"])
        assert answer.status_code == 200, answer.text


async def spoil(settings: Settings, upload: dict[str, Any], number: int, data: bytes) -> None:
    """Put other bytes in a part's place, as a store would have them that compares nothing."""
    bucket = settings.destinations["parts"].bucket
    async with owner_of_bucket(settings) as s3:
        listed = await s3.list_multipart_uploads(Bucket=bucket, Prefix=upload["key"])
        where = {"UploadId": listed["Uploads"][0]["UploadId"], "PartNumber": number}
        await s3.upload_part(Bucket=bucket, Key=upload["key"], Body=data, **where)


async def known(client: httpx.AsyncClient, upload: dict[str, Any]) -> dict[int, str | None]:
    listed = (await client.get(f"/v1/uploads/{upload['id']}/parts")).json()
    return {part["part_number"]: part["checksum_md5"] for part in listed["parts"]}


async def confirm(client: httpx.AsyncClient, upload: dict[str, Any]) -> httpx.Response:
    return await client.post(f"/v1/uploads/{upload['id']}/confirm")


async def prove(settings: Settings, *what: str) -> None:
    """As the doctor would for the bucket."""
    where = settings.destinations["parts"]
    found = [ProvenSeal(where.store, where.bucket, one, True, utc_now()) for one in what]
    await remember_seals(settings, found)


# --- What is asked of clients


async def test_nothing_is_signed_without_an_md5(client: httpx.AsyncClient) -> None:
    body = {"filename": "a.txt", "size": 5}
    for destination in ("put", "post"):
        answer = await client.post("/v1/uploads", json=body | {"destination": destination})
        assert (answer.status_code, slug(answer)) == (422, "checksum-required")
        assert answer.json()["integrity"] == "md5"
    batch = [
        body | {"destination": "put"},
        body | {"destination": "put", "checksum_md5": md5(b"hello")},
        body | {"destination": "parts"},
        body | {"destination": "off"},
    ]
    answers = (await client.post("/v1/uploads/batch", json={"uploads": batch})).json()["uploads"]
    assert answers[0]["problem"]["type"].endswith(":checksum-required")
    assert answers[1]["upload"]["headers"]["content-md5"] == md5(b"hello")
    assert (answers[2]["upload"]["integrity"], answers[2]["upload"]["parts"]) == ("md5", [])
    assert "integrity" not in answers[3]["upload"]
    for again in (1, 2):
        renewed = (await client.post(f"/v1/uploads/{answers[again]['id']}/renew")).json()["upload"]
        kept = {name: renewed.get(name) for name in ("headers", "parts", "integrity")}
        given = answers[again]["upload"]
        assert kept == {name: given.get(name) for name in kept}
    parts = f"/v1/uploads/{answers[2]['id']}/parts"
    answer = await client.post(parts, json={"part_numbers": [1]})
    assert (answer.status_code, slug(answer)) == (422, "checksum-required")


@pytest.mark.parametrize(
    "checksums",
    [
        [],
        [md5(b"a"), md5(b"b")],
        ["short"],
        [md5(b"a")[:-1]],
        ["+" * 22 + "=="],  # bits that no encoder sets
        [base64.b64encode(b"x" * 20).decode()],
        [None],
    ],
)
async def test_checksums_that_are_none(client: httpx.AsyncClient, checksums: list[Any]) -> None:
    upload = await announced(client, b"hello", destination="parts")
    body = {"part_numbers": [1], "checksums_md5": checksums}
    answer = await client.post(f"/v1/uploads/{upload['id']}/parts", json=body)
    assert (answer.status_code, slug(answer)) == (422, "validation-failed")
    if len(checksums) == 1:
        body = {"destination": "put", "filename": "a", "size": 5, "checksum_md5": checksums[0]}
        answer = await client.post("/v1/uploads", json=body)
        expected = "checksum-required" if checksums == [None] else "validation-failed"
        assert slug(answer) == expected


async def test_a_part_is_announced_once(client: httpx.AsyncClient, db: asyncpg.Connection) -> None:
    upload = await announced(client, DATA, destination="parts")
    assert (await ask(client, upload, {1: b"one", 2: b"two"})).status_code == 200
    # Again, with the same: signed anew.
    assert (await ask(client, upload, {2: b"two", 3: b"three"})).status_code == 200
    answer = await ask(client, upload, {3: b"other", 1: b"other"})
    assert (answer.status_code, slug(answer)) == (409, "part-differs")
    assert answer.json()["part_numbers"] == [1, 3]
    body = {"part_numbers": [3, 3], "checksums_md5": [md5(b"three"), md5(b"other")]}
    answer = await client.post(f"/v1/uploads/{upload['id']}/parts", json=body)
    assert slug(answer) == "part-differs"
    assert await db.fetchval("SELECT count(*) FROM part_digests") == 3


def test_keys_of_clients_go_with_no_integrity(environ: dict[str, str]) -> None:
    chosen = {"chosen": {"allow_client_keys": True, "integrity": "md5"}}
    with pytest.raises(ConfigurationError, match="integrity = off"):
        load_settings(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(chosen)})


async def test_destinations_say_so(client: httpx.AsyncClient) -> None:
    items = (await client.get("/v1/destinations")).json()["items"]
    assert {item["name"]: item["integrity"] for item in items} == {
        name: rules.get("integrity", "off") for name, rules in DESTINATIONS.items()
    }


# --- What is compared


async def test_parts_that_are_as_announced(
    client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    upload = await announced(client, DATA, destination="parts")
    await sent(client, web, upload, 3, 1)
    assert await known(client, upload) == {1: md5(PARTS[1]), 3: md5(PARTS[3])}
    assert slug(await confirm(client, upload)) == "upload-not-arrived"
    await sent(client, web, upload, 2)
    file = (await confirm(client, upload)).json()
    assert (file["state"], file["parts_verified"]) == ("confirmed", True)
    assert (await client.get(f"/v1/files/{file['id']}")).json()["parts_verified"] is True
    assert await known(client, upload) == dict.fromkeys(PARTS)
    # Nothing is kept that is not needed any more.
    assert await db.fetchval("SELECT count(*) FROM part_digests") == 0


async def test_other_bytes_in_a_part_are_found_before_it_is_joined(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    """On a store that compares nothing itself: the ETags of the other parts show that they are
    MD5s, whether or not anybody has proved it.
    """
    upload = await announced(client, DATA, destination="parts")
    await sent(client, web, upload, 1, 2, 3)
    await spoil(settings, upload, 2, b"x" * PART)
    assert await known(client, upload) == {1: md5(PARTS[1]), 2: None, 3: md5(PARTS[3])}
    for _ in range(2):
        answer = await confirm(client, upload)
        assert (answer.status_code, slug(answer)) == (409, "upload-not-arrived")
        assert answer.json()["missing_parts"] == [2]
    await sent(client, web, upload, 2)
    file = (await confirm(client, upload)).json()
    assert file["parts_verified"] is True
    assert (await web.get(file["presigned_url"])).content == DATA


async def test_what_nobody_has_proved_is_no_reason_to_refuse(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    """An ETag that differs may be no MD5 at all (SSE-KMS): then the file says that it is
    unverified, unless the store is known to refuse other bytes.
    """
    uploads = [await announced(client, PARTS[3], destination="parts") for _ in range(3)]
    for upload in uploads:
        await ask(client, upload, {1: PARTS[3]})
        await spoil(settings, upload, 1, PARTS[3][::-1])
    assert await known(client, uploads[0]) == {1: None}
    assert (await confirm(client, uploads[0])).json()["parts_verified"] is False
    await prove(settings, CONTENT_MD5)
    async with running(settings) as other:
        assert await known(other, uploads[1]) == {1: md5(PARTS[3])}
        assert (await confirm(other, uploads[1])).json()["parts_verified"] is True
    await prove(settings, MD5_ETAGS)
    async with running(settings) as other:
        assert await known(other, uploads[2]) == {1: None}
        assert (await confirm(other, uploads[2])).json()["missing_parts"] == [1]


@pytest.mark.parametrize("proved", [True, False])
async def test_a_form_of_other_bytes(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    settings: Settings,
    *,
    proved: bool,
) -> None:
    if proved:
        await prove(settings, CONTENT_MD5, MD5_ETAGS)
    upload = await announced(client, b"hello", destination="post", checksum_md5=md5(b"hello"))
    assert (await send(web, upload["upload"], b"jello")).is_success
    answer = await confirm(client, upload)
    if proved:
        assert (answer.status_code, slug(answer)) == (422, "upload-rejected")
    else:
        assert answer.json()["parts_verified"] is False
    upload = await announced(client, b"hello", destination="post", checksum_md5=md5(b"hello"))
    assert (await send(web, upload["upload"], b"hello")).is_success
    assert (await confirm(client, upload)).json()["parts_verified"] is True


async def test_a_put_confirms_itself_verified(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    upload = await announced(client, b"hello", destination="put", checksum_md5=md5(b"hello"))
    given = upload["upload"]
    headers = without_length(given["headers"])
    other = await web.put(given["url"], content=b"jello", headers=headers)
    assert (other.status_code, b"BadDigest" in other.content) == (400, True)
    assert (await web.put(given["url"], content=b"hello", headers=headers)).is_success
    await swept(settings, EXPIRED)
    file = (await confirm(client, upload)).json()
    assert file["parts_verified"] is True


async def test_parts_of_unknown_size(res: Resources, web: httpx.AsyncClient) -> None:
    file = await announce_unsized(res, DEV, "parts", "a.bin", None)
    with pytest.raises(ChecksumRequired):
        await sign_parts(res, DEV, file.id, [1])
    signed = await sign_parts(res, DEV, file.id, [*PARTS], [md5(data) for data in PARTS.values()])
    for part, data in zip(signed.parts, PARTS.values(), strict=True):
        assert (await web.put(part.url, content=data, headers=part.headers)).status_code == 200
    confirmed = await confirm_upload(res, DEV, file.id, wait_seconds=None, part_count=3)
    assert (confirmed.state, confirmed.parts_verified) == ("confirmed", True)


async def test_nothing_is_left_of_what_is_cancelled(
    client: httpx.AsyncClient, db: asyncpg.Connection, settings: Settings
) -> None:
    upload = await announced(client, DATA, destination="parts")
    assert (await ask(client, upload, PARTS)).status_code == 200
    assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
    await swept(settings, 100 * EXPIRED)
    assert await db.fetchval("SELECT count(*) FROM files") == 0
    assert await db.fetchval("SELECT count(*) FROM part_digests") == 0


async def test_without_integrity_nothing_is_asked_and_nothing_is_told(
    client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """MD5s that a client sends all the same are ignored, and no answer has a member more."""
    upload = await announced(client, DATA, destination="off", checksum_md5=md5(b"other"))
    answer = await ask(client, upload, {1: b"other"})
    assert set(answer.json()["parts"][0]) == {"part_number", "url", "size"}
    assert (await send(web, upload["upload"], DATA)).status_code == 200
    listed = (await client.get(f"/v1/uploads/{upload['id']}/parts")).json()["parts"]
    assert {frozenset(part) for part in listed} == {frozenset({"part_number", "size", "etag"})}
    assert (await confirm(client, upload)).json()["parts_verified"] is False
    row = await db.fetchrow("SELECT integrity, checksum_md5 FROM files")
    assert tuple(row) == (None, None)
    assert await db.fetchval("SELECT count(*) FROM part_digests") == 0
