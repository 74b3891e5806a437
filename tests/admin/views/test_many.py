"""Acting on many at once: asked first, told of each, and nobody else's."""

import logging
import re
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest

from app.settings.model import Settings
from tests.admin.panel import Panel, said
from tests.admin.views.steps import SCOPES, signed_in, status_of
from tests.support.service import UNKNOWN_ID, key_for, log_lines, owner_of_bucket
from tests.support.steps import announced, stored


async def chosen(panel: Panel, path: str, action: str, *ids: str) -> httpx.Response:
    """The question that a selection leads to."""
    answer = await panel.post(f"{path}/many", {"action": action, "id": list(ids), "list": "q=a&x"})
    assert answer.status_code == 200, answer.text
    return answer


async def done(panel: Panel, path: str, action: str, *ids: str) -> str:
    data = {"action": action, "id": list(ids), "sure": "yes"}
    return said(await panel.post(f"{path}/many", data))


async def test_some_are_deleted_and_what_a_record_holds_stays(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    panel: Panel,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = await stored(client, web, b"1", "one.txt")
    held = await stored(client, web, b"2", "<b>held.txt")
    other = await stored(client, web, b"3", "other.txt")
    await client.put("/v1/records/product/42/papers", json={"file_ids": [held["id"]]})
    page = await panel.get("/files")
    assert page.text.count('form="many" name="id"') == 3
    ids = (one["id"], held["id"], UNKNOWN_ID)
    question = await chosen(panel, "/files", "delete", *ids, one["id"])
    assert "Delete these files and their objects?" in said(question)
    assert "one.txt <b>held.txt 1 of your selection is not there any more." in said(question)
    assert 'href="/admin/files?q=a&amp;x"' in question.text
    # Nothing is done before that is answered.
    assert await status_of(web, one) == 200
    caplog.set_level(logging.INFO, "claimcheck")
    told = await done(panel, "/files", "delete", *ids)
    assert "1 of 3 deleted" in told
    assert "one.txt Deleted" in told
    assert "<b>held.txt Not done. Records hold the file: take it out of them first." in told
    assert "They are: product 42 (papers)." in told
    assert f"{UNKNOWN_ID} Not done. There is no such file." in told
    assert [await status_of(web, file) for file in (one, held, other)] == [404, 200, 200]
    lines = [line for line in log_lines(caplog, "audit") if line["event"] == "file.deleted"]
    assert [(line["file_id"], line["owner"]) for line in lines] == [
        (one["id"], "staff:ann@example.com")
    ]


async def test_what_was_forgotten_is_taken_back(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    panel: Panel,
    settings: Settings,
    database_url: str,
) -> None:
    files = [await stored(client, web, b"x", f"{n}.txt") for n in range(3)]
    ids = [file["id"] for file in files]
    assert "3 of 3 forgotten" in await done(panel, "/files", "release", *ids)
    assert "No files yet" in await panel.page("/files")
    released = await panel.get("/files?state=released")
    assert "Take back…" in said(released)
    assert "Forget…" not in said(released)
    # Of one the object has gone since, and of another it was replaced.
    again = await stored(client, web, b"y", "another.txt")
    bucket, key = settings.destinations["files"].bucket, files[2]["key"]
    db = await asyncpg.connect(database_url)
    await db.execute("UPDATE files SET version_id = NULL")
    await db.close()
    async with owner_of_bucket(settings) as s3:
        await s3.delete_object(Bucket=bucket, Key=files[1]["key"])
        await s3.put_object(Bucket=bucket, Key=key, Body=b"other bytes")
    told = await done(panel, "/files", "restore", *ids, again["id"])
    assert "2 of 4 taken back" in told
    assert "0.txt Taken back" in told
    assert "1.txt Not done. Its object is gone from the bucket." in told
    assert "2.txt Not done. Its object is not the one that was confirmed any more." in told
    assert (await client.get(f"/v1/files/{ids[0]}")).json()["filename"] == "0.txt"
    assert (await client.get(f"/v1/files/{ids[2]}")).status_code == 404


async def test_uploads_and_keys(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel, settings: Settings
) -> None:
    upload = await announced(client, b"x", "one.txt")
    confirmed = await stored(client, web, b"x", "two.txt")
    told = await done(panel, "/uploads", "abort", upload["id"], confirmed["id"])
    assert "1 of 2 aborted" in told
    assert "one.txt Aborted" in told
    assert "two.txt Not done. The upload is confirmed" in told
    key = await key_for(settings, *SCOPES, owner="one", tenant="acme")
    elsewhere = await key_for(settings, *SCOPES, owner="other", tenant="other")
    listed = re.findall(r"/keys/([0-9a-f-]{36})/revoke", (await panel.get("/keys")).text)
    assert "Revoke these keys?" in said(await chosen(panel, "/keys", "revoke", *listed))
    assert "1 of 2 revoked" in await done(panel, "/keys", "revoke", listed[0], UNKNOWN_ID)
    assert (await client.get("/v1/files", headers=key)).status_code == 401
    assert (await client.get("/v1/files", headers=elsewhere)).status_code == 200
    assert (await client.get("/v1/files")).status_code == 200


async def test_who_may_and_what_is_no_selection(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    panel: Panel,
    browsers: Callable[[], Panel],
    settings: Settings,
) -> None:
    file = await stored(client, web)
    many: dict[str, Any] = {"id": file["id"], "sure": "yes"}
    for data, status in (
        ({"action": "nosuch"}, 400),
        ({"action": "delete", "id": "nothing"}, 400),
        ({"action": "delete", "id": [f"{n:032x}" for n in range(51)]}, 400),
        ({"action": "delete", "csrftoken": "x"}, 403),
    ):
        assert (await panel.post("/files/many", many | data)).status_code == status, data
    answer = await panel.act("/files/many", {"action": "delete"})
    assert "Nothing is selected" in answer
    assert (await panel.get("/files/many")).status_code in {404, 405}

    reader = await signed_in(browsers(), settings, "reader", tenant="acme", scopes=["files:read"])
    assert "With those selected" not in await reader.page("/files")
    refused = await reader.post("/files/many", many | {"action": "delete"})
    assert refused.status_code == 403
    stranger = await signed_in(browsers(), settings, "eve", tenant="other")
    assert "0 of 1 deleted" in await done(stranger, "/files", "delete", file["id"])
    question = await chosen(stranger, "/files", "delete", file["id"])
    assert "a.txt" not in question.text
    assert await status_of(web, file) == 200
