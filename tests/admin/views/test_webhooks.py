"""Webhooks and events in the panel, without a browser."""

import re
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest

from app.events.sequence import sequence
from app.settings.model import Settings
from tests.admin.panel import Panel, resources, said
from tests.admin.views.steps import link, signed_in
from tests.support.service import UNKNOWN_ID
from tests.support.steps import announced, stored

URL = "https://hooks.example.com/in"


async def made(panel: Panel, **values: Any) -> tuple[str, str]:
    """A new webhook's page below /admin, and its secret."""
    answer = await panel.post("/webhooks", {"url": URL} | values)
    assert answer.status_code == 200, said(answer)
    [secret] = re.findall(r'<code id="secret">(whsec_[\w+/=]+)<', answer.text)
    [webhook] = re.findall(r"/webhooks/([0-9a-f-]{36})/change", answer.text)
    return f"/webhooks/{webhook}", secret


async def sequenced(settings: Settings) -> None:
    """Give events their places, and webhooks their deliveries, as a worker does first."""
    async with resources(settings) as res:
        await sequence(res)


async def test_a_webhook_is_made_changed_and_deleted(panel: Panel, settings: Settings) -> None:
    assert "No webhooks yet" in await panel.page("/webhooks")
    at, secret = await made(
        panel, description="shop <i>", types=["file.confirmed"], destinations=["images"]
    )
    listed = await panel.get("/webhooks")
    assert f"{URL} shop <i> file.confirmed of files of images On" in said(listed)
    page = await panel.get(at)
    assert "by staff:ann@example.com" in said(page)
    assert secret not in listed.text + page.text

    form = await panel.get(link(page, "Change…"))
    assert re.findall(r'value="([^"]+)" checked', form.text) == ["file.confirmed", "images"]
    changes = {"url": f"{URL}/2", "types": ["file.removed", "file.rejected"]}
    changed = await panel.act(f"{at}/change", changes)
    assert "The webhook is changed." in changed
    assert f"{URL}/2 Send a test event" in changed
    assert "Hears of file.rejected file.removed Made" in changed

    assert "Switch the webhook off?" in await panel.page(f"{at}/off")
    assert "State On" in await panel.page(at)
    assert "The webhook is off. State Off" in await panel.act(f"{at}/off")
    assert "The webhook is off: switch it on" in await panel.act(f"{at}/test")
    assert "The webhook is on. State On" in await panel.act(f"{at}/on")

    assert "Hours for which both are valid" in await panel.page(f"{at}/rotate")
    for hours in ("", "-1", "169", "x"):
        refused = await panel.post(f"{at}/rotate", {"hours": hours})
        assert refused.status_code == 422
        assert "Both are valid for 0 to 168 hours." in said(refused)
    rotated = await panel.post(f"{at}/rotate", {"hours": "24"})
    [another] = re.findall(r'<code id="secret">(whsec_[\w+/=]+)<', rotated.text)
    assert another != secret
    assert "signed with the one before, too, until" in said(rotated)
    await panel.post(f"{at}/rotate", {"hours": "0"})
    assert "the one before" not in await panel.page(at)

    assert "Delete the webhook?" in await panel.page(f"{at}/delete")
    gone = await panel.act(f"{at}/delete")
    assert "The webhook is deleted. No webhooks yet" in gone
    assert (await panel.get(at)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": ""}, "Write a whole URL"),
        ({"url": "http://hooks.example.com/"}, "Webhooks go to https alone"),
        ({"url": "https://169.254.169.254/latest"}, "not an address of the public internet"),
        ({"url": "https://a.example.com/" + "x" * 2048}, "Url: "),
        ({"description": "x" * 256}, "Description: "),
        ({"description": "a\0b"}, "Description: "),
        ({"types": "file.lost"}, "Types: "),
    ],
)
async def test_a_webhook_that_cannot_be(panel: Panel, changes: dict[str, Any], words: str) -> None:
    at, _ = await made(panel)
    for path in ("/webhooks", f"{at}/change"):
        refused = await panel.post(path, {"url": URL} | changes)
        assert refused.status_code == 422
        assert words in said(refused)
        assert "whsec_" not in refused.text
    assert (await panel.get("/webhooks")).text.count("hooks.<wbr>example") <= 1


