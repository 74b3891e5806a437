"""Upload sessions: so many files and bytes to one destination, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app import upload_sessions
from app.auth import principal_from_token
from app.core.principal import Scope
from app.errors import UploadSessionExhausted
from app.multipart import announce_unsized
from app.resources import open_resources
from app.settings import Settings
from tests.support.samples import PNG
from tests.support.service import (
    UNKNOWN_ID,
    Clock,
    bearer,
    key_for,
    owner_of_bucket,
    prepared,
    running,
)
from tests.support.steps import announced, minted, send, slug, stored


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_DATABASE_POOL_SIZE": "10",
            "CLAIMCHECK_DESTINATIONS__VIDEOS__ALLOW_CLIENT_KEYS": "true",
            "CLAIMCHECK_DESTINATIONS__VIDEOS__CONTENT_TYPES": "*/*",
            "CLAIMCHECK_DESTINATIONS__IMAGES__SCOPES": "studio",
            "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
        }
    )


@pytest.fixture
async def shop(settings: Settings, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """The back end, which makes sessions for its users."""
    async with running(settings, clock=clock) as client:
        client.headers.update(await key_for(settings, *Scope, owner="shop", tenant="acme"))
        yield client


@asynccontextmanager
async def holding(client: httpx.AsyncClient, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """The same service, for the browser that holds this token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(client._transport.app, raise_app_exceptions=False),  # type: ignore[attr-defined]
        base_url=client.base_url,
        headers=bearer(token),
    ) as browser:
        yield browser


