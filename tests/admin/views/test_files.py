"""The panel's lists of files, uploads and destinations, without a browser."""

import re
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest

from app.errors import DatabaseUnavailable
from app.settings.model import Settings
from tests.admin.panel import Panel, said
from tests.admin.views.steps import SCOPES, link, signed_in, status_of
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID, key_for
from tests.support.steps import announced, stored
from tests.support.turns import Offers


async def test_pages_are_made_in_turns(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    offers = Offers(monkeypatch)
    assert (await panel.get("/files")).status_code == 200
    assert offers.taken() > 30


async def test_files_are_found(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    picture = await stored(client, web, PNG, "Été <b>.png", destination="images")
    notes = await stored(client, web, b"hello", "notes.txt", content_type="text/plain")
    page = await panel.page("/files")
    assert "2 files" in page
    assert "Été <b>.png" in page
    assert "image/png 33 bytes shop Confirmed" in page
    # A thumbnail, and a link to copy; text is no picture.
    html = (await panel.get("/files")).text
    assert "image/<wbr>png" in html
    [thumbnail] = re.findall(r'<img src="(http[^"]+)"', html)
    assert (await web.get(thumbnail.replace("&amp;", "&"))).status_code == 200
    assert html.count("data-copy=") == 2

    today = notes["created_at"][:10]
    for query, found in (
        ("q=NOT", "notes.txt"),
        ("q=xyz", None),
        ("q=OTES", "notes.txt"),
        ("order=largest&type=text/plain", "notes.txt"),
        ("destination=images", "Été <b>.png"),
        ("destination=nosuch", None),
        ("owner=shop&type=text/plain", "notes.txt"),
        ("owner=eve", None),
        ("type=image", "Été <b>.png"),
        ("type=image/*", "Été <b>.png"),
        ("state=rejected", None),
        (f"since={today}&until={today}&q=notes", "notes.txt"),
        ("since=2999-01-01", None),
        ("until=1999-01-01", None),
        ("loose=1&q=notes", "notes.txt"),
    ):
        page = await panel.page(f"/files?{query}")
        assert ("1 file " in page) is (found is not None), query
        assert found is None or found in page
    for nonsense in ("state=x", "since=x", "until=9999-99-99", "after=x", "q=%00", "x=y"):
        assert "2 files" in await panel.page(f"/files?{nonsense}")

    page = await panel.page(f"/files/{picture['id']}")
    assert picture["key"] in page
    assert "In records none" in page
    opened = await panel.get(f"/files/{picture['id']}/open")
    assert opened.status_code == 302
    assert (await web.get(opened.headers["location"])).content == PNG


async def test_name_and_metadata_are_changed(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    panel: Panel,
    browsers: Callable[[], Panel],
    settings: Settings,
) -> None:
    words = {"album": "<script>alert(1)</script>", "page": 3, "code": "007", "raw": True}
    file = await stored(client, web, b"hello", "notes.txt", metadata=words, path="a/<b>/notes.txt")
    at = f"/files/{file['id']}"
    html = (await panel.get(at)).text
    assert "<script>alert" not in html
    page = await panel.page(at)
    assert "Path a/<b>/notes.txt album <script>alert(1)</script> page 3 code 007 raw true" in page
    form = (await panel.get(link(await panel.get(at), "Change…"))).text
    assert "<script>alert" not in form
    assert 'page = 3\ncode = "007"' not in form
    lines = 'album = spring\npage = 4\ncode = "007"'
    page = await panel.act(f"{at}/change", {"filename": "Neu.txt", "metadata": lines})
    assert "The file is changed." in page
    assert "Neu.txt" in page
    changed = (await client.get(f"/v1{at}")).json()
    assert changed["metadata"] == {"album": "spring", "page": 4, "code": "007"}
    assert (changed["filename"], changed["key"]) == ("Neu.txt", file["key"])

    for data, words in (
        ({"filename": "..", "metadata": lines}, "nothing but dots"),
        ({"filename": "Neu.txt", "metadata": "album"}, "has no `=`: album"),
        ({"filename": "Neu.txt", "metadata": "a = " + "x" * 2048}, "at most 2,048 are kept"),
    ):
        answer = await panel.post(f"{at}/change", data)
        assert answer.status_code == 422
        assert words in said(answer)
        assert data["metadata"][:5] in said(answer)
    assert (await client.get(f"/v1{at}")).json()["metadata"] == changed["metadata"]

    reader = await signed_in(
        browsers(), settings, "reader@example.com", tenant="acme", scopes=["files:read"]
    )
    assert "Change…" not in await reader.page(at)
    assert (await reader.post(f"{at}/change", {"filename": "x.txt"})).status_code == 403


async def test_files_page_by_page(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.files.PAGE", 2)
    for number in range(5):
        await stored(client, web, b"hello", f"n{number}.txt")
    page = await panel.get("/files?owner=shop")
    seen = [re.findall(r"n\d\.txt(?=</bdi>)", page.text)]
    while ">Next</a>" in page.text:
        page = await panel.get(link(page, "Next"))
        seen.append(re.findall(r"n\d\.txt(?=</bdi>)", page.text))
    assert seen == [["n4.txt", "n3.txt"], ["n2.txt", "n1.txt"], ["n0.txt"]]
    page = await panel.get(link(page, "Previous"))
    assert re.findall(r"n\d\.txt(?=</bdi>)", page.text) == ["n2.txt", "n1.txt"]
    page = await panel.get(link(page, "First"))
    assert "n4.txt" in page.text
    assert "5 files" in said(page)


async def test_forgetting_a_file_leaves_the_object(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    file = await stored(client, web)
    asked = await panel.get(f"/files/{file['id']}/release")
    assert "Forget the file, and keep its object?" in said(asked)
    assert "1 file" in await panel.page("/files")
    page = await panel.act(f"/files/{file['id']}/release")
    assert "a.txt is forgotten. Its object is still in the bucket." in page
    assert "No files yet" in page
    assert await status_of(web, file) == 200
    assert (await client.get(f"/v1/files/{file['id']}")).status_code == 404
    assert "1 file" in await panel.page("/files?state=released")


async def test_deleting_takes_the_object_too(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    file = await stored(client, web)
    assert "Delete the file and its object?" in await panel.page(f"/files/{file['id']}/delete")
    page = await panel.act(f"/files/{file['id']}/delete")
    assert "a.txt is deleted, and its object with it." in page
    assert await status_of(web, file) == 404


@pytest.mark.parametrize("way", ["release", "delete"])
async def test_what_a_record_holds_stays(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel, way: str
) -> None:
    file = await stored(client, web)
    await client.put("/v1/records/product/42/papers", json={"file_ids": [file["id"]]})
    page = await panel.act(f"/files/{file['id']}/{way}")
    assert "Records hold the file: take it out of them first." in page
    assert "They are: product 42 (papers)." in page
    assert "In records product 42 (papers)" in page
    assert await status_of(web, file) == 200


async def test_what_a_record_holds_is_not_offered_to_be_removed(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    file = await stored(client, web)
    offers = (f"/files/{file['id']}/release", f"/files/{file['id']}/delete")
    record = "/v1/records/product/42/papers"
    for held, is_offered in (([file["id"]], False), ([], True)):
        assert (await client.put(record, json={"file_ids": held})).status_code == 200
        page = await panel.get(f"/files/{file['id']}")
        assert ("A record holds the file: take it out of its records" in said(page)) != is_offered
        for path in offers:
            assert (path in page.text) == is_offered


async def test_others_files_are_not_there(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    panel: Panel,
    browsers: Callable[[], Panel],
    settings: Settings,
) -> None:
    file = await stored(client, web)
    upload = await announced(client, b"x", "pending.txt")
    await client.put("/v1/records/product/42/papers", json={"file_ids": [file["id"]]})
    key = (await key_for(settings, *SCOPES, owner="other", tenant="acme"))["Authorization"]
    stranger = await signed_in(browsers(), settings, "eve", tenant="other")
    assert "No files yet" in await stranger.page("/files")
    assert "None" in await stranger.page("/uploads")
    assert "No records yet" in await stranger.page("/records/product")
    assert "No keys yet" in await stranger.page("/keys")
    for path in (f"/files/{file['id']}", "/records/product/of/42", f"/files/{UNKNOWN_ID}"):
        assert (await stranger.get(path)).status_code == 404
    for path in ("release", "delete"):
        assert (await stranger.post(f"/files/{file['id']}/{path}")).status_code == 404
    assert (await stranger.post(f"/uploads/{upload['id']}/abort")).status_code == 404
    assert (await stranger.post("/records/product/of/42/forget")).status_code == 404
    put = {"record-id": "7", "field-papers": file["id"]}
    refused = await stranger.post("/records/product/new", put)
    assert "No confirmed file of yours has the id" in said(refused)
    assert (await client.get(f"/v1/files/{file['id']}")).status_code == 200
    assert (await client.get("/v1/files", headers={"Authorization": key})).status_code == 200
    listed = re.findall(r"/keys/([0-9a-f-]{36})/revoke", (await panel.get("/keys")).text)
    assert len(listed) == 2
    await stranger.post(f"/keys/{listed[0]}/revoke")
    assert (await client.get("/v1/files", headers={"Authorization": key})).status_code == 200


async def test_uploads_in_flight_are_aborted(
    client: httpx.AsyncClient, panel: Panel, database_url: str
) -> None:
    upload = await announced(client, b"x", "one.txt")
    other = await announced(client, b"x", "two.txt")
    page = await panel.page("/uploads")
    assert "2 uploads" in page
    assert "two.txt files POST 1 byte shop" in page
    assert "Abort the upload?" in await panel.page(f"/uploads/{upload['id']}/abort")
    page = await panel.act(f"/uploads/{upload['id']}/abort")
    assert "The upload of one.txt is aborted." in page
    assert "1 upload" in page
    assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 404
    assert (await panel.get(f"/uploads/{upload['id']}/abort")).status_code == 404

    db = await asyncpg.connect(database_url)
    await db.execute(
        "UPDATE files SET state = 'rejected', reason = 'a page' WHERE filename = 'two.txt'"
    )
    await db.close()
    assert "two.txt a page" in await panel.page("/uploads?state=rejected")
    await panel.act(f"/uploads/{other['id']}/abort")
    assert "None" in await panel.page("/uploads?state=rejected")
    assert "0 uploads" in await panel.page("/uploads?state=nosuch")


async def test_a_database_that_is_away_is_said_in_words(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **how: Any) -> None:
        raise DatabaseUnavailable("The database did not answer; try again in a moment.")

    monkeypatch.setattr("app.admin.files.search_files", away)
    response = await panel.get("/files")
    assert response.status_code == 503
    assert "The database did not answer" in said(response)
