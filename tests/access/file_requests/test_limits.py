"""Requests for files: so many, so large, until their end, whoever sends them."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.access import file_requests
from app.core.principal import Scope
from app.db import file_requests as db_file_requests
from app.settings.model import Settings
from tests.access.file_requests.steps import asked, file, holding, sending
from tests.support.service import Clock, bearer, key_for, prepared, running
from tests.support.steps import slug


async def used(shop: httpx.AsyncClient, request: dict[str, Any]) -> tuple[int, int]:
    shown = (await shop.get(f"/v1/requests/{request['id']}")).json()
    return shown["used_files"], shown["used_bytes"]


async def test_two_browsers_with_one_link_get_exactly_what_there_is(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    by_files = await asked(shop, max_files=7)
    by_bytes = await asked(shop, max_files=100, max_bytes=75)
    async with running(settings) as replica:
        for request in (by_files, by_bytes):
            async with sending(shop, request) as one, sending(replica, request) as other:
                answers = await asyncio.gather(
                    *(client.post("/v1/uploads", json=file()) for client in (one, other) * 20)
                )
                assert sorted(a.status_code for a in answers) == [201] * 7 + [403] * 33
                [refused] = {slug(a) for a in answers if a.status_code == 403}
                assert refused == "upload-session-exhausted"
                assert await used(shop, request) == (7, 70)
                left = (await one.get("/v1/requests/open")).json()
                assert left["files_left"] == request["max_files"] - 7
                assert left["bytes_left"] == request["max_bytes"] - 70


async def test_one_file_is_no_larger_than_asked_for(shop: httpx.AsyncClient) -> None:
    request = await asked(shop, max_size=100, max_files=3)
    assert (request["max_size"], request["max_bytes"]) == (100, 300)
    async with sending(shop, request) as browser:
        refused = await browser.post("/v1/uploads", json=file(101))
        assert slug(refused) == "size-not-allowed"
        assert refused.json()["max_size"] == 100
        assert refused.json()["detail"] == (
            "The file has 101 bytes, and no more than 100 bytes may be sent here."
        )
        assert (await browser.post("/v1/uploads", json=file(100))).status_code == 201
        # What was refused was not counted.
        assert await used(shop, request) == (1, 100)
        assert (await browser.get("/v1/requests/open")).json()["destination"]["max_size"] == 100
    most = (await shop.get("/v1/destinations")).json()["items"]
    largest = next(d["max_size"] for d in most if d["name"] == "files")
    assert (await asked(shop, max_size=largest + 1))["max_size"] == largest


async def test_a_file_of_unknown_size_is_not_taken(shop: httpx.AsyncClient) -> None:
    request = await asked(shop, destination="videos")
    async with sending(shop, request) as browser:
        form = await browser.post("/v1/upload-url", json={"object_key": "videos/a.mp4"})
        assert slug(form) == "size-required"
        wanted = {"filename": "a.mp4", "type": "video/mp4", "metadata": {"destination": "videos"}}
        assert slug(await browser.post("/uppy/s3/multipart", json=wanted)) == "size-required"
    assert await used(shop, request) == (0, 0)


async def test_the_link_itself_uploads_nothing(shop: httpx.AsyncClient) -> None:
    request = await asked(shop)
    async with holding(shop, request["token"]) as browser:
        refused = await browser.post("/v1/uploads", json=file())
        assert slug(refused) == "upload-session-exhausted"
        assert "POST /v1/requests/open" in refused.json()["detail"]
        for path in ("/v1/files", "/v1/requests", f"/v1/requests/{request['id']}", "/v1/events"):
            assert (await browser.get(path)).status_code == 403, path
    assert await used(shop, request) == (0, 0)


async def test_a_quota_of_its_owner_holds_and_a_refusal_costs_the_request_nothing(
    environ: dict[str, str],
) -> None:
    ours = {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_QUOTA__OWNER__FILES": "2"}
    settings = await prepared(environ | ours)
    async with running(settings) as client:
        client.headers.update(await key_for(settings, Scope.REQUESTS_MANAGE, Scope.UPLOADS_WRITE))
        request = await asked(client, max_files=5)
        async with sending(client, request) as browser:
            answers = [await browser.post("/v1/uploads", json=file()) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 403]
        assert slug(answers[2]) == "quota-exceeded"
        assert await used(client, request) == (2, 20)


async def test_it_ends(shop: httpx.AsyncClient, clock: Clock) -> None:
    request = await asked(shop, expires_in=3600)
    async with sending(shop, request) as browser:
        assert (await browser.post("/v1/uploads", json=file())).status_code == 201
        clock.ahead += timedelta(seconds=3601)
        assert slug(await browser.post("/v1/uploads", json=file())) == "invalid-token"
    async with holding(shop, request["token"]) as late:
        refused = await late.get("/v1/requests/open")
        assert (slug(refused), refused.json()["detail"]) == (
            "invalid-token",
            "The request for files has expired.",
        )
        assert slug(await late.post("/v1/requests/open")) == "invalid-token"


async def test_closing_ends_it_for_everybody(
    shop: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another process may go on believing the tokens for a while: no longer than this.
    monkeypatch.setattr(file_requests, "STALENESS", timedelta(minutes=5))
    monkeypatch.setattr("app.access.upload_sessions.STALENESS", timedelta(minutes=5))
    request = await asked(shop)
    async with (
        running(settings) as replica,
        sending(replica, request) as elsewhere,
        sending(shop, request) as browser,
    ):
        for one in (browser, elsewhere):
            assert (await one.post("/v1/uploads", json=file())).status_code == 201
        async with holding(replica, request["token"]) as link:
            assert (await link.get("/v1/requests/open")).status_code == 200
            path = f"/v1/requests/{request['id']}"
            for _ in range(2):  # repeating it is no error
                assert (await shop.delete(path)).status_code == 204
            assert slug(await browser.post("/v1/uploads", json=file())) == "invalid-token"
            # Announcing and opening ask the database, whatever is believed.
            ended = await elsewhere.post("/v1/uploads", json=file())
            assert ended.json()["detail"] == "The request has ended: ask for a new one."
            assert slug(await link.post("/v1/requests/open")) == "upload-session-exhausted"
    shown = (await shop.get(path)).json()
    assert shown["revoked_at"] is not None
    assert shown["used_files"] == 2


async def test_so_many_browsers_open_it_and_no_more(
    shop: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    request = await asked(shop)
    await db.execute("UPDATE file_requests SET senders = $1", db_file_requests.MAX_SENDERS - 3)
    headers = bearer(request["token"])
    answers = await asyncio.gather(
        *(shop.post("/v1/requests/open", headers=headers) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 5
    assert await db.fetchval("SELECT count(*) FROM upload_sessions") == 3
