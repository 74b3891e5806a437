"""No way to a link gives one before a file was found clean, and none after it was not."""

import ast
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.settings.model import Settings
from tests.scans.ways import OF_NO_FILE, RECORD, announcement_of, routes_of, shows, ways
from tests.support.service import UNKNOWN_ID, log_lines, prepared, running
from tests.support.steps import send, setting, slug, stored

ROOT = Path(__file__).parents[2]
DATA = b"a text that a scanner is asked about"
KEY = '"the first time"'


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    more = setting("files", "allow_existence_optimization", "true")
    more |= {"CLAIMCHECK_RECORDS__PRODUCT__PAPERS__DESTINATION": "files"}
    return await prepared(environ | more)


@pytest.fixture
async def file(client: httpx.AsyncClient, web: httpx.AsyncClient) -> dict[str, Any]:
    """A file that was just confirmed, in a record, and with an event."""
    assert (await client.get("/v1/events")).status_code == 200
    how = {"headers": {"Idempotency-Key": KEY}}
    upload = (await client.post("/v1/uploads", json=announcement_of(DATA), **how)).json()
    assert "upload" in upload, upload
    assert (await send(web, upload["upload"], DATA)).is_success
    file = (await client.post(f"/v1/uploads/{upload['id']}/confirm")).json()
    path = RECORD.format(record_type="product", record_id=42)
    put = await client.put(f"{path}/papers", json={"file_id": file["id"]})
    assert put.status_code == 200
    return file


async def judged(client: httpx.AsyncClient, file: dict[str, Any], scan: str) -> dict[str, Any]:
    answer = await client.put(f"/v1/files/{file['id']}/scan", json={"scan": scan, "reason": "test"})
    assert answer.status_code == 200, answer.text
    assert not shows(answer, file)
    return answer.json()


def test_every_route_is_walked(settings: Settings) -> None:
    walked = {
        (way.method, way.route)
        for way in ways({"id": "", "url": "", "key": "", "filename": ""}, b"", "")
    }
    # The verdict itself shows nothing: `judged` sees to it.
    there = routes_of(settings) - {
        ("PUT", "/v1/files/{file_id}/scan"),
        ("HEAD", "/"),
        ("HEAD", "/r"),
    }
    assert walked - {("HEAD", "/v1/files/{file_id}/content")} == there
    assert not any(route.startswith(OF_NO_FILE) for _, route in walked)


