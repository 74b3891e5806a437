"""Requests for files: who makes them, who sends what, and who sees it."""

from typing import Any

import httpx
import pytest

from app.core.principal import Scope
from app.settings.model import Settings
from tests.access.file_requests.steps import NOTE, asked, file, holding, sending
from tests.support.service import Clock, bearer, key_for, log_lines
from tests.support.steps import minted, slug, stored


async def test_it_says_what_was_asked_for(shop: httpx.AsyncClient) -> None:
    request = await asked(shop, max_files=3, max_bytes=1000)
    async with holding(shop, request["token"]) as browser:
        seen = (await browser.get("/v1/requests/open")).json()
    assert seen == {
        "id": request["id"],
        "note": NOTE,
        "destination": {
            "name": "files",
            "content_types": [],
            "extensions": [],
            "min_size": 0,
            "max_size": request["max_size"],
        },
        "files_left": 3,
        "bytes_left": 1000,
        "expires_at": request["expires_at"],
        "sender": {"name": None, "email": None},
        "sent": [],
    }


async def test_each_sees_what_they_have_sent_and_the_maker_sees_all(
    shop: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    request = await asked(shop)
    async with (
        sending(shop, request, name="Bob", email="bob@example.com") as bob,
        sending(shop, request) as other,
    ):
        first = await stored(bob, web, b"one", "one.txt")
        second = await stored(other, web, b"second", "second.txt")
        pending = (await other.post("/v1/uploads", json=file(5, "third.txt"))).json()
        seen = (await bob.get("/v1/requests/open")).json()
        assert seen["sender"] == {"name": "Bob", "email": "bob@example.com"}
        assert [one["filename"] for one in seen["sent"]] == ["one.txt"]
        assert seen["sent"][0]["state"] == "confirmed"
        assert "presigned_url" not in str(seen)
        theirs = (await other.get("/v1/requests/open")).json()["sent"]
        assert [(one["filename"], one["state"]) for one in theirs] == [
            ("third.txt", "pending"),
            ("second.txt", "confirmed"),
        ]
        # Nor does an id help.
        for path in (f"/v1/uploads/{second['id']}", f"/v1/uploads/{pending['id']}"):
            assert slug(await bob.get(path)) == "upload-not-found"
        assert slug(await bob.post(f"/v1/uploads/{second['id']}/confirm")) == "upload-not-found"
        assert slug(await bob.delete(f"/v1/uploads/{pending['id']}")) == "upload-not-found"
        # The name may be told later, and taken back.
        assert (await other.patch("/v1/requests/open", json={"name": "Eve"})).status_code == 204
        assert (await bob.patch("/v1/requests/open", json={"name": "Bob"})).status_code == 204

    path = f"/v1/requests/{request['id']}/files"
    found = (await shop.get(path, params={"limit": 2})).json()
    rest = (await shop.get(path, params={"cursor": found["next_cursor"]})).json()
    assert rest["next_cursor"] is None
    items = [*found["items"], *rest["items"]]
    said = [(i["filename"], i["state"], i["sender"]["name"], i["sender"]["email"]) for i in items]
    assert said == [
        ("third.txt", "pending", "Eve", None),
        ("second.txt", "confirmed", "Eve", None),
        ("one.txt", "confirmed", "Bob", None),
    ]
    assert items[0]["sender"]["id"] == items[1]["sender"]["id"] != items[2]["sender"]["id"]
    # They are the maker's files.
    shown = (await shop.get(f"/v1/files/{first['id']}")).json()
    assert shown["filename"] == "one.txt"
    counted = (await shop.get(f"/v1/requests/{request['id']}")).json()
    assert (counted["senders"], counted["used_files"], counted["used_bytes"]) == (2, 3, 14)


async def test_files_go_into_the_record_that_it_names(
    shop: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    to = {"type": "product", "id": "42", "field": "picture"}
    request = await asked(shop, attach_to=to)
    assert request["attach_to"] == to
    async with sending(shop, request) as browser:
        sent = await stored(browser, web)
    record = (await shop.get("/v1/records/product/42")).json()
    assert record["fields"]["picture"]["file_id"] == sent["id"]


async def test_events_of_files_name_their_request(
    shop: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    begun = (await shop.get("/v1/events")).json()["cursor"]
    request = await asked(shop)
    async with sending(shop, request) as browser:
        sent = await stored(browser, web)
    mine = await stored(shop, web)
    events = (await shop.get("/v1/events", params={"after": begun})).json()["items"]
    told = {event["data"]["id"]: event["data"]["file_request_id"] for event in events}
    assert told == {sent["id"]: request["id"], mine["id"]: None}


async def test_lists_are_the_maker_s(settings: Settings, shop: httpx.AsyncClient) -> None:
    first, second = await asked(shop), await asked(shop, note="Another")
    page = (await shop.get("/v1/requests", params={"limit": 1})).json()
    assert [one["id"] for one in page["items"]] == [second["id"]]
    assert "claimcheck_request" not in str(page)
    page = (await shop.get("/v1/requests", params={"cursor": page["next_cursor"]})).json()
    assert [one["id"] for one in page["items"]] == [first["id"]]
    assert page["next_cursor"] is None

    colleague = await key_for(settings, Scope.REQUESTS_MANAGE, owner="bob", tenant="acme")
    boss = await key_for(
        settings, Scope.REQUESTS_MANAGE, Scope.FILES_ALL, owner="boss", tenant="acme"
    )
    elsewhere = await key_for(
        settings, Scope.REQUESTS_MANAGE, Scope.FILES_ALL, owner="shop", tenant="other"
    )
    path = f"/v1/requests/{first['id']}"
    for stranger in (colleague, elsewhere):
        assert (await shop.get("/v1/requests", headers=stranger)).json()["items"] == []
        for method, where in (("GET", path), ("GET", f"{path}/files"), ("DELETE", path)):
            answer = await shop.request(method, where, headers=stranger)
            assert slug(answer) == "file-request-not-found"
    assert len((await shop.get("/v1/requests", headers=boss)).json()["items"]) == 2
    assert (await shop.get(path)).json()["revoked_at"] is None
    # Sessions that strangers have opened are in no list of sessions.
    async with sending(shop, first):
        mine = await minted(shop)
        listed = (await shop.get("/v1/upload-sessions")).json()["items"]
        assert [one["id"] for one in listed] == [mine["id"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"owner": "ann"}, "scope-not-grantable"),
        ({"destination": "images"}, "destination-forbidden"),
        ({"destination": "nowhere"}, "unknown-destination"),
        ({"note": " \n"}, "validation-failed"),
        ({"note": "a\0b"}, "validation-failed"),
        ({"note": "x" * 2001}, "validation-failed"),
        ({"max_files": 0}, "validation-failed"),
        ({"max_files": 1001}, "validation-failed"),
        ({"expires_in": 59}, "validation-failed"),
        ({"expires_in": 90 * 86_400 + 1}, "validation-failed"),
        ({"attach_to": {"type": "product", "id": "1", "field": "x"}}, "unknown-record-field"),
    ],
)
async def test_what_is_no_request(shop: httpx.AsyncClient, body: dict[str, Any], said: str) -> None:
    wanted = {"destination": "files", "note": NOTE} | body
    assert slug(await shop.post("/v1/requests", json=wanted)) == said
    assert (await shop.get("/v1/requests")).json()["items"] == []


async def test_a_record_s_field_takes_the_right_to_write_records(
    settings: Settings, shop: httpx.AsyncClient
) -> None:
    headers = await key_for(settings, Scope.REQUESTS_MANAGE, Scope.UPLOADS_WRITE)
    field = {"type": "product", "id": "42", "field": "picture"}
    wanted = {"destination": "files", "note": NOTE, "attach_to": field}
    refused = await shop.post("/v1/requests", json=wanted, headers=headers)
    assert (slug(refused), refused.json()["scope"]) == ("insufficient-scope", "records:write")


@pytest.mark.parametrize(
    "sender", [{"email": "bob"}, {"email": "a b@example.com"}, {"name": "x\n"}, {"age": 3}]
)
async def test_who_somebody_cannot_be(shop: httpx.AsyncClient, sender: dict[str, Any]) -> None:
    request = await asked(shop)
    headers = bearer(request["token"])
    answer = await shop.post("/v1/requests/open", json=sender, headers=headers)
    assert slug(answer) == "validation-failed"


async def test_no_other_credential_opens_anything(shop: httpx.AsyncClient) -> None:
    request, session = await asked(shop), await minted(shop)
    for headers in (dict(shop.headers), bearer(session["token"])):
        for method in ("GET", "POST", "PATCH"):
            answer = await shop.request(method, "/v1/requests/open", json={}, headers=headers)
            assert slug(answer) == "file-request-not-found", method
    async with sending(shop, request) as browser:
        # A session opens no other one, and is no way around the number of senders.
        assert slug(await browser.post("/v1/requests/open")) == "file-request-not-found"
    async with holding(shop, request["token"]) as link:
        answer = await link.patch("/v1/requests/open", json={"name": "Bob"})
        assert slug(answer) == "file-request-not-found"
    unknown = request["token"][:-4] + "AAAA"
    async with holding(shop, unknown) as stranger:
        assert slug(await stranger.get("/v1/requests/open")) == "invalid-token"


async def test_it_ends_with_the_key_that_made_it(
    shop: httpx.AsyncClient, settings: Settings
) -> None:
    boss = await key_for(settings, *Scope, owner="boss", tenant="acme")
    wanted = {"name": "made", "scopes": [Scope.REQUESTS_MANAGE, Scope.UPLOADS_WRITE]}
    key = (await shop.post("/v1/api-keys", json=wanted, headers=boss)).json()
    answer = await shop.post(
        "/v1/requests", json={"destination": "files", "note": NOTE}, headers=bearer(key["token"])
    )
    request = answer.json() | {"token": answer.json()["link"].partition("#")[2]}
    kept = await asked(shop)
    async with sending(shop, request) as browser, sending(shop, kept) as other:
        await shop.delete(f"/v1/api-keys/{key['id']}", headers=boss)
        assert slug(await browser.post("/v1/uploads", json=file())) == "invalid-token"
        assert (await other.post("/v1/uploads", json=file())).status_code == 201
        async with holding(shop, request["token"]) as link:
            assert slug(await link.get("/v1/requests/open")) == "invalid-token"
    shown = await shop.get(f"/v1/requests/{request['id']}", headers=boss)
    assert shown.json()["revoked_at"] is not None


async def test_the_log_says_who_asked_and_who_came(
    shop: httpx.AsyncClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    request = await asked(shop)
    async with sending(shop, request, name="Bob"):
        pass
    await shop.delete(f"/v1/requests/{request['id']}")
    lines = [line for line in log_lines(caplog, "audit") if line["event"].startswith("request.")]
    assert [line["event"] for line in lines] == [
        *("request.made", "request.opened", "request.closed")
    ]
    assert {line["file_request_id"] for line in lines} == {request["id"]}
    assert lines[1]["owner"] == "shop"
    assert request["token"] not in caplog.text
