"""Announcing uploads: the rules, the instructions, batches, keys that collide."""

import base64
import hashlib
import json
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.settings.model import Settings
from app.store.signer import utc_now
from tests.support.service import prepared, running
from tests.support.steps import announced, send, stored

RULES = {
    "CLAIMCHECK_DESTINATIONS__PHOTOS__CONTENT_TYPES": "image/*, application/pdf",
    "CLAIMCHECK_DESTINATIONS__PHOTOS__EXTENSIONS": "png, pdf, txt",
    "CLAIMCHECK_DESTINATIONS__PHOTOS__MIN_SIZE": "10",
    "CLAIMCHECK_DESTINATIONS__PHOTOS__MAX_SIZE": "1000",
    "CLAIMCHECK_DESTINATIONS__PHOTOS__UPLOAD_EXPIRES_IN": "120",
    "CLAIMCHECK_DESTINATIONS__PHOTOS__CACHE_CONTROL": "max-age=60",
    "CLAIMCHECK_DESTINATIONS__DOCS__METHOD": "put",
    "CLAIMCHECK_DESTINATIONS__NOTES__UPLOAD_EXPIRES_IN": "900",
    "CLAIMCHECK_DESTINATIONS__DOCS__CONTENT_DISPOSITION": "attachment",
    "CLAIMCHECK_DESTINATIONS__DOCS__SERVER_SIDE_ENCRYPTION": "AES256",
}
PNG = {"destination": "photos", "filename": "a.png", "size": 10}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | RULES)


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_the_answer_describes_the_upload(client: httpx.AsyncClient, gate: Any) -> None:
    before = utc_now().replace(microsecond=0)
    response = await client.post(
        "/v1/uploads", json=PNG | {"filename": "My Photo.PNG", "content_type": "IMAGE/PNG"}
    )
    assert response.status_code == 201
    upload = response.json()
    assert response.headers["location"] == f"/v1/uploads/{upload['id']}"
    assert response.headers["cache-control"] == "no-store"
    assert upload["state"] == "pending"
    assert upload["destination"] == "photos"
    assert upload["key"].startswith("photos/")
    assert upload["key"].endswith("--my-photo.png")
    bucket = upload["url"].removeprefix(f"{gate.endpoint_url}/").partition("/")[0]
    assert upload["url"] == f"{gate.endpoint_url}/{bucket}/{upload['key']}"
    assert upload["filename"] == "My Photo.PNG"
    assert upload["content_type"] == "image/png"
    assert upload["size"] == 10
    assert upload["expires_at"] == upload["upload"]["expires_at"]
    assert before <= moment(upload["expires_at"]) - timedelta(seconds=120) <= utc_now()


async def test_the_location_leads_to_the_upload_without_instructions(
    client: httpx.AsyncClient,
) -> None:
    announcement = await client.post("/v1/uploads", json=PNG)
    upload = await client.get(announcement.headers["location"])
    assert upload.status_code == 200
    expected = announcement.json()
    del expected["upload"]
    assert upload.json() == expected
    assert "ignature" not in upload.text


async def test_each_rule_has_its_problem(client: httpx.AsyncClient) -> None:
    types = {"allowed": ["image/*", "application/pdf"]}
    extensions = {"allowed": ["png", "pdf", "txt"]}
    sizes = {"min_size": 10, "max_size": 1000}
    cases: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"content_type": "text/plain"}, "content-type-not-allowed", types),
        ({"filename": "a.txt"}, "content-type-not-allowed", types),  # as its extension says
        ({"filename": "a.gif"}, "extension-not-allowed", extensions),
        ({"filename": "png", "content_type": "image/png"}, "extension-not-allowed", extensions),
        ({"size": 9}, "size-not-allowed", sizes),
        ({"size": 1001}, "size-not-allowed", sizes),
        ({"destination": "nowhere"}, "unknown-destination", {}),
        ({"filename": ".."}, "invalid-filename", {}),
    ]
    for change, slug, members in cases:
        response = await client.post("/v1/uploads", json=PNG | change)
        assert response.status_code == 422, change
        problem = response.json()
        assert problem["type"] == f"urn:claimcheck:problem:{slug}", change
        assert members.items() <= problem.items(), change


