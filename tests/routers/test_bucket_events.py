"""The store tells what has arrived, and uploads confirm themselves; nobody else may tell it."""

import asyncio
import base64
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import asyncpg
import httpx
import pytest

from app.core.bucket_setup import Aspect
from app.core.notifications import PATH
from app.core.parts import MIB
from app.doctor import events as doctor_events
from app.doctor.examine import examine
from app.doctor.findings import Level
from app.runtime.resources import open_resources, open_session
from app.settings.model import Settings, load_settings
from app.store.setup.config import create_topic
from app.store.setup.provision import BucketPlan, Outcome, apply, plan
from app.uploads.arrive import note_arrivals
from tests.support.buckets import ceph_bucket
from tests.support.secrets_in_logs import keep_secret
from tests.support.service import Store, log_lines, logged, prepared, running, served
from tests.support.steps import announced, send, slug
from tests.support.stores.rgw import Rgw
from tests.support.upkeep import HOUR, swept

TOKEN = "events-" + secrets.token_hex(16)
keep_secret(TOKEN)
BEARER = {"Authorization": f"Bearer {TOKEN}"}
DATA = bytes(range(256)) * (6 * MIB // 256)


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    prefix = "CLAIMCHECK_DESTINATIONS__"
    return await prepared(
        environ
        | {
            "CLAIMCHECK_BUCKET_EVENTS_TOKEN": TOKEN,
            f"{prefix}VIDEOS__UNCONFIRMED": "delete",
            f"{prefix}FILES__PART_SIZE": str(5 * MIB),
            f"{prefix}FILES__MULTIPART_THRESHOLD": str(5 * MIB),
            f"{prefix}FILES__ALLOW_CLIENT_KEYS": "true",
        }
    )


def told(bucket: str, *keys: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    records = [
        {"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}
        for key in keys
    ]
    return {"Records": records}


async def state_of(db: asyncpg.Connection, upload: dict[str, Any], wanted: str) -> str:
    """The state once it is the wanted one, or as it is after half a minute."""
    for _ in range(600):
        state = await db.fetchval("SELECT state FROM files WHERE id = $1", upload["id"])
        if state == wanted:
            break
        await asyncio.sleep(0.05)
    return str(state)


async def tell(client: httpx.AsyncClient, event: Any) -> None:
    answer = await client.post(PATH, json=event, headers=BEARER)
    assert (answer.status_code, answer.content) == (204, b"")


async def test_an_upload_confirms_itself_however_often_it_is_told(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    bucket = settings.destinations["files"].bucket
    upload = await announced(client, b"hello", "a.txt")
    event = told(bucket, upload["key"])
    # Too early, of another bucket, of a key that nobody knows, of what was deleted.
    for early in (
        event,
        told("elsewhere", upload["key"]),
        told(bucket, "files/unknown", upload["key"] + "x"),
        told(bucket, upload["key"], name="ObjectRemoved:Delete"),
    ):
        await tell(client, early)
    assert (await send(web, upload["upload"], b"hello")).is_success
    await asyncio.gather(*(tell(client, event) for _ in range(5)))
    assert await state_of(db, upload, "confirmed") == "confirmed"
    await tell(client, told(bucket, upload["key"], name="ObjectRemoved:Delete"))
    await tell(client, event)
    file = (await client.get(f"/v1/files/{upload['id']}")).json()
    assert (await web.get(file["presigned_url"])).content == b"hello"
    for _ in range(600):
        lines = [one for one in log_lines(caplog, "audit") if one["event"] == "upload.confirmed"]
        if lines:
            break
        await asyncio.sleep(0.05)
    [line] = lines
    assert (line["credential"], line["file_id"]) == ("bucket-events", upload["id"])
    # Nothing is left to do for anybody else.
    assert await swept(settings) == {}


async def test_what_is_told_is_found_though_the_process_ends(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """The note is committed before the answer; here it is all that is left of the event."""
    upload = await announced(client, b"hello", "a.txt")
    await db.execute("UPDATE files SET look_at = NULL")
    async with open_resources(settings) as res:
        assert await note_arrivals(res, [(settings.destinations["files"].bucket, upload["key"])])
    assert (await send(web, upload["upload"], b"hello")).is_success
    assert await swept(settings, HOUR / 60) == {"confirmed": 1}


async def test_an_encoded_key(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    upload = await announced(client, b"hello", "a.txt")
    assert (await send(web, upload["upload"], b"hello")).is_success
    key = quote_plus(upload["key"])
    assert "%2F" in key
    await tell(client, told(settings.destinations["files"].bucket, key))
    assert await state_of(db, upload, "confirmed") == "confirmed"


async def test_joined_parts_and_what_confirms_itself_nowhere(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    bucket = settings.destinations["files"].bucket
    video = await announced(client, b"\0" * 64, "a.mp4", destination="videos")
    assert (await send(web, video["upload"], b"\0" * 64)).is_success
    parts = await announced(client, DATA, "a.bin")
    assert (await send(web, parts["upload"], DATA)).is_success
    await tell(client, told(bucket, video["key"], parts["key"]))
    assert await state_of(db, parts, "confirmed") == "confirmed"
    assert await state_of(db, video, "pending") == "pending"
    answer = await client.post(f"/v1/uploads/{video['id']}/confirm")
    assert answer.status_code == 200 or slug(answer) == "upload-rejected"


@pytest.mark.parametrize(
    "headers",
    [
        BEARER,
        {"Authorization": TOKEN},
        {"Authorization": "Basic " + base64.b64encode(f"claimcheck:{TOKEN}".encode()).decode()},
        {"query": f"?token={TOKEN}"},
    ],
)
async def test_who_may_tell(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    query = headers.get("query", "")
    given = {name: value for name, value in headers.items() if name != "query"}
    answer = await client.post(PATH + query, json=told("bkt", "a"), headers=given)
    assert answer.status_code == 204
    for wrong in ({name: value + "x" for name, value in given.items()}, {}):
        refused = await client.post(PATH + (query and query + "x"), json={}, headers=wrong)
        assert (refused.status_code, slug(refused)) == (404, "route-not-found")


async def test_without_a_setting_there_is_no_such_route(environ: dict[str, str]) -> None:
    async with running(load_settings(environ)) as client:
        for headers in (BEARER, {"Authorization": "Bearer "}, {"Authorization": ""}, {}):
            answer = await client.post(PATH + "?token=", json={}, headers=headers)
            assert slug(answer) == "route-not-found"


async def test_by_network(environ: dict[str, str]) -> None:
    networks = {"CLAIMCHECK_BUCKET_EVENTS_NETWORKS": "127.0.0.0/8"}
    async with running(load_settings(environ | networks | {"CLAIMCHECK_AUTH": "keys"})) as client:
        assert (await client.post(PATH, json={"Records": []})).status_code == 204
        proxied = await client.post(PATH, json={}, headers={"X-Forwarded-For": "127.0.0.1"})
        assert slug(proxied) == "route-not-found"


@pytest.mark.parametrize("body", [b"", b"nothing", b"\xff", b"[" * 50_000, b'{"Records": 1}'])
async def test_what_nobody_can_read_is_logged_and_does_not_come_again(
    client: httpx.AsyncClient, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.post(PATH, content=body, headers=BEARER)
    if answer.status_code == 413:
        return
    assert answer.status_code == 204
    [line] = log_lines(caplog, "bucket_events")
    assert line["event"] == "bucket_event_unreadable"


async def test_without_a_database_it_may_come_again(environ: dict[str, str]) -> None:
    down = {"DATABASE_URL": "postgres://u:p@127.0.0.1:1/d"}
    settings = load_settings(environ | down | {"CLAIMCHECK_BUCKET_EVENTS_TOKEN": TOKEN})
    async with running(settings) as client:
        bucket = settings.destinations["files"].bucket
        answer = await client.post(PATH, json=told(bucket, "files/a"), headers=BEARER)
        assert slug(answer) == "database-unavailable"


async def test_ceph_tells_and_the_service_confirms(
    gateway: Rgw,
    database_url: str,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    """`bucket apply` sets it up with the owner's keys; the service has those of its user."""
    bucket = await ceph_bucket(gateway, database_url)
    files = {
        "part_size": 5 * MIB,
        "multipart_threshold": 5 * MIB,
        "allow_client_keys": True,
    }
    environ = bucket.environ | {
        "CLAIMCHECK_BUCKET_EVENTS_TOKEN": TOKEN,
        "CLAIMCHECK_DESTINATIONS": json.dumps({"files": files}),
    }
    log = tmp_path / "service.log"
    async with served(environ, log) as service:
        keys = gateway.owner
        owned = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
        url = {"CLAIMCHECK_BUCKET_EVENTS_URL": str(service.client.base_url).rstrip("/")}
        settings = load_settings(environ | owned.environ(bucket.name) | url)
        session = open_session(settings)
        theirs = {"Id": "theirs", "Events": ["s3:ObjectRemoved:*"]}
        theirs["TopicArn"] = await create_topic(
            session, settings.destinations["files"], "theirs", "http://127.0.0.1:1"
        )
        bucket.owner.put_bucket_notification_configuration(
            Bucket=bucket.name, NotificationConfiguration={"TopicConfigurations": [theirs]}
        )
        [planned] = await plan(session, settings)
        assert changes(planned, Outcome.CHANGE) == [Aspect.NOTIFICATIONS]
        [applied] = await apply(session, settings)
        assert changes(applied, Outcome.CHANGED) == [Aspect.NOTIFICATIONS]
        [again] = await plan(session, settings)
        assert not again.pending
        found = bucket.owner.get_bucket_notification_configuration(Bucket=bucket.name)
        assert {one["Id"] for one in found["TopicConfigurations"]} == {"theirs", "claimcheck-files"}

        client = service.client
        whole = await announced(client, b"hello", "a.txt")
        assert (await send(web, whole["upload"], b"hello")).is_success
        assert await state_of(db, whole, "confirmed") == "confirmed"
        asked = await client.post("/v1/upload-url", json={"object_key": "files/a_b-1.txt"})
        form = asked.json()["upload_url_dict"]
        sent = await web.post(form["url"], data=form["fields"], files={"file": b"ours"})
        assert sent.is_success
        row = {"id": form["fields"]["x-amz-meta-claimcheck-id"]}
        assert await state_of(db, row, "confirmed") == "confirmed"
        # Of parts nobody tells anything until they are joined: that is the sweep's.
        parts = await announced(client, DATA, "a.bin")
        assert (await send(web, parts["upload"], DATA)).is_success
        assert await swept(load_settings(environ), HOUR / 60) == {"confirmed": 1}
        report = await examine(load_settings(environ), environ)
        [found] = [one for one in report.findings if one.check == "events"]
        assert (found.level, found.subject) == (Level.OK, "files"), found
        assert await db.fetchval("SELECT count(*) FROM files WHERE tenant <> ''") == 0
        await service.stop()
    requests = [line for line in logged(log) if line.get("path") == PATH]
    assert {line["status"] for line in requests} == {204}
    assert len(requests) >= 3
    assert TOKEN not in log.read_text()


def changes(planned: BucketPlan, outcome: Outcome) -> list[Aspect]:
    return [change.aspect for change in planned.changes if change.outcome is outcome]


async def test_doctor_warns_where_nobody_hears(
    settings: Settings,
    client: httpx.AsyncClient,
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_events, "_WITHIN", 1.0)
    report = await examine(settings, {})
    found = [one for one in report.findings if one.check == "events"]
    assert {one.subject for one in found} == {"images", "videos", "files"}
    assert {one.level for one in found} == {Level.WARNING}
    assert await db.fetchval("SELECT count(*) FROM files") == 0
    # No answer waits for that.
    answer = await client.get("/v1/capabilities")
    checks = {finding["check"] for finding in answer.json()["findings"]}
    assert "put" in checks
    assert "events" not in checks