async def test_what_was_not_taken_is_shown_and_sent_again(
    panel: Panel, settings: Settings, db: asyncpg.Connection
) -> None:
    at, _ = await made(panel)
    assert "A test event is on its way." in await panel.act(f"{at}/test")
    await sequenced(settings)
    page = await panel.page(at)
    assert "webhook.test" in page
    assert "Pending never Try now" in page
    await db.execute(
        "UPDATE deliveries SET state = 'dead', failures = 10, tried_at = due_at, status = 503, "
        "error = 'It answered 503: <b>deploying', took_ms = 1234"
    )
    for state, is_there in ("dead", True), ("delivered", False), ("nosuch", True):
        page = await panel.page(f"{at}?state={state}&cursor=nonsense")
        assert ("Dead 10 failures" in page) is is_there
        assert ("It answered 503: <b>deploying 1,234 ms Send again" in page) is is_there
    html = (await panel.get(f"{at}?state=dead")).text
    assert "<b>deploying" not in html
    [again] = re.findall(r'formaction="/admin([^"]+)"', html)
    assert again.endswith("/resend?state=dead")
    assert "Send the event again?" in await panel.page(again)
    assert "is on its way again." in await panel.act(again)
    assert await db.fetchval("SELECT state FROM deliveries") == "pending"

    for since, words, count in (
        ("", "Say since when", 0),
        ("yesterday", "Say since when", 0),
        ("2999-01-01T00:00", "0 events are on the way again.", 0),
        ("0001-01-01T00:00", "1 event is on the way again.", 1),
    ):
        await db.execute("UPDATE deliveries SET state = 'dead'")
        asked = f"{at}/resend-dead?since={since}"
        await panel.page(asked)
        assert await db.fetchval("SELECT state FROM deliveries") == "dead"
        assert words in await panel.act(asked)
        found = await db.fetchval("SELECT count(*) FROM deliveries WHERE state = 'pending'")
        assert found == count
    unknown = await panel.act(f"{at}/events/{UNKNOWN_ID}/resend")
    assert "This event was not for this webhook" in unknown
    assert (await panel.post(f"{at}/events/x/resend")).status_code == 404