async def test_the_sizes_of_a_destination_are_inclusive(client: httpx.AsyncClient) -> None:
    for size in (10, 1000):
        assert (await client.post("/v1/uploads", json=PNG | {"size": size})).status_code == 201


async def test_the_policy_pins_every_field(client: httpx.AsyncClient, settings: Settings) -> None:
    data = b"0123456789"
    upload = await announced(
        client,
        data,
        "a.png",
        destination="photos",
        checksum_sha256=sha256(data),
        content_type="image/png",
    )
    form = upload["upload"]
    assert form["method"] == "POST"
    fields = dict(form["fields"])
    expected = {
        "key": upload["key"],
        "content-type": "image/png",
        "cache-control": "max-age=60",
        "x-amz-meta-claimcheck-id": upload["id"],
        "x-amz-checksum-sha256": sha256(data),
        "x-amz-checksum-algorithm": "SHA256",
        "success_action_status": "201",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
    }
    assert expected.items() <= fields.items()
    # Nothing else of ours travels with the object: whoever holds a link can read it.
    assert [name for name in fields if name.startswith("x-amz-meta-")] == [
        "x-amz-meta-claimcheck-id"
    ]

    policy = json.loads(base64.b64decode(fields.pop("policy")))
    del fields["x-amz-signature"]
    exact: dict[str, str] = {}
    ranges = []
    for condition in policy["conditions"]:
        if isinstance(condition, dict):
            exact |= condition
        elif condition[0] == "eq":
            exact[condition[1].removeprefix("$")] = condition[2]
        else:
            ranges.append(condition)
    assert exact == fields | {"bucket": settings.destinations["photos"].bucket}
    assert ranges == [["content-length-range", 10, 10]]
    assert moment(policy["expiration"]) == moment(form["expires_at"])


async def test_a_put_signs_every_header(client: httpx.AsyncClient) -> None:
    data = b"contents"
    upload = await announced(
        client, data, "a.txt", destination="docs", checksum_sha256=sha256(data)
    )
    put = upload["upload"]
    assert put["method"] == "PUT"
    assert "fields" not in put
    assert put["headers"] == {
        "content-type": "text/plain",
        "content-disposition": "attachment",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-meta-claimcheck-id": upload["id"],
        "x-amz-checksum-sha256": sha256(data),
        # Clients that stream a body send no length of their own, and S3 then refuses it (403).
        "content-length": str(len(data)),
    }
    signed = httpx.URL(put["url"]).params["X-Amz-SignedHeaders"].split(";")
    assert sorted(signed) == sorted([*put["headers"], "host"])


