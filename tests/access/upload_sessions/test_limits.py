"""Upload sessions: so many files and bytes to one destination, exactly."""

import asyncio

import httpx
import pytest

from app.access.authenticate import principal_from_token
from app.errors import UploadSessionExhausted
from app.runtime.resources import open_resources
from app.settings.model import Settings
from app.uploads.announce import announce_unsized
from tests.access.upload_sessions.steps import ANNOUNCEMENT, announce, holding, used
from tests.support.service import Clock, bearer, owner_of_bucket, running
from tests.support.steps import minted, slug


async def test_it_takes_so_many_files_and_bytes(shop: httpx.AsyncClient) -> None:
    session = await minted(shop, max_files=3, max_bytes=25)
    async with holding(shop, session["token"]) as browser:
        assert await announce(browser, size=20) == ""
        assert await announce(browser, size=6) == "upload-session-exhausted"
        assert await used(shop, session) == (1, 20)
        # What the rules refuse costs nothing.
        assert await announce(browser, filename="..") == "invalid-filename"
        assert await announce(browser, size=5) == ""
        assert await announce(browser, size=0) == ""
        assert await announce(browser, size=0) == "upload-session-exhausted"
        assert await used(shop, session) == (3, 25)


async def test_a_batch_is_paid_as_a_whole(shop: httpx.AsyncClient) -> None:
    session = await minted(shop, max_files=3, max_bytes=1000)
    async with holding(shop, session["token"]) as browser:

        async def batch(count: int) -> list[str]:
            body = {"uploads": [ANNOUNCEMENT] * count + [ANNOUNCEMENT | {"filename": ".."}]}
            answers = (await browser.post("/v1/uploads/batch", json=body)).json()["uploads"]
            return [a["problem"]["type"].split(":")[-1] if "problem" in a else "" for a in answers]

        assert await batch(4) == ["upload-session-exhausted"] * 4 + ["invalid-filename"]
        assert await used(shop, session) == (0, 0)
        assert await batch(3) == [""] * 3 + ["invalid-filename"]
        assert await used(shop, session) == (3, 30)


