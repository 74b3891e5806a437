"""POST /v1/upload-url: the tutorial's flow, in which the client chooses the key."""

import asyncio
import base64
import json
import threading
from typing import Any

import httpx
import pytest

from app.core import key_normalizer
from app.settings.model import Settings
from tests.support.service import owner_of_bucket, prepared
from tests.support.steps import slug, stored
from tests.support.upkeep import EXPIRED, HOUR, swept

# Ten bytes, as a film begins.
MOVIE = b"\0\0\0\x18ftypmp"

RULES = {
    "CLAIMCHECK_DESTINATIONS__MEDIA__ALLOW_CLIENT_KEYS": "true",
    "CLAIMCHECK_DESTINATIONS__MEDIA__KEY_PREFIX": "media/v1/",
    "CLAIMCHECK_DESTINATIONS__MEDIA__MIN_SIZE": "2",
    "CLAIMCHECK_DESTINATIONS__MEDIA__MAX_SIZE": "20",
    "CLAIMCHECK_DESTINATIONS__PNGS__ALLOW_CLIENT_KEYS": "true",
    "CLAIMCHECK_DESTINATIONS__PNGS__CONTENT_TYPES": "image/*",
    "CLAIMCHECK_DESTINATIONS__PNGS__EXTENSIONS": "png, svg",
    "CLAIMCHECK_DESTINATIONS__FILES__MAX_SIZE": "1000",
}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | RULES)