async def test_the_bucket_takes_what_was_announced_and_nothing_else(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    for destination in ("photos", "docs"):
        upload = await announced(client, b"0123456789", "a.png", destination=destination)
        for wrong in (b"01234567890", b"012345678"):
            assert (await send(web, upload["upload"], wrong)).status_code in {400, 403}
        assert (await send(web, upload["upload"], b"0123456789")).is_success


async def test_content_type_follows_the_extension(client: httpx.AsyncClient) -> None:
    for name, content_type in (
        ("a.PNG", "image/png"),
        ("a.svg", "image/svg+xml"),
        ("no extension", "application/octet-stream"),
        ("a.unheardof", "application/octet-stream"),
    ):
        upload = await announced(client, b"x", name, destination="docs")
        assert upload["content_type"] == content_type, name
        assert upload["upload"]["headers"]["content-type"] == content_type


async def test_a_name_is_stored_composed(client: httpx.AsyncClient) -> None:
    composed = "Äpfel für Ågnes.png"
    decomposed = unicodedata.normalize("NFD", composed)
    assert decomposed != composed
    uploads = [await announced(client, b"x", n, destination="docs") for n in (composed, decomposed)]
    assert [upload["filename"] for upload in uploads] == [composed, composed]
    assert len({upload["key"].rpartition("--")[2] for upload in uploads}) == 1


async def test_a_batch_answers_in_order_each_for_itself(client: httpx.AsyncClient) -> None:
    batch = [PNG | {"filename": f"{n}.png"} for n in range(6)]
    batch[1] |= {"size": 5}
    batch[2] |= {"destination": "nowhere"}
    batch[4] |= {"filename": "a\0.png"}
    response = await client.post("/v1/uploads/batch", json={"uploads": batch})
    assert response.status_code == 200
    answers = response.json()["uploads"]
    got = [a["problem"]["type"].rpartition(":")[2] if "problem" in a else a["key"] for a in answers]
    assert got[1:3] == ["size-not-allowed", "unknown-destination"]
    assert got[4] == "invalid-filename"
    for index in (0, 3, 5):
        assert got[index].endswith(f"--{index}.png")
        upload = await client.get(f"/v1/uploads/{answers[index]['id']}")
        assert upload.json()["state"] == "pending"
    problem = answers[1]["problem"]
    assert problem["request_id"] == response.headers["x-request-id"]
    assert (problem["status"], problem["max_size"]) == (422, 1000)


async def test_a_batch_with_nothing_right_in_it_stores_nothing(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/uploads/batch", json={"uploads": [PNG | {"size": 1}] * 2})
    assert response.status_code == 200
    assert [list(answer) for answer in response.json()["uploads"]] == [["problem"], ["problem"]]


async def test_a_batch_has_1_to_100(client: httpx.AsyncClient) -> None:
    for count in (0, 101):
        response = await client.post("/v1/uploads/batch", json={"uploads": [PNG] * count})
        assert response.status_code == 422
        assert response.json()["errors"][0]["loc"] == ["body", "uploads"]


async def test_a_hundred_of_one_name_have_a_hundred_keys(settings: Settings) -> None:
    now = utc_now()
    async with running(settings, clock=lambda: now) as client:
        for _ in range(2):  # the second batch meets every key of the first
            response = await client.post("/v1/uploads/batch", json={"uploads": [PNG] * 100})
            assert response.status_code == 200
            keys = [upload["key"] for upload in response.json()["uploads"]]
            assert len(set(keys)) == 100
            assert keys == sorted(keys)


async def test_one_microsecond_and_one_name_make_two_keys(
    settings: Settings, web: httpx.AsyncClient
) -> None:
    now = datetime.now(UTC)
    async with running(settings, clock=lambda: now) as client:
        first, second = [await announced(client, b"x", destination="docs") for _ in range(2)]
        assert first["key"] != second["key"]
        # What was signed is what was stored, not the first try.
        assert second["key"] in second["upload"]["url"]
        assert (await send(web, second["upload"], b"x")).is_success
        confirmed = await client.post(f"/v1/uploads/{second['id']}/confirm")
        assert confirmed.json()["key"] == second["key"]


async def test_keys_that_stay_taken_are_a_problem(settings: Settings) -> None:
    now = utc_now()
    async with running(settings, clock=lambda: now) as client:
        statuses = [(await client.post("/v1/uploads", json=PNG)) for _ in range(6)]
    assert [response.status_code for response in statuses] == [201] * 5 + [503]
    assert statuses[-1].json()["type"] == "urn:claimcheck:problem:key-exhausted"
    assert statuses[-1].headers["retry-after"] == "1"


async def test_renewing_pushes_the_end_on(settings: Settings, web: httpx.AsyncClient) -> None:
    now = utc_now()
    data = b"0123456789"
    async with running(settings, clock=lambda: now - timedelta(minutes=30)) as client:
        old = await announced(client, data, "a.txt", destination="notes")
    assert (await send(web, old["upload"], data)).status_code == 403
    async with running(settings, clock=lambda: now) as client:
        response = await client.post(f"/v1/uploads/{old['id']}/renew")
        assert response.status_code == 200
        new = response.json()
        assert new["key"] == old["key"]
        assert moment(new["expires_at"]) == moment(old["expires_at"]) + timedelta(minutes=30)
        upload = (await client.get(f"/v1/uploads/{old['id']}")).json()
        assert upload["expires_at"] == new["expires_at"]
        assert (await send(web, new["upload"], data)).is_success
        assert (await client.post(f"/v1/uploads/{old['id']}/confirm")).status_code == 200


async def test_only_a_pending_upload_is_renewed(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await stored(client, web, destination="docs")
    response = await client.post(f"/v1/uploads/{file['id']}/renew")
    assert response.status_code == 409
    problem = response.json()
    assert problem["type"] == "urn:claimcheck:problem:upload-not-pending"
    assert problem["state"] == "confirmed"
    unknown = await client.post("/v1/uploads/019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51/renew")
    assert unknown.json()["type"] == "urn:claimcheck:problem:upload-not-found"
