"""Upload sessions: who makes them, what they open, and when they end."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.access import upload_sessions
from app.core.principal import Scope
from app.settings.model import Settings
from tests.access.upload_sessions.steps import ANNOUNCEMENT, announce, holding
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID, Clock, bearer, key_for, running
from tests.support.steps import announced, minted, send, slug, stored


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
    # The files belong to the owner for whom it was made.
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
        field = {"type": "product", "id": "42", "field": "picture"}
        for path, body in (
            (f"/v1/uploads/{mine['id']}/confirm", {}),
            ("/v1/files", {"url": mine["url"]}),
        ):
            response = await browser.post(path, json=body | {"attach_to": field})
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


PARAMS = "/s3/params?filename=a.png&type=image%2Fpng"


async def test_it_also_stands_in_the_path_of_uppys_door(
    shop: httpx.AsyncClient, web: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    session = await minted(
        shop, destination="videos", max_files=2, max_bytes=len(PNG) + 1, unsized=True
    )
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

    started = await shop.post(
        f"{door}/s3/multipart", json={"filename": "b.mp4", "type": "video/mp4"}
    )
    assert started.status_code == 200
    upload = f"/s3/multipart/{started.json()['uploadId']}"
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
