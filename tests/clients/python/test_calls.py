"""Links, lists, records, sessions, events and webhooks by the Python client."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from claimcheck_client import Client, InvalidSignature, Problem, verify

from app.core.webhook_signature import secret_text, signed_headers
from tests.clients.python.place import Caller, Place
from tests.support.service import UNKNOWN_ID


@pytest.mark.usefixtures("same_links")
async def test_files_and_links(caller: Caller) -> None:
    mark = {"mark": type(caller.client).__name__}
    names = [f"file-{n}.txt" for n in range(3)]
    files = [
        await caller("upload", b"hello", "files", filename=name, metadata=mark) for name in names
    ]
    changed = await caller("change", files[0]["id"], filename="new.txt", metadata={"page": 1})
    assert (changed["filename"], changed["metadata"]) == ("new.txt", {**mark, "page": 1})
    found = await caller.listed("files", metadata=mark, attached=False, content_type="text/*")
    assert [file["filename"] for file in found] == ["file-2.txt", "file-1.txt", "new.txt"]
    ids = [file["id"] for file in files]
    links = await caller("links", [*ids, UNKNOWN_ID])
    assert [link.get("id") for link in links] == [*ids, None]
    assert links[-1]["problem"]["type"].endswith("file-not-found")
    assert await caller("links", urls=[files[1]["url"]]) == [links[1]]
    assert await caller("link", ids[0]) == links[0]["presigned_url"]
    await caller("delete", ids[0], with_object=True)
    with pytest.raises(Problem) as problem:
        await caller("link", ids[0])
    assert problem.value.type == "file-not-found"
    assert await caller("links", []) == []


async def test_lists_go_on(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [(await caller("sessions.mint", "files", owner="ann"))["id"] for _ in range(3)]
    seen: list[str] = []

    def query(params: Any) -> str:
        seen.append(params.get("cursor"))
        return original({**params, "limit": 2} if "limit" in params else params)

    from claimcheck_client import steps

    original = steps.query
    monkeypatch.setattr(steps, "query", query)
    found = [session["id"] for session in await caller.listed("sessions.list")]
    assert found[:3] == made[::-1]
    assert len(seen) > 1


async def test_records(caller: Caller) -> None:
    at = {"type": "product", "id": f"p-{type(caller.client).__name__}", "field": "paper"}
    file = await caller("upload", b"hello", "files", filename="a.txt", attach_to=at)
    record = await caller("records.get", "product", at["id"])
    assert record["fields"]["paper"]["file_id"] == file["id"]
    other = await caller("upload", b"other", "files", filename="b.txt")
    args = ("product", at["id"], "paper")
    await caller("records.put", *args, other["id"], if_match=record["etag"])
    with pytest.raises(Problem) as problem:
        await caller("records.put", *args, file["id"], if_match=record["etag"])
    assert problem.value.type == "precondition-failed"
    many = await caller("records.get_many", "product", [at["id"], "none"], fields=["paper"])
    assert many["items"][0]["fields"]["paper"]["file_id"] == other["id"]
    assert many["missing"] == ["none"]
    await caller("records.empty", *args)
    assert (await caller("records.get", "product", at["id"]))["fields"]["paper"] is None


async def test_sessions(caller: Caller, place: Place) -> None:
    session = await caller("sessions.mint", "files", owner="ann", max_files=2)
    with Client(place.url, session["token"], cache=None) as client:
        browser = Caller(client)
        await browser("upload", b"hello", "files", filename="a.txt")
        with pytest.raises(Problem) as problem:
            await browser("upload", b"hello", "put", filename="a.txt")
        assert problem.value.type == "destination-forbidden"
    assert (await caller("sessions.get", session["id"]))["used_files"] == 1
    await caller("sessions.end", session["id"])


async def test_events(caller: Caller) -> None:
    start = await first(caller.client.events("latest"))
    assert start["items"] == []
    file = await caller("upload", b"hello", "files", filename="a.txt")
    page = await first(caller.client.events(start["cursor"], types=["file.confirmed"]))
    [event] = page["items"]
    assert (event["type"], event["data"]["id"]) == ("file.confirmed", file["id"])


async def first(pages: Any) -> Any:
    if hasattr(pages, "__anext__"):
        return await anext(pages)
    return await asyncio.to_thread(next, pages)


SECRET = b"s" * 32
BODY = json.dumps({"type": "file.confirmed", "timestamp": "", "data": {"id": "1"}}).encode()


def signed(at: float, body: bytes = BODY) -> dict[str, str]:
    return signed_headers([b"other", SECRET], "message-1", int(at), body)


def test_webhooks() -> None:
    headers = {name.title(): value for name, value in signed(time.time()).items()}
    event = verify(secret_text(SECRET), headers, BODY)
    assert (event["id"], event["type"]) == ("message-1", "file.confirmed")


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        (signed(1000), BODY + b" ", "not signed with this secret"),
        (signed(1000) | {"webhook-id": "message-2"}, BODY, "not signed with this secret"),
        (signed(1000) | {"webhook-signature": "v1,ä"}, BODY, "not signed with this secret"),
        (signed(1000 - 301), BODY, "too long ago"),
        (signed(1000 + 301), BODY, "too long ago"),
        (signed(1000) | {"webhook-timestamp": "now"}, BODY, "not the headers"),
        ({}, BODY, "not the headers"),
    ],
)
def test_webhooks_of_others(headers: dict[str, str], body: bytes, why: str) -> None:
    with pytest.raises(InvalidSignature, match=why):
        verify(secret_text(SECRET), headers, body, now=1000)


@pytest.mark.parametrize("secret", ["whsec_?", "whsec_", ""])
def test_a_secret_that_is_none(secret: str) -> None:
    by_anybody = signed_headers([b""], "message-1", 1000, BODY)
    with pytest.raises(ValueError, match="whsec_"):
        verify(secret, by_anybody, BODY, now=1000)


def test_the_time_that_the_service_has() -> None:
    seen: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, json={"items": []})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        Client("http://a.example", http=http).destinations()
        Client("http://a.example", timeout=3, http=http).destinations()
    assert [times["read"] for times in seen] == [60, 3]