async def test_a_browser_uploads_with_it(shop: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    session = await minted(shop, owner="ann", max_files=2, max_bytes=100, expires_in=600)
    assert session["token"].startswith("claimcheck_upload_")
    assert (session["owner"], session["tenant"], session["created_by"]) == ("ann", "acme", "shop")
    async with holding(shop, session["token"]) as browser:
        file = await stored(browser, web, b"hello")
        upload = await announced(browser, b"x" * 95)
        shown = await browser.get(f"/v1/uploads/{upload['id']}")
        assert shown.json()["state"] == "pending"
        assert (await browser.post(f"/v1/uploads/{upload['id']}/renew")).status_code == 200
        assert (await browser.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
        [destination] = (await browser.get("/v1/destinations")).json()["items"]
        assert destination["name"] == "files"
    used = (await shop.get(f"/v1/upload-sessions/{session['id']}")).json()
    assert (used["used_files"], used["used_bytes"]) == (2, 100)
    assert "token" not in used
    # The files are his for whom it was made.
    assert (await shop.get(f"/v1/files/{file['id']}")).status_code == 200


async def test_and_does_nothing_else(
    shop: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    session = await minted(shop, owner="ann", max_files=9)
    other = await minted(shop, owner="ann", max_files=9)
    ann = await key_for(settings, *Scope, owner="ann", tenant="acme")
    async with holding(shop, other["token"]) as browser:
        elsewhere = await announced(browser, b"x")
    hers = (await shop.post("/v1/uploads", json=ANNOUNCEMENT, headers=ann)).json()
    async with holding(shop, session["token"]) as browser:
        mine = await stored(browser, web)
        for upload in (elsewhere, hers):
            address = f"/v1/uploads/{upload['id']}"
            for method, path in (
                ("GET", address),
                ("POST", f"{address}/renew"),
                ("POST", f"{address}/confirm"),
                ("DELETE", address),
                ("GET", f"{address}/parts"),
            ):
                response = await browser.request(method, path)
                assert (response.status_code, slug(response)) == (404, "upload-not-found"), path
            response = await browser.post("/v1/files", json={"url": upload["url"]})
            assert (response.status_code, slug(response)) == (404, "upload-not-found")
        for method, path, body in (
            ("GET", "/v1/files", None),
            ("GET", f"/v1/files/{mine['id']}", None),
            ("GET", f"/v1/files/{mine['id']}/content", None),
            ("DELETE", f"/v1/files/{mine['id']}", None),
            ("POST", "/v1/files/presign", {"ids": [mine["id"]]}),
            ("POST", "/v1/upload-sessions", {"destination": "files"}),
            ("GET", f"/v1/upload-sessions/{session['id']}", None),
            ("DELETE", f"/v1/upload-sessions/{session['id']}", None),
            ("GET", "/v1/api-keys", None),
            ("POST", "/v1/api-keys", {"name": "x", "scopes": ["uploads:write"]}),
            ("DELETE", f"/v1/api-keys/{UNKNOWN_ID}", None),
        ):
            response = await browser.request(method, path, json=body)
            assert (response.status_code, slug(response)) == (403, "insufficient-scope"), path
        # Nor does it put what it confirms into anybody's records.
        slot = {"type": "product", "id": "42", "field": "picture"}
        for path, body in (
            (f"/v1/uploads/{mine['id']}/confirm", {}),
            ("/v1/files", {"url": mine["url"]}),
        ):
            response = await browser.post(path, json=body | {"attach_to": slot})
            assert (response.status_code, slug(response)) == (403, "insufficient-scope")
            assert response.json()["scope"] == "records:write"
        for destination in ("images", "videos"):
            body = ANNOUNCEMENT | {"destination": destination}
            response = await browser.post("/v1/uploads", json=body)
            assert (response.status_code, slug(response)) == (403, "destination-forbidden")
        response = await browser.post("/v1/upload-url", json={"object_key": "videos/a.mp4"})
        assert slug(response) == "client-keys-not-allowed"
        response = await browser.post("/v1/uploads", json=ANNOUNCEMENT | {"destination": "none"})
        assert slug(response) == "unknown-destination"


ANNOUNCEMENT: dict[str, Any] = {"destination": "files", "filename": "a.png", "size": 10}


async def announce(browser: httpx.AsyncClient, **changes: Any) -> str:
    response = await browser.post("/v1/uploads", json=ANNOUNCEMENT | changes)
    return "" if response.status_code == 201 else slug(response)


async def used(shop: httpx.AsyncClient, session: dict[str, Any]) -> tuple[int, int]:
    shown = (await shop.get(f"/v1/upload-sessions/{session['id']}")).json()
    return shown["used_files"], shown["used_bytes"]


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
        session = await minted(service, destination="videos", max_files=3, max_bytes=10)
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
    """What Uppy does with a file whose size it does not say; the upload's id and its key."""
    if method == "multipart":
        wish = {"filename": "a.bin", "type": "application/octet-stream"}
        begun = (await browser.post("/uppy/s3/multipart", json=wish)).json()
        part = (await browser.get(f"/uppy/s3/multipart/{begun['uploadId']}/1")).json()
        assert (await web.put(part["url"], content=data)).status_code == 200
        return begun["uploadId"], begun["key"]
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


async def test_it_ends_when_it_expires(shop: httpx.AsyncClient, clock: Clock) -> None:
    session = await minted(shop, max_files=9, expires_in=60)
    async with holding(shop, session["token"]) as browser:
        upload = await announced(browser, b"x")
        clock.ahead = timedelta(seconds=60)
        for method, path in (
            ("POST", "/v1/uploads"),
            ("GET", f"/v1/uploads/{upload['id']}"),
            ("POST", f"/v1/uploads/{upload['id']}/confirm"),
        ):
            response = await browser.request(method, path, json=ANNOUNCEMENT)
            assert (response.status_code, slug(response)) == (401, "invalid-token")
            assert "expired" in response.json()["detail"]


async def test_it_ends_when_it_is_revoked(
    shop: httpx.AsyncClient,
    settings: Settings,
    clock: Clock,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Longer than a busy machine takes for a few requests.
    remembered = timedelta(minutes=5)
    monkeypatch.setattr(upload_sessions, "STALENESS", remembered)
    session = await minted(shop, max_files=9)
    async with running(settings, clock=clock) as replica:
        replica.headers.update(bearer(session["token"]))
        async with holding(shop, session["token"]) as browser:
            upload = await announced(browser, b"x")
            await send(web, upload["upload"], b"x")
            assert (await replica.get(f"/v1/uploads/{upload['id']}")).status_code == 200
            for _ in range(2):
                gone = await shop.delete(f"/v1/upload-sessions/{session['id']}")
                assert gone.status_code == 204
            assert await announce(browser) == "invalid-token"
        # A replica that has heard nothing yet announces nothing either.
        assert await announce(replica) == "upload-session-exhausted"
        clock.ahead = remembered
        response = await replica.post(f"/v1/uploads/{upload['id']}/confirm")
        assert (response.status_code, slug(response)) == (401, "invalid-token")
    shown = (await shop.get(f"/v1/upload-sessions/{session['id']}")).json()
    assert shown["revoked_at"] is not None
    assert shown["used_files"] == 1


async def test_who_may_make_one(shop: httpx.AsyncClient, settings: Settings) -> None:
    plain = await key_for(settings, "sessions:mint", owner="plain")
    for body, problem in (
        ({"destination": "images"}, "destination-forbidden"),
        ({"destination": "none"}, "unknown-destination"),
    ):
        response = await shop.post("/v1/upload-sessions", json=body, headers=plain)
        assert slug(response) == problem
    studio = await key_for(settings, "sessions:mint", "studio", owner="studio")
    session = await shop.post("/v1/upload-sessions", json={"destination": "images"}, headers=studio)
    assert session.status_code == 201
    # The browser needs no such scope: its maker was asked.
    async with holding(shop, session.json()["token"]) as browser:
        assert await announce(browser, destination="images") == ""
    # Made by another, in the same tenant.
    theirs = f"/v1/upload-sessions/{session.json()['id']}"
    for method in ("GET", "DELETE"):
        response = await shop.request(method, theirs, headers=plain)
        assert (response.status_code, slug(response)) == (404, "upload-session-not-found")
        unknown = await shop.request(method, f"/v1/upload-sessions/{UNKNOWN_ID}", headers=plain)
        assert slug(unknown) == "upload-session-not-found"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_files": 0},
        {"max_files": 10_001},
        {"max_files": 1.5},
        {"max_files": True},
        {"max_bytes": -1},
        {"max_bytes": 1 << 63},
        {"expires_in": 59},
        {"expires_in": 604_801},
        {"owner": ""},
        {"owner": "a\nb"},
        {"owner": "x" * 256},
        {"tenant": "other"},
        {"scopes": ["files:read"]},
        {"destination": ""},
    ],
)
async def test_what_is_no_session_is_refused(
    shop: httpx.AsyncClient, wrong: dict[str, Any]
) -> None:
    response = await shop.post("/v1/upload-sessions", json={"destination": "files"} | wrong)
    assert (response.status_code, slug(response)) == (422, "validation-failed")


async def test_by_default_it_has_room_for_any_files_of_the_destination(
    shop: httpx.AsyncClient,
) -> None:
    one = await minted(shop)
    assert one["max_files"] == 1
    most = await minted(shop, max_files=10_000)
    assert one["max_bytes"] <= most["max_bytes"] < 1 << 63


PARAMS = "/s3/params?filename=a.png&type=image%2Fpng"


async def test_it_also_stands_in_the_path_of_uppys_door(
    shop: httpx.AsyncClient, web: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    session = await minted(shop, destination="videos", max_files=2, max_bytes=len(PNG) + 1)
    other = await minted(shop, destination="videos", max_files=9)
    del shop.headers["Authorization"]
    door = f"/uppy/{session['token']}"
    answer = await shop.get(f"{door}{PARAMS}")  # to the one destination that it is for
    assert answer.status_code == 200
    form = answer.json()
    assert form["fields"]["key"].startswith("videos/")
    sent = await web.post(form["url"], data=form["fields"], files={"file": ("f", PNG)})
    assert sent.status_code == 201
    body = {"destination": "videos", "key": form["fields"]["key"]}
    confirmed = await shop.post("/v1/files", json=body, headers=bearer(session["token"]))
    assert confirmed.status_code == 200

    begun = await shop.post(f"{door}/s3/multipart", json={"filename": "b.mp4", "type": "video/mp4"})
    assert begun.status_code == 200
    upload = f"/s3/multipart/{begun.json()['uploadId']}"
    assert (await shop.get(f"{door}{upload}/1")).status_code == 200
    assert (await shop.get(f"{door}{upload}")).json() == []
    # Nobody else's: another session of the same maker, for the same owner.
    for method, path in (("GET", ""), ("GET", "/1"), ("GET", "/batch?partNumbers=1")):
        foreign = await shop.request(method, f"/uppy/{other['token']}{upload}{path}")
        assert (foreign.status_code, slug(foreign)) == (404, "upload-not-found"), path
    foreign = await shop.post(
        f"/uppy/{other['token']}{upload}/complete",
        json={"parts": [{"PartNumber": 1, "ETag": "x"}]},
    )
    assert (foreign.status_code, slug(foreign)) == (404, "upload-not-found")
    assert (await shop.delete(f"/uppy/{other['token']}{upload}")).json() == {}
    assert (await shop.get(f"{door}{upload}")).status_code == 200

    used_up = await shop.get(f"{door}{PARAMS}")
    assert (used_up.status_code, slug(used_up)) == (403, "upload-session-exhausted")
    elsewhere = await shop.get(f"/uppy/{other['token']}/to/files{PARAMS}")
    assert (elsewhere.status_code, slug(elsewhere)) == (403, "destination-forbidden")
    lost = await shop.get(f"/somewhere/{session['token']}/else")
    assert lost.status_code == 404
    ours = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("claimcheck"))
    for secret in (session["token"], other["token"]):
        assert secret.removeprefix("claimcheck_upload_") not in ours
    assert "/somewhere/claimcheck_upload_.../else" in ours


async def test_no_other_token_stands_in_a_path(shop: httpx.AsyncClient, settings: Settings) -> None:
    key = (await key_for(settings, *Scope))["Authorization"].removeprefix("Bearer ")
    session = await minted(shop, destination="files")
    for token in (key, "x", session["token"][:-1], session["token"] + "a"):
        # Not even beside a bearer that would do.
        response = await shop.get(f"/uppy/{token}{PARAMS}")
        assert (response.status_code, slug(response)) == (401, "invalid-token")
    del shop.headers["Authorization"]
    response = await shop.get(f"/uppy{PARAMS}")
    assert (response.status_code, slug(response)) == (401, "credential-required")


async def test_uploads_of_unknown_size_count_as_files_at_once(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    session = await minted(shop, max_files=1)
    async with open_resources(settings) as res:
        caller = await principal_from_token(res, session["token"])
        file = await announce_unsized(res, caller, "files", "a.bin", None)
        assert str(file.session_id) == session["id"]
        with pytest.raises(UploadSessionExhausted):
            await announce_unsized(res, caller, "files", "b.bin", None)
    assert await used(shop, session) == (1, 0)
