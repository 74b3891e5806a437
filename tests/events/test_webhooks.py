"""Webhooks as a back end manages them, by the API and by the command line."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.principal import Scope
from app.events.webhooks import MAX_WEBHOOKS
from app.settings.model import Settings, load_settings
from tests.support.command import claimcheck
from tests.support.receiver import receiver
from tests.support.secrets_in_logs import secrets_in
from tests.support.service import UNKNOWN_ID, key_for, log_lines, running

URL = "https://hooks.example.com/in"


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    """Without a bucket: nothing here asks for one."""
    return load_settings(environ)


async def made(client: httpx.AsyncClient, **values: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", json={"url": URL} | values)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_webhook_is_made_changed_and_deleted(
    client: httpx.AsyncClient, db: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    new = await made(client, types=["file.removed", "file.confirmed"], description="shop")
    secret = new.pop("secret")
    path = f"/v1/webhooks/{new['id']}"
    assert (await client.get(path)).json() == new
    assert new["types"] == ["file.confirmed", "file.removed"]
    assert (await client.get("/v1/webhooks")).json() == {"items": [new]}
    changed = (await client.patch(path, json={"enabled": False, "types": []})).json()
    assert changed == new | {"enabled": False, "ended": "asked", "types": []}
    assert (await client.patch(path, json={"enabled": True})).json()["ended"] is None
    rotated = (await client.post(f"{path}/rotate-secret")).json()
    assert rotated["secret"] != secret
    assert rotated["both_secrets_until"] is not None
    # No column has a secret, or what would be one in another notation.
    row = await db.fetchrow("SELECT * FROM webhooks")
    assert not [*secrets_in(repr(row))]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    events = [line["event"] for line in log_lines(caplog, "audit")]
    assert events == [
        *("webhook.created", "webhook.changed", "webhook.changed"),
        *("webhook.secret_rotated", "webhook.deleted"),
    ]


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"url": "http://hooks.example.com/"}, "webhook-url-refused"),
        ({"url": "https://169.254.169.254/latest"}, "webhook-url-refused"),
        ({"url": URL, "types": ["file.lost"]}, "validation-failed"),
        ({"url": URL, "description": "a\0b"}, "validation-failed"),
        ({"url": URL, "destinations": ["a\0b"]}, "validation-failed"),
        ({"url": URL, "enabled": "no"}, "validation-failed"),
        ({"url": URL, "secret": "x"}, "validation-failed"),
        ({}, "validation-failed"),
    ],
)
async def test_what_cannot_be_made(
    client: httpx.AsyncClient, body: dict[str, Any], slug: str
) -> None:
    answer = await client.post("/v1/webhooks", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(f":{slug}")


@pytest.mark.parametrize("body", [{"url": None}, {"enabled": None}, {"url": "http://x.example/"}])
async def test_what_cannot_be_changed(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    path = f"/v1/webhooks/{(await made(client))['id']}"
    assert (await client.patch(path, json=body)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("GET", "/deliveries", None),
        ("POST", "/test", None),
        ("POST", "/rotate-secret", None),
        ("POST", "/resend", {"event_id": UNKNOWN_ID}),
        ("POST", "/resend", {"since": "2026-11-22T19:00:00Z"}),
    ],
)
async def test_nobody_reaches_another_tenants(
    environ: dict[str, str], method: str, path: str, body: Any
) -> None:
    settings = load_settings(environ | {"CLAIMCHECK_AUTH": "keys"})
    scope = Scope.WEBHOOKS_MANAGE
    ours, theirs = [await key_for(settings, scope, tenant=name) for name in ("a", "b")]
    other_scope = await key_for(settings, Scope.ADMIN, tenant="a")
    async with running(settings) as client:
        found = await client.post("/v1/webhooks", json={"url": URL}, headers=ours)
        path = f"/v1/webhooks/{found.json()['id']}{path}"
        for headers, status in ((theirs, 404), (other_scope, 403), ({}, 401)):
            answer = await client.request(method, path, json=body, headers=headers)
            assert answer.status_code == status, answer.text
        assert (await client.get("/v1/webhooks", headers=theirs)).json() == {"items": []}


async def test_a_tenant_has_so_many(client: httpx.AsyncClient, db: asyncpg.Connection) -> None:
    await made(client)
    await db.execute(
        "INSERT INTO webhooks SELECT gen_random_uuid(), tenant, url, description, types, "
        "destinations, ended, generation, secret_hash, previous_until, failing_since, created_by, "
        f"created_at FROM webhooks, generate_series(2, {MAX_WEBHOOKS})"
    )
    answer = await client.post("/v1/webhooks", json={"url": URL})
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:claimcheck:problem:too-many-webhooks",
    )


async def test_none_without_a_secret_key(environ: dict[str, str]) -> None:
    del environ["CLAIMCHECK_SECRET_KEY"]
    async with running(load_settings(environ)) as client:
        answer = await client.post("/v1/webhooks", json={"url": URL})
    assert answer.status_code == 501


async def test_a_test_event_and_its_delivery(
    client: httpx.AsyncClient, environ: dict[str, str]
) -> None:
    async with receiver() as ear, receiver() as other:
        hook, bystander = await made(client, url=ear.url), await made(client, url=other.url)
        ear.secret = hook["secret"]
        path = f"/v1/webhooks/{hook['id']}"
        sent = await client.post(f"{path}/test")
        assert sent.status_code == 202
        # As from cron.
        done = await asyncio.to_thread(claimcheck, "sweep", **environ)
        assert "webhooks: 1 delivered" in done.stderr
        assert (ear.asked, other.asked) == (1, 0)
        assert ear.ids == [sent.json()["event_id"]]
        [delivery] = (await client.get(f"{path}/deliveries")).json()["items"]
        assert delivery["event_id"] == sent.json()["event_id"]
        assert (delivery["state"], delivery["status"]) == ("delivered", 204)
        again = {"event_id": delivery["event_id"]}
        assert (await client.post(f"{path}/resend", json=again)).json() == {"count": 1}
        [delivery] = (await client.get(f"{path}/deliveries?state=pending")).json()["items"]
        path = f"/v1/webhooks/{bystander['id']}"
        assert (await client.post(f"{path}/resend", json=again)).status_code == 404
        for wrong in ({}, again | {"since": "2026-11-22T19:00:00Z"}, {"since": "2026-11-22"}):
            assert (await client.post(f"{path}/resend", json=wrong)).status_code == 422
        await client.patch(path, json={"enabled": False})
        assert (await client.post(f"{path}/test")).status_code == 409


async def test_deliveries_are_listed_by_pages(
    client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    hook = await made(client)
    path = f"/v1/webhooks/{hook['id']}"
    ids = [(await client.post(f"{path}/test")).json()["event_id"] for _ in range(5)]
    await client.get("/v1/events")  # which gives them their places
    found, cursor = [], ""
    while cursor is not None:
        asked = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"{path}/deliveries", params=asked)).json()
        found += [each["event_id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert found == ids[::-1]
    assert (await client.get(f"{path}/deliveries?cursor=x")).status_code == 400


def test_the_command_line(environ: dict[str, str]) -> None:
    created = claimcheck("webhooks", "create", URL, "--type", "file.confirmed", **environ)
    webhook_id, secret = created.stdout.split()
    assert secret.startswith("whsec_")
    assert secret not in created.stderr
    assert claimcheck("webhooks", "disable", webhook_id, **environ).returncode == 0
    listed = claimcheck("webhooks", "list", **environ).stdout
    assert URL in listed
    assert "off (asked)" in listed
    refused = claimcheck("webhooks", "test", webhook_id, **environ)
    assert "switch it on" in refused.stderr
    since = ("--since", "2026-01-01T00:00:00Z")
    assert "sent again: 0" in claimcheck("webhooks", "resend", webhook_id, *since, **environ).stderr