async def ask(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.post("/v1/upload-url", json={"object_key": key})


async def post(web: httpx.AsyncClient, form: dict[str, Any], data: bytes) -> httpx.Response:
    return await web.post(form["url"], data=form["fields"], files={"file": ("file", data)})


async def test_the_tutorials_flow(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    response = await ask(client, "media/v1/2026/my-video.mp4")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert set(answer) == {"object_key", "upload_url_dict"}
    assert set(answer["upload_url_dict"]) == {"url", "fields"}
    assert answer["object_key"] == "media/v1/2026/my-video.mp4"
    form = answer["upload_url_dict"]
    assert form["fields"]["key"] == answer["object_key"]
    assert form["fields"]["content-type"] == "video/mp4"
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert ["content-length-range", 2, 20] in policy["conditions"]

    for wrong in (b"1", b"1" * 21):
        assert (await post(web, form, wrong)).status_code == 400
    assert (await post(web, form, MOVIE)).status_code == 201

    url = f"{form['url'].rstrip('/')}/{answer['object_key']}"
    assert url.startswith(f"{settings.destinations['media'].stored_endpoint}/")
    file = (await client.post("/v1/files", json={"url": url})).json()
    assert (file["state"], file["size"], file["url"]) == ("confirmed", 10, url)
    assert (file["filename"], file["content_type"]) == ("my-video.mp4", "video/mp4")
    assert (await web.get(file["presigned_url"])).content == MOVIE


async def test_what_another_put_there_is_no_file(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    await ask(client, "media/v1/a.txt")
    async with owner_of_bucket(settings) as s3:
        await s3.put_object(
            Bucket=settings.destinations["media"].bucket,
            Key="media/v1/a.txt",
            Body=b"hello",
            ContentType="text/plain",
        )
    body = {"key": "media/v1/a.txt", "destination": "media"}
    assert slug(await client.post("/v1/files", json=body)) == "upload-rejected"
    # Nor is it ours to delete.
    async with owner_of_bucket(settings) as s3:
        await s3.head_object(Bucket=settings.destinations["media"].bucket, Key="media/v1/a.txt")


async def test_what_was_hidden_is_not_erased_by_a_client(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """Announcing its key and cancelling that would delete every version of it."""
    bucket, key = settings.destinations["media"].bucket, "media/v1/hidden.txt"
    async with owner_of_bucket(settings) as s3:
        await s3.put_object(Bucket=bucket, Key=key, Body=b"kept")
        await s3.delete_object(Bucket=bucket, Key=key)
    response = await ask(client, key)
    assert (response.status_code, slug(response)) == (409, "key-taken")


async def test_a_client_cannot_have_anothers_object_erased(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    """The key was free when it was asked for; then something else writes there, too."""
    bucket, key = settings.destinations["media"].bucket, "media/v1/shared.mp4"
    form = (await ask(client, key)).json()["upload_url_dict"]
    upload_id = form["fields"]["x-amz-meta-claimcheck-id"]

    async def bodies() -> list[bytes]:
        found = (await s3.list_object_versions(Bucket=bucket, Prefix=key)).get("Versions", [])
        gets = [
            await s3.get_object(Bucket=bucket, Key=key, VersionId=each["VersionId"])
            for each in found
        ]
        return [await got["Body"].read() for got in gets]

    async with owner_of_bucket(settings) as s3:
        for body in (b"theirs", b"theirs, later"):
            assert (await post(web, form, MOVIE)).is_success
            await s3.put_object(Bucket=bucket, Key=key, Body=body)
        assert (await client.delete(f"/v1/uploads/{upload_id}")).status_code == 204
        assert await bodies() == [b"theirs, later", b"theirs"]
        # What the form brings later is taken away by the sweep, and nothing else.
        assert (await post(web, form, MOVIE)).is_success
        await s3.delete_object(Bucket=bucket, Key=key)
        assert await swept(settings, EXPIRED + HOUR) == {"looked at": 1}
        assert await bodies() == [b"theirs, later", b"theirs"]


async def test_keys_outside_open_destinations(client: httpx.AsyncClient) -> None:
    for key in ("a.png", "files/a.png", "media/a.png", "/media/v1/a.png", "MEDIA/v1/a.png"):
        response = await ask(client, key)
        assert (response.status_code, slug(response)) == (422, "client-keys-not-allowed"), key
        assert "media/v1/" in response.json()["detail"]


async def test_a_bad_key_is_answered_with_a_better_one(client: httpx.AsyncClient) -> None:
    for key, suggestion in (
        ("media/v1/My Photo.PNG", "media/v1/my-photo.png"),
        ("media/v1/Ünterföhring.jpg", "media/v1/unterfohring.jpg"),
        ("media/v1/a${filename}.png", "media/v1/a-filename.png"),
        ("media/v1/a$$b.png", "media/v1/a-b.png"),
        ("media/v1/../secret.png", "media/v1/secret.png"),
        ("media/v1//a.png", "media/v1/a.png"),
        ("media/v1/.hidden", "media/v1/hidden"),
        ("media/v1/a..b.png", "media/v1/a-b.png"),
    ):
        response = await ask(client, key)
        assert (response.status_code, slug(response)) == (422, "invalid-object-key"), key
        assert response.json()["suggestion"] == suggestion
        assert (await ask(client, suggestion)).status_code in {200, 409}


async def test_a_bad_key_that_nothing_is_near_to(client: httpx.AsyncClient) -> None:
    for key in (
        "media/v1/",
        "media/v1/a\0.png",
        "media/v1/a\r\nb.png",
        "media/v1/..",
        f"media/v1/{'a' * 300}.png",
        f"media/v1/{'a/' * 600}a.png",
    ):
        response = await ask(client, key)
        assert (response.status_code, slug(response)) == (422, "invalid-object-key"), key
        suggestion = response.json().get("suggestion")
        assert suggestion is None or (await ask(client, suggestion)).status_code == 200
        assert "suggestion" not in response.json() or suggestion is not None


async def test_the_extension_decides_the_type(client: httpx.AsyncClient) -> None:
    for key, expected in (
        ("pngs/a.svg", 200),
        ("pngs/a.pdf", "content-type-not-allowed"),
        ("pngs/a.jpg", "extension-not-allowed"),
        ("pngs/a", "content-type-not-allowed"),
    ):
        response = await ask(client, key)
        if expected == 200:
            fields = response.json()["upload_url_dict"]["fields"]
            assert fields["content-type"] == "image/svg+xml"
        else:
            assert (response.status_code, slug(response)) == (422, expected), key


async def test_a_key_is_given_once(client: httpx.AsyncClient, settings: Settings) -> None:
    responses = await asyncio.gather(*(ask(client, "media/v1/a.png") for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409, 409]
    again = await ask(client, "media/v1/a.png")
    assert (again.status_code, slug(again)) == (409, "key-taken")


async def test_a_key_with_an_object_is_taken(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    async with owner_of_bucket(settings) as s3:
        await s3.put_object(
            Bucket=settings.destinations["media"].bucket, Key="media/v1/there.txt", Body=b"x"
        )
    assert slug(await ask(client, "media/v1/there.txt")) == "key-taken"
    file = await stored(client, web, destination="media")
    assert slug(await ask(client, file["key"])) == "key-taken"
    assert (await client.delete(f"/v1/files/{file['id']}")).status_code == 204
    # Released: the row says that the object is no orphan, and the key stays taken.
    assert slug(await ask(client, file["key"])) == "key-taken"


async def test_nobody_waits_for_the_tables_of_other_scripts(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slug_of, event_loop = key_normalizer._slug, threading.get_ident()
    by_the_loop: list[bool] = []

    def noted(stem: str, room: int) -> str:
        if not stem.isascii():
            by_the_loop.append(threading.get_ident() == event_loop)
        return slug_of(stem, room)

    monkeypatch.setattr(key_normalizer, "_slug", noted)
    for path, body, status in (
        ("/v1/upload-url", {"object_key": "media/v1/é.png"}, 422),
        ("/v1/uploads", {"destination": "pngs", "filename": "é.png", "size": 1}, 201),
    ):
        key_normalizer.load_tables.cache_clear()
        by_the_loop.clear()
        assert (await client.post(path, json=body)).status_code == status
        # The first of them, which loads the tables, is not of a request.
        assert by_the_loop == [False, True]