async def test_the_limits_hold_exactly_under_concurrent_requests(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    by_files = await minted(shop, max_files=7, max_bytes=10_000)
    by_bytes = await minted(shop, max_files=100, max_bytes=75)
    async with running(settings) as replica:
        for session, stored_files in ((by_files, 7), (by_bytes, 7)):
            headers = bearer(session["token"])
            answers = await asyncio.gather(
                *(
                    client.post("/v1/uploads", json=ANNOUNCEMENT, headers=headers)
                    for client in (shop, replica) * 25
                )
            )
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [201] * stored_files + [403] * (50 - stored_files)
            assert await used(shop, session) == (stored_files, stored_files * 10)


async def test_a_chosen_key_pays_when_it_is_confirmed(
    shop: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    session = await minted(shop, destination="videos", max_files=4, max_bytes=10)
    async with holding(shop, session["token"]) as browser:

        async def upload(key: str, data: bytes) -> httpx.Response:
            answer = await browser.post("/v1/upload-url", json={"object_key": key})
            assert answer.status_code == 200, answer.text
            form = answer.json()["upload_url_dict"]
            sent = await web.post(form["url"], data=form["fields"], files={"file": ("f", data)})
            if not sent.is_success:
                return sent
            return await browser.post("/v1/files", json={"destination": "videos", "key": key})

        assert (await upload("videos/a.bin", b"12345678")).status_code == 200
        assert await used(shop, session) == (1, 8)
        refused = await upload("videos/b.bin", b"123")
        assert (refused.status_code, "EntityTooLarge" in refused.text) == (400, True)
        assert await used(shop, session) == (2, 8)
        answers = [await upload("videos/c.bin", b"12")] + [
            await browser.post("/v1/files", json={"destination": "videos", "key": "videos/c.bin"})
            for _ in range(2)
        ]
        assert [a.status_code for a in answers] == [200] * 3
        assert await used(shop, session) == (3, 10)
        # Neither does a key that is taken cost anything twice.
        taken = await browser.post("/v1/upload-url", json={"object_key": "videos/c.bin"})
        assert slug(taken) == "key-taken"
        assert await used(shop, session) == (3, 10)
        none_left = await browser.post("/v1/upload-url", json={"object_key": "videos/d.bin"})
        assert slug(none_left) == "upload-session-exhausted"


@pytest.mark.parametrize("method", ["post", "put", "multipart"])
async def test_what_exceeds_its_session_is_not_kept(
    shop: httpx.AsyncClient,
    web: httpx.AsyncClient,
    settings: Settings,
    clock: Clock,
    method: str,
) -> None:
    """Two that fit each, and not together; and a PUT, whose length nothing limits."""
    door = {"method": method}
    destination = settings.destinations["videos"].model_copy(update=door)
    settings = settings.model_copy(update={"destinations": {"videos": destination}})
    async with running(settings, clock=clock) as service:
        service.headers.update(shop.headers)
        session = await minted(
            service, destination="videos", max_files=3, max_bytes=10, unsized=True
        )
        service.headers.update(bearer(session["token"]) | {"Accept": "application/json"})
        keys = [await sent_unsized(service, web, method, b"x" * 8) for _ in range(2)]
        answers = [await confirmed_unsized(service, method, *key) for key in keys]
        assert [answer.status_code for answer in answers] == [200, 422]
        assert "too few bytes left" in answers[1].text
        assert await used(shop, session) == (2, 8)
        if method == "put":
            key = await sent_unsized(service, web, method, b"x" * 100)
            assert (await confirmed_unsized(service, method, *key)).status_code == 422
    async with owner_of_bucket(settings) as s3:
        found = await s3.list_object_versions(Bucket=destination.bucket)
        assert [(v["Key"], v["Size"]) for v in found["Versions"]] == [(keys[0][1], 8)]
        assert "DeleteMarkers" not in found
        uploads = await s3.list_multipart_uploads(Bucket=destination.bucket)
        assert "Uploads" not in uploads


async def sent_unsized(
    browser: httpx.AsyncClient, web: httpx.AsyncClient, method: str, data: bytes
) -> tuple[str, str]:
    """Send a file without its size, as Uppy can; the upload's id and its key."""
    if method == "multipart":
        wish = {"filename": "a.bin", "type": "application/octet-stream"}
        started = (await browser.post("/uppy/s3/multipart", json=wish)).json()
        part = (await browser.get(f"/uppy/s3/multipart/{started['uploadId']}/1")).json()
        assert (await web.put(part["url"], content=data)).status_code == 200
        return started["uploadId"], started["key"]
    answer = (await browser.get("/uppy/s3/params?filename=a.bin")).json()
    if method == "put":
        sent = await web.put(answer["url"], headers=answer["headers"], content=data)
    else:
        file = {"file": ("f", data)}
        sent = await web.post(answer["url"], data=answer["fields"], files=file)
    assert sent.is_success
    return "", answer["fields"]["key"]


async def confirmed_unsized(
    browser: httpx.AsyncClient, method: str, upload_id: str, key: str
) -> httpx.Response:
    if method == "multipart":
        parts = {"parts": [{"PartNumber": 1, "ETag": "x"}]}
        return await browser.post(f"/uppy/s3/multipart/{upload_id}/complete", json=parts)
    return await browser.post("/v1/files", json={"destination": "videos", "key": key})


async def test_concurrent_confirms_pay_once(
    shop: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    session = await minted(shop, destination="videos", max_files=5, max_bytes=1000)
    async with holding(shop, session["token"]) as browser:
        keys = [f"videos/{n}.bin" for n in range(5)]
        for key in keys:
            answer = await browser.post("/v1/upload-url", json={"object_key": key})
            form = answer.json()["upload_url_dict"]
            await web.post(form["url"], data=form["fields"], files={"file": ("f", b"x" * 100)})
        answers = await asyncio.gather(
            *(
                browser.post("/v1/files", json={"destination": "videos", "key": key})
                for key in keys * 6
            )
        )
    assert {answer.status_code for answer in answers} == {200}
    assert await used(shop, session) == (5, 500)


async def test_by_default_it_has_room_for_any_files_of_the_destination(
    shop: httpx.AsyncClient,
) -> None:
    one = await minted(shop)
    assert one["max_files"] == 1
    most = await minted(shop, max_files=10_000)
    assert one["max_bytes"] <= most["max_bytes"] < 1 << 63


async def test_uploads_of_unknown_size_count_as_files_at_once(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    session = await minted(shop, max_files=1, unsized=True)
    async with open_resources(settings) as res:
        caller = await principal_from_token(res, session["token"])
        file = await announce_unsized(res, caller, "files", "a.bin", None)
        assert str(file.session_id) == session["id"]
        with pytest.raises(UploadSessionExhausted):
            await announce_unsized(res, caller, "files", "b.bin", None)
    assert await used(shop, session) == (1, 0)
