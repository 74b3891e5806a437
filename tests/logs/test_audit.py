"""The audit trail: a line for everything that somebody did, after it was committed."""

import logging
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.deadlines import CONFIRM_WITHIN
from app.core.principal import Scope
from app.errors import BucketUnavailable
from app.logs import audit
from app.models.events import EventType
from app.runtime.resources import open_resources
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from app.upkeep.sweep import Sweep
from app.uploads import remove
from app.uploads.remove import delete_object
from tests.support.samples import HTML
from tests.support.service import bearer, key_for, log_lines, prepared, running
from tests.support.steps import announced, minted, send, slug, stored

HEAD = {"time", "level", "logger", "event", "request_id", "client", "owner", "tenant", "credential"}


class Trail:
    """The lines that the audit trail has got since the last look."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        caplog.set_level(logging.INFO, "claimcheck")

    def new(self, *, brief: bool = True) -> list[Any]:
        lines = log_lines(self._caplog, "audit")
        self._caplog.clear()
        if not brief:
            return lines
        return [f"{line.get('credential', '').partition(':')[0]} {line['event']}" for line in lines]

    def one(self) -> dict[str, Any]:
        [line] = self.new(brief=False)
        return line


@pytest.fixture
def trail(caplog: pytest.LogCaptureFixture) -> Trail:
    return Trail(caplog)


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_TRUSTED_PROXIES": "1",
            "CLAIMCHECK_DESTINATIONS__IMAGES__REJECTED_OBJECTS": "delete",
            "CLAIMCHECK_DESTINATIONS__FILES__METHOD": "put",
            "CLAIMCHECK_RECORDS__PRODUCT__GALLERY__DESTINATION": "files",
            "CLAIMCHECK_RECORDS__PRODUCT__GALLERY__MANY": "true",
        }
    )


@pytest.fixture
async def client(settings: Settings, trail: Trail) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings) as client:
        client.headers.update(await key_for(settings, *Scope, tenant="acme"))
        client.headers["X-Forwarded-For"] = "192.0.2.66, 2001:db8::7"
        yield client


async def test_a_line_says_who_did_what_from_where(client: httpx.AsyncClient, trail: Trail) -> None:
    [key] = (await client.get("/v1/api-keys")).json()["items"]
    response = await client.post(
        "/v1/uploads",
        json={"destination": "files", "filename": "a.txt", "size": 5},
        headers={"X-Request-ID": "mine"},
    )
    line = trail.one()
    assert line.keys() == HEAD | {"count", "file_ids"}
    assert line["logger"] == "claimcheck.audit"
    assert line["event"] == "upload.announced"
    assert line["file_ids"] == [response.json()["id"]]
    assert (line["request_id"], line["client"]) == ("mine", "2001:db8::7")
    assert (line["owner"], line["tenant"]) == ("ann", "acme")
    assert line["credential"] == f"key:{key['id']}"


async def test_uploads_leave_their_trail(
    client: httpx.AsyncClient, web: httpx.AsyncClient, trail: Trail
) -> None:
    trail.new()
    upload = await announced(client, b"hello")
    await client.post(f"/v1/uploads/{upload['id']}/renew")
    assert trail.new() == ["key upload.announced", "key upload.renewed"]
    await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert trail.new() == []  # nothing has arrived
    await send(web, upload["upload"], b"hello")
    await client.post(f"/v1/uploads/{upload['id']}/confirm")
    [confirmed, linked] = trail.new(brief=False)
    assert (confirmed["event"], confirmed["file_id"]) == ("upload.confirmed", upload["id"])
    assert (confirmed["key"], confirmed["size"]) == (upload["key"], 5)
    assert (linked["event"], linked["file_ids"]) == ("file.linked", [upload["id"]])
    await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert trail.new() == ["key file.linked"]  # that it is a file is no news

    page = await announced(client, HTML, "a.png", destination="images")
    await send(web, page["upload"], HTML)
    refused = await client.post(f"/v1/uploads/{page['id']}/confirm")
    assert slug(refused) == "upload-rejected"
    lines = trail.new(brief=False)
    assert [line["event"] for line in lines[1:]] == ["upload.rejected", "object.removed"]
    assert "text/html" in lines[1]["reason"]

    gone = await announced(client, b"hello")
    for _ in range(2):
        assert (await client.delete(f"/v1/uploads/{gone['id']}")).status_code == 204
    assert trail.new() == ["key upload.announced", "key upload.cancelled", "key object.removed"]

    bodies = [{"destination": "files", "filename": "a", "size": 1}] * 3
    bodies.append({"destination": "nowhere", "filename": "a", "size": 1})
    batch = await client.post("/v1/uploads/batch", json={"uploads": bodies})
    line = trail.one()
    assert line["count"] == 3
    assert line["file_ids"] == [upload["id"] for upload in batch.json()["uploads"][:3]]


async def test_links_leave_their_trail_whichever_way_they_are_had(
    client: httpx.AsyncClient, web: httpx.AsyncClient, trail: Trail
) -> None:
    files = [await stored(client, web, b"hello"), await stored(client, web, b"again")]
    ids = [file["id"] for file in files]
    trail.new()
    await client.get(f"/v1/files/{ids[0]}")
    assert trail.one()["file_ids"] == ids[:1]
    await client.get("/v1/files")
    line = trail.one()
    assert (line["event"], line["count"], line["file_ids"]) == ("file.linked", 2, ids[::-1])
    unknown = "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51"
    await client.post("/v1/files/presign", json={"ids": [*ids, unknown]})
    assert trail.one()["file_ids"] == ids
    await client.get("/v1/files", params={"content_type": "image/png"})
    await client.get(f"/v1/files/{unknown}")
    assert trail.new() == []
    await client.get(f"/v1/files/{ids[0]}/content?disposition=attachment")
    line = trail.one()
    assert (line["event"], line["redirect"]) == ("file.linked", "attachment")
    assert line["credential"].startswith("key:")
    del client.headers["Authorization"]
    assert (await client.get(files[0]["content_url"])).status_code == 302
    line = trail.one()
    assert (line["event"], line["file_ids"], line["redirect"]) == ("file.linked", ids[:1], "plain")
    assert (line["credential"], line["client"]) == ("grant", "2001:db8::7")
    assert "owner" not in line


async def test_a_link_that_is_withheld_leaves_no_trail(
    client: httpx.AsyncClient, web: httpx.AsyncClient, trail: Trail, db: asyncpg.Connection
) -> None:
    ids = [(await stored(client, web, data))["id"] for data in (b"hello", b"again", b"more")]
    await db.execute("UPDATE files SET scan = 'infected' WHERE id = $1", ids[1])
    trail.new()
    listed = (await client.get("/v1/files")).json()["items"]
    assert [file["presigned_url"] is None for file in listed] == [False, True, False]
    assert trail.one()["file_ids"] == [ids[2], ids[0]]


async def test_a_thousand_links_are_a_few_lines(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    class File:
        def __init__(self, number: int) -> None:
            self.id = number

    monkeypatch.setattr(audit, "IDS_A_LINE", 400)
    audit.audit_files("file.linked", [File(n) for n in range(1000)])  # type: ignore[misc]
    lines = trail.new(brief=False)
    assert [line["count"] for line in lines] == [400, 400, 200]
    assert [n for line in lines for n in line["file_ids"]] == [str(n) for n in range(1000)]


async def test_files_and_records_leave_their_trail(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    trail: Trail,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = [(await stored(client, web))["id"] for _ in range(3)]
    gallery = "/v1/records/product/42/gallery"
    trail.new()
    for _ in range(2):
        assert (await client.put(gallery, json={"file_ids": files[:2]})).status_code == 200
    lines = [line for line in trail.new(brief=False) if line["event"] != "file.linked"]
    [changed] = lines  # the second changed nothing
    assert changed["event"] == "record.changed"
    where = {"record_type": "product", "record_id": "42", "field": "gallery"}
    where["record_owner"] = str(changed["owner"])
    assert where.items() <= changed.items()
    assert changed["file_ids"] == files[:2]

    last = await announced(client, b"hello")
    await send(web, last["upload"], b"hello")
    attach_to = {"type": "product", "id": "42", "field": "gallery"}
    body = {"attach_to": attach_to}
    await client.post(f"/v1/uploads/{last['id']}/confirm", json=body)
    assert "key upload.confirmed" in trail.new()
    assert (await client.delete(gallery)).status_code == 204
    assert trail.one()["file_ids"] == []
    assert (await client.delete("/v1/records/product/42")).status_code == 204
    assert trail.one()["event"] == "record.forgotten"

    for _ in range(2):
        await client.delete(f"/v1/files/{files[0]}")
    line = trail.one()
    assert (line["event"], line["file_id"]) == ("file.released", files[0])
    real = delete_object

    async def unreachable(*_: Any) -> None:
        raise BucketUnavailable("It did not answer.")

    monkeypatch.setattr(remove, "delete_object", unreachable)
    assert (await client.delete(f"/v1/files/{files[1]}?object=delete")).status_code == 503
    assert trail.new() == ["key file.deleted"]  # what was decided; the object is there still
    monkeypatch.setattr(remove, "delete_object", real)
    for _ in range(2):
        await client.delete(f"/v1/files/{files[1]}?object=delete")
    assert trail.new()[-1] == "key object.removed"


async def test_keys_and_sessions_leave_their_trail_without_a_secret(
    client: httpx.AsyncClient, trail: Trail
) -> None:
    trail.new()
    body = {"name": "shop", "scopes": ["files:read"], "owner": "bob"}
    key = (await client.post("/v1/api-keys", json=body)).json()
    line = trail.one()
    assert (line["event"], line["key_id"], line["key_owner"]) == ("key.created", key["id"], "bob")
    assert line["key_scopes"] == ["files:read"]
    await client.delete(f"/v1/api-keys/{key['id']}")
    assert trail.one()["event"] == "key.revoked"

    session = await minted(client, owner="eve", max_files=3)
    line = trail.one()
    assert (line["event"], line["session_owner"]) == ("session.minted", "eve")
    assert (line["session_id"], line["max_files"]) == (session["id"], 3)
    await client.post(
        "/v1/uploads",
        json={"destination": "files", "filename": "a", "size": 1},
        headers=bearer(session["token"]),
    )
    line = trail.one()
    assert (line["owner"], line["credential"]) == ("eve", f"session:{session['id']}")
    await client.delete(f"/v1/upload-sessions/{session['id']}")
    assert trail.one()["event"] == "session.revoked"


async def test_the_sweep_leaves_its_trail(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings, trail: Trail
) -> None:
    whole, never = await announced(client, b"hello"), await announced(client, b"hello")
    await send(web, whole["upload"], b"hello")
    trail.new()

    def later() -> Any:
        return utc_now() + timedelta(hours=1) + CONFIRM_WITHIN + timedelta(minutes=2)

    async with open_resources(settings, clock=later) as res:
        await Sweep(res).run()
    lines = {line["file_id"]: line for line in trail.new(brief=False)}
    assert lines[whole["id"]]["event"] == "upload.confirmed"
    assert lines[whole["id"]]["file_owner"] == "ann"
    assert {line["credential"] for line in lines.values()} == {"sweep"}
    assert lines[never["id"]]["event"] == "upload.expired"


@pytest.mark.parametrize("trusted", ["0", "10.0.0.0/8"])
async def test_nobody_is_believed_who_is_not_trusted(
    environ: dict[str, str], trusted: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "claimcheck")
    environ |= {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_TRUSTED_PROXIES": trusted}
    async with running(load_settings(environ)) as client:
        await client.get("/livez", headers={"X-Forwarded-For": "192.0.2.66"})
    [line] = log_lines(caplog, "access")
    assert line["client"] == "127.0.0.1"


def test_every_event_is_documented() -> None:
    """The code writes what the page lists, and the page lists what the code writes."""
    root = Path(__file__).parents[2]
    code = "\n".join(path.read_text() for path in (root / "app").rglob("*.py"))
    written = set(re.findall(r'audit(?:_files?)?\(\s*"([a-z.]+)"', code))
    listed = set(
        re.findall(r"^\| `([a-z]+\.[a-z]+)`", (root / "docs/logging.md").read_text(), re.M)
    )
    # A verdict is named as the event of the feed that it writes, if it does.
    assert 'audit_file(event or "file.rescanned"' in code
    written |= {"file.rescanned", EventType.FILE_CLEARED, EventType.FILE_QUARANTINED}
    assert len(written) > 10
    assert written == listed