async def test_deliveries_page_by_page(
    panel: Panel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.webhooks.PAGE", 1)
    at, _ = await made(panel)
    for _ in range(3):
        await panel.act(f"{at}/test")
    await sequenced(settings)
    page = await panel.get(f"{at}?state=pending")
    seen = re.findall(r"events/([0-9a-f-]{36})/resend", page.text)
    while ">Next</a>" in page.text:
        page = await panel.get(link(page, "Next"))
        seen += re.findall(r"events/([0-9a-f-]{36})/resend", page.text)
    assert len(seen) == len(set(seen)) == 3
    assert seen == sorted(seen, reverse=True)
    assert seen[0] in (await panel.get(link(page, "First"))).text


async def test_events_are_found_by_file_and_by_request(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel, settings: Settings
) -> None:
    assert "No events" in await panel.page("/events")
    await made(panel)
    client.headers["x-request-id"] = "order-7"
    file = await stored(client, web, b"hello", "<b>notes.txt")
    client.headers["x-request-id"] = "order-8"
    await client.put("/v1/records/product/42/papers", json={"file_ids": [file["id"]]})
    await client.delete("/v1/records/product/42/papers")
    upload = await announced(client, b"x", "other.txt")
    await client.delete(f"/v1/uploads/{upload['id']}")
    newest = await panel.page("/events")
    order = [newest.index(one) for one in ("upload.expired", "record.changed", "file.confirmed")]
    assert order == sorted(order)

    page = await panel.get(f"/files/{file['id']}")
    assert "file.confirmed" in said(page)
    found = await panel.page(link(page, "<code>order-7</code>"))
    assert f"<b>notes.txt {file['id']} shop order-7" in found
    assert "record.changed" not in found
    found = await panel.page("/events?q=%20order-8%20")
    assert "file.confirmed" not in found
    assert found.count("record.changed") == 2
    assert f"other.txt {upload['id']}" in found
    assert (await panel.page(f"/events?q={file['id']}")).count("file.confirmed") == 1
    assert (await panel.page("/events?q=product/42")).count("record.changed") == 2
    for nothing in ("nosuch", "%25", "x%00"):
        assert "No event of this id" in await panel.page(f"/events?q={nothing}")
    # From the files' own search box, too.
    named = await panel.get("/files?q=order-8")
    assert "other.txt" in said(named)
    assert "notes.txt" not in said(named)
    assert "record.changed" in await panel.page(link(named, "Look at the events"))
    # Before a worker gave them their places, and afterwards.
    await sequenced(settings)
    assert await panel.page("/events") == newest


async def test_who_may_see_and_who_may_change(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    panel: Panel,
    browsers: Callable[[], Panel],
    settings: Settings,
    db: asyncpg.Connection,
) -> None:
    at, _ = await made(panel)
    await panel.act(f"{at}/test")
    file = await stored(client, web)
    await sequenced(settings)
    before = await db.fetch("SELECT * FROM webhooks"), await db.fetch("SELECT * FROM deliveries")
    [event] = re.findall(r"events/([0-9a-f-]{36})/resend", (await panel.get(at)).text)[-1:]
    deeds = ("change", "rotate", "on", "off", "delete", "test", f"events/{event}/resend")
    deeds += ("resend-dead?since=2020-01-01",)
    data = {"url": f"{URL}/elsewhere", "hours": "0"}

    reader = await signed_in(
        browsers(), settings, "bob", tenant="acme", scopes=["events:read", "files:read"]
    )
    assert "file.confirmed" in await reader.page(f"/files/{file['id']}")
    assert "A new webhook" not in await reader.page("/webhooks")
    page = await reader.page(at)
    assert "webhook.test" in page
    for word in ("Send", "Change", "Switch", "Delete", "New secret", "Try now"):
        assert word not in page
    other = await signed_in(
        browsers(), settings, "carl", tenant="acme", scopes=["admin", "files:read"]
    )
    assert "file.confirmed" not in await other.page(f"/files/{file['id']}")
    for path in ("/events", "/webhooks", at):
        assert (await other.get(path)).status_code == 403
    stranger = await signed_in(browsers(), settings, "eve", tenant="other")
    assert "No webhooks yet" in await stranger.page("/webhooks")
    assert "No events" in await stranger.page("/events")
    assert "No event of this id" in await stranger.page(f"/events?q={file['id']}")
    assert (await stranger.get(at)).status_code == 404
    for deed in deeds:
        for whose, status in (reader, 403), (other, 403), (stranger, 404):
            assert (await whose.get(f"{at}/{deed}")).status_code == status
            assert (await whose.post(f"{at}/{deed}", data)).status_code == status, deed
        # Nor without the form's own token, or from another site.
        for forged in {"csrftoken": "x"}, {"csrftoken": ""}:
            assert (await panel.post(f"{at}/{deed}", data | forged)).status_code == 403, deed
        elsewhere = {"origin": "https://evil.example.com"}
        assert (await panel.post(f"{at}/{deed}", data, headers=elsewhere)).status_code == 403
    for whose in reader, other:
        assert (await whose.post("/webhooks", data)).status_code == 403
    assert (await panel.post("/webhooks", data | {"csrftoken": "x"})).status_code == 403
    after = await db.fetch("SELECT * FROM webhooks"), await db.fetch("SELECT * FROM deliveries")
    assert after == before