def test_nothing_else_signs() -> None:
    """Whoever signs a link that reads a file asks for its verdict in the same function."""
    found = {}
    for path in (ROOT / "app").rglob("*.py"):
        if path.parts[-2] in {"store", "doctor"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
                called = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                if "link_signer" in names:
                    found[node.name] = bool(called & {"_objection", "read_link"})
    assert found
    assert all(found.values()), found


async def test_the_walk_finds_links_to_a_clean_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient, file: dict[str, Any]
) -> None:
    """Else it would prove nothing of the others."""
    await judged(client, file, "clean")
    found = {
        (way.method, way.route)
        for way in ways(file, DATA, KEY)
        if shows(await way.go(client, file), file)
    }
    assert found == {
        ("POST", "/v1/uploads"),
        ("POST", "/v1/uploads/batch"),
        ("POST", "/v1/uploads/{upload_id}/confirm"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files"),
        ("GET", "/v1/files/{file_id}"),
        ("PATCH", "/v1/files/{file_id}"),
        ("POST", "/v1/files/presign"),
        ("GET", "/v1/files/{file_id}/content"),
        ("HEAD", "/v1/files/{file_id}/content"),
        ("PUT", f"{RECORD}/{{field}}"),
        ("GET", RECORD),
        ("GET", "/v1/records/{record_type}"),
    }


@pytest.mark.parametrize("scan", ["pending", "infected", "failed"])
async def test_no_way_gives_a_link(
    client: httpx.AsyncClient, file: dict[str, Any], scan: str
) -> None:
    assert (file["scan"], file["presigned_url"], file["content_url"]) == ("pending", None, None)
    if scan != "pending":
        await judged(client, file, scan)
    for way in ways(file, DATA, KEY):
        answer = await way.go(client, file)
        assert not shows(answer, file), way
        assert answer.status_code != 500, way
        if way.route.endswith("/content") and way.method == "GET":
            expected = (409, "scan-pending") if scan == "pending" else (410, "file-quarantined")
            assert (answer.status_code, slug(answer)) == expected
            assert ("retry-after" in answer.headers) is (scan == "pending")
        if way.route == "/v1/files/presign":
            [item] = answer.json()["items"]
            assert item["problem"]["type"].endswith((":scan-pending", ":file-quarantined"))


async def test_grants_end_with_the_verdict(client: httpx.AsyncClient, file: dict[str, Any]) -> None:
    """A `content_url` in somebody's page leads nowhere any more, at once."""
    await judged(client, file, "clean")
    read = (await client.get(f"/v1/files/{file['id']}")).json()
    assert (await client.get(read["content_url"])).status_code == 302
    said = await judged(client, file, "infected")
    answer = await client.get(read["content_url"])
    assert (answer.status_code, slug(answer)) == (410, "file-quarantined")
    # Links that were made before live on for as long as they may.
    longest = timedelta(seconds=3600 + 900)
    ends = datetime.fromisoformat(said["links_end_at"])
    assert ends == datetime.fromisoformat(said["scanned_at"]) + longest
    assert ends >= datetime.fromisoformat(read["presigned_url_expires_at"])
    assert (await client.get(f"/v1/files/{file['id']}")).json()["links_end_at"] == (
        said["links_end_at"]
    )
    # It was not served in between, so that moment stays; and goes once it is clean.
    assert (await judged(client, file, "failed"))["links_end_at"] == said["links_end_at"]
    assert (await judged(client, file, "clean"))["links_end_at"] is None


async def test_never_served_has_no_links_out(
    client: httpx.AsyncClient, file: dict[str, Any]
) -> None:
    assert (await judged(client, file, "infected"))["links_end_at"] is None


async def test_events_tell_what_became_of_it(
    client: httpx.AsyncClient, file: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "claimcheck")
    for scan in ("clean", "clean", "infected", "failed", "clean"):
        await judged(client, file, scan)
    events = [
        (event["type"], event["data"]["scan"])
        for event in (await client.get("/v1/events")).json()["items"]
        if event["type"].startswith("file.")
    ]
    assert events == [
        ("file.confirmed", "pending"),
        ("file.cleared", "clean"),
        ("file.quarantined", "infected"),
        ("file.quarantined", "failed"),
        ("file.cleared", "clean"),
    ]
    told = [line for line in log_lines(caplog, "audit") if "scan" in line]
    assert [line["event"] for line in told] == [
        *("file.cleared", "file.rescanned", "file.quarantined", "file.quarantined"),
        "file.cleared",
    ]
    assert {line["reason"] for line in told} == {"test"}
    assert all(line["file_id"] == file["id"] for line in told)


async def test_verdicts_that_do_not_fit(client: httpx.AsyncClient, file: dict[str, Any]) -> None:
    path = f"/v1/files/{file['id']}/scan"
    for body in (
        {},
        {"scan": "pending"},
        {"scan": "clean", "reason": "a\nb"},
        {"scan": "clean", "reason": "x" * 501},
        {"scan": "clean", "by": "me"},
    ):
        answer = await client.put(path, json=body)
        assert (answer.status_code, slug(answer)) == (422, "validation-failed"), body
    answer = await client.put(f"/v1/files/{UNKNOWN_ID}/scan", json={"scan": "clean"})
    assert (answer.status_code, slug(answer)) == (404, "file-not-found")


@pytest.fixture
async def lenient(environ: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    more = setting("files", "scan_failed", "serve") | setting("files", "scanner", "api")
    async with running(await prepared(environ | more)) as client:
        yield client


async def test_failed_ones_are_served_where_that_is_asked_for(
    lenient: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    assert (await lenient.get("/v1/events")).status_code == 200
    file = await stored(lenient, web)
    # No worker is to take it up: the scanner tells by itself.
    assert await db.fetchval("SELECT claimed_until FROM files") is None
    await judged(lenient, file, "failed")
    read = (await lenient.get(f"/v1/files/{file['id']}")).json()
    assert (await web.get(read["presigned_url"])).status_code == 200
    types = [event["type"] for event in (await lenient.get("/v1/events")).json()["items"]]
    assert types[-1] == "file.cleared"
    await judged(lenient, file, "infected")
    assert (await lenient.get(f"/v1/files/{file['id']}")).json()["presigned_url"] is None


async def test_files_from_before_wait_as_well(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """One that was confirmed before scans were required is not served without a verdict."""
    before = environ | setting("files", "scan", "off")
    async with running(await prepared(before)) as client:
        file = await stored(client, web)
        assert (file["scan"], file["presigned_url"] is None) == (None, False)
    async with running(await prepared(environ)) as client:
        read = (await client.get(f"/v1/files/{file['id']}")).json()
        assert (read["scan"], read["presigned_url"]) == ("pending", None)
        # Links may be out from then.
        assert (await judged(client, file, "infected"))["links_end_at"]
    async with running(await prepared(before)) as client:
        # What was found stays found, whatever the destination says now.
        read = (await client.get(f"/v1/files/{file['id']}")).json()
        assert (read["scan"], read["presigned_url"]) == ("infected", None)
