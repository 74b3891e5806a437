"""Contents at confirm: lies are found out, whatever the way; and what is served is never run."""

import asyncio
import itertools
import threading
from datetime import timedelta
from typing import Any

import aiohttp
import asyncpg
import httpx
import pytest
from aiobotocore.client import AioBaseClient
from yarl import URL

from app.core.contents import detect
from app.doctor.examination import sha256
from app.errors import DatabaseUnavailable
from app.store import look
from app.store.look import StoredObject
from app.uploads import verify
from tests.support.samples import CSV, DOCX, DOCX_TYPE, HTML, JPEG, NOISE, PDF, PNG, SVG, XML
from tests.support.service import owner_of_bucket, prepared, running
from tests.support.steps import announced, rejected, send, setting, slug, stored
from tests.support.upkeep import swept

XHTML = (
    b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x">'
    b'<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>'
)


@pytest.mark.parametrize("method", ["post", "put"])
async def test_a_page_announced_as_an_image_is_refused(
    environ: dict[str, str], web: httpx.AsyncClient, method: str, database_url: str
) -> None:
    async with running(await prepared(environ | setting("images", "method", method))) as client:
        said = {"destination": "images", "filename": "a.png", "content_type": "image/png"}
        problem = await rejected(client, web, HTML, **said)
        assert problem["detail"] == "The contents are text/html; image/png was announced."
        assert problem["content_type"] == "image/png"
        assert problem["detected_type"] == "text/html"
        assert (await client.get(f"/v1/files/{problem['id']}")).status_code == 404
        assert (await client.get(f"/v1/files/{problem['id']}/content")).status_code == 404
        again = await client.post(f"/v1/uploads/{problem['id']}/confirm")
        assert again.json()["detail"] == problem["detail"]
    connection = await asyncpg.connect(database_url)
    row = await connection.fetchrow("SELECT state, content_type, detected_type FROM files")
    await connection.close()
    assert row is not None
    assert tuple(row) == ("rejected", "image/png", "text/html")


@pytest.mark.parametrize(
    ("filename", "data", "detected"),
    [
        ("a.png", PNG, "image/png"),
        ("a.jpg", JPEG, "image/jpeg"),
        ("a.docx", DOCX, DOCX_TYPE),
        ("a.csv", CSV, "text/csv"),
        ("a.csv", b"not much of a table", "text/plain"),
        ("a.txt", b"", "application/x-empty"),
        ("a.bin", NOISE, "application/octet-stream"),
        ("a.html", HTML, "text/html"),
    ],
)
async def test_what_is_what_it_says_is_a_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient, filename: str, data: bytes, detected: str
) -> None:
    file = await stored(client, web, data, filename)
    assert file["detected_type"] == detected
    assert (await client.get(f"/v1/files/{file['id']}")).json()["detected_type"] == detected
    assert (await web.get(file["presigned_url"])).content == data


@pytest.mark.parametrize(
    ("filename", "data", "in_thread"),
    [
        ("a.png", PNG, False),
        ("a.jpg", JPEG, False),
        ("a.bin", NOISE, False),
        ("a.csv", CSV, True),
        ("a.txt", b"\n" * 4096, True),
        ("a.bin", b"\x01" + b"\n" * 4095, True),
        ("a.bin", b"", False),
        ("a.txt", "<\n".encode("utf-16") * 1000, True),
        ("a.txt", "<\n".encode("utf-16-le") * 1000, True),
    ],
)
async def test_text_is_told_in_a_thread(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    filename: str,
    data: bytes,
    in_thread: bool,
) -> None:
    """It takes several times as long as all else of a confirm; the rules let others go on there."""
    threads = []

    def noted(head: bytes) -> str:
        threads.append(threading.current_thread())
        return detect(head)

    monkeypatch.setattr(verify, "detect", noted)
    await stored(client, web, data, filename)
    assert [one is not threading.main_thread() for one in threads] == [in_thread]


@pytest.mark.parametrize("checksum", [False, True])
async def test_the_bucket_is_asked_once_and_for_no_more_than_the_first_bytes(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    checksum: bool,
) -> None:
    calls: list[tuple[str, URL, dict[str, str]]] = []
    ask = aiohttp.ClientSession.request

    def noted(self: Any, method: str, url: URL, **more: Any) -> Any:
        calls.append((method, url, more["headers"]))
        return ask(self, method, url, **more)

    async def called(_: Any, operation: str, __: Any) -> Any:
        raise AssertionError(operation)

    data = PNG + bytes(100_000)
    body = {"checksum_sha256": sha256(data)} if checksum else {}
    upload = await announced(client, data, "a.png", **body)
    await send(web, upload["upload"], data)
    monkeypatch.setattr(aiohttp.ClientSession, "request", noted)
    monkeypatch.setattr(AioBaseClient, "_make_api_call", called)
    file = (await client.post(f"/v1/uploads/{upload['id']}/confirm")).json()
    assert file["checksum_verified"] is checksum
    assert [method for method, _, _ in calls] == ["GET", "HEAD"][: 1 + checksum]
    assert calls[0][2]["Range"] == "bytes=0-4095"
    if checksum:
        assert calls[1][1].query["versionId"] == file["version_id"]


@pytest.mark.parametrize("versioned", [True, False])
async def test_the_checksum_is_that_of_the_bytes_that_were_read(
    environ: dict[str, str],
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    versioned: bool,
) -> None:
    settings = await prepared(environ)
    bucket = settings.destinations["files"].bucket
    head = look._head

    async with owner_of_bucket(settings) as s3, running(settings) as client:
        if not versioned:
            await s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
            )
        upload = await announced(client, PNG, "a.png", checksum_sha256=sha256(PNG))
        await send(web, upload["upload"], PNG)

        async def replaced(*arguments: Any) -> StoredObject:
            await s3.put_object(
                Bucket=bucket,
                Key=upload["key"],
                Body=HTML,
                ContentType="image/png",
                Metadata={"claimcheck-id": upload["id"]},
            )
            return await head(*arguments)

        monkeypatch.setattr(look, "_head", replaced)
        response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        monkeypatch.undo()
        if versioned:
            link = response.json()["presigned_url"]
            assert (await web.get(link)).content == PNG
        else:
            assert (response.status_code, slug(response)) == (409, "upload-not-arrived")
            response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
            assert (response.status_code, slug(response)) == (422, "upload-rejected")


async def test_a_page_is_no_picture_by_whatever_name(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    more = setting("media", "content_types", "image/*,video/*,audio/*,font/*")
    more |= setting("notes", "content_types", "text/markdown,application/octet-stream")
    async with running(await prepared(environ | more)) as client:
        for content_type in ("image/x-unheard-of", "video/mp2t", "audio/x-scpls", "font/new"):
            said = {"destination": "media", "filename": "a.x", "content_type": content_type}
            problem = await rejected(client, web, HTML, **said)
            assert "which destination media does not take" in problem["detail"]
            assert problem["detected_type"] == "text/html"
        # Markdown may begin with HTML; whoever takes bytes of no type takes any.
        for filename, data in (("a.bin", HTML), ("a.md", b"# Title"), ("a.md", HTML)):
            file = await stored(client, web, data, filename, destination="notes")
            served = (await web.get(file["presigned_url"])).headers
            assert served["content-type"] in {"application/octet-stream", "binary/octet-stream"}
            assert served["content-disposition"].startswith("attachment")


async def test_the_unknown_is_the_destinations_to_judge(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    more = setting("strict", "unknown_contents", "reject") | setting("lax", "max_size", "1000")
    said = {"filename": "a.own", "content_type": "application/x-own"}
    async with running(await prepared(environ | more)) as client:
        file = await stored(client, web, NOISE, destination="lax", **said)
        assert file["detected_type"] == "application/octet-stream"
        problem = await rejected(client, web, NOISE, destination="strict", **said)
        assert "application/x-own" in problem["detail"]
        assert "destination strict takes no such files" in problem["detail"]
        await stored(client, web, PNG, "a.png", destination="strict")


async def test_a_rejected_object_stays_or_goes_as_the_destination_says(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    more = setting("tidy", "rejected_objects", "delete") | setting("hoard", "max_size", "1000")
    settings = await prepared(environ | more)
    bucket = settings.destinations["tidy"].bucket
    async with running(settings) as client, owner_of_bucket(settings) as s3:
        for destination, versions in (("tidy", 0), ("hoard", 1)):
            problem = await rejected(client, web, HTML, filename="a.png", destination=destination)
            found = await s3.list_object_versions(Bucket=bucket, Prefix=problem["key"])
            assert len([*found.get("Versions", []), *found.get("DeleteMarkers", [])]) == versions
            # The answer stands, with or without the object.
            again = await client.post(f"/v1/uploads/{problem['id']}/confirm")
            assert (again.status_code, again.json()["detail"]) == (422, problem["detail"])
            assert again.json()["state"] == "rejected"
            assert (await client.delete(f"/v1/uploads/{problem['id']}")).status_code == 204


async def test_a_rejected_object_that_cannot_be_deleted_is_rejected_all_the_same(
    environ: dict[str, str], web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = setting("tidy", "rejected_objects", "delete")
    async with running(await prepared(environ | more)) as client:
        call = AioBaseClient._make_api_call

        async def no_deletes(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
            if operation == "DeleteObject":
                raise ConnectionResetError
            return await call(self, operation, arguments)

        monkeypatch.setattr(AioBaseClient, "_make_api_call", no_deletes)
        problem = await rejected(client, web, HTML, filename="a.png", destination="tidy")
        monkeypatch.undo()
        # Whoever comes next takes the removal up.
        assert (await client.delete(f"/v1/uploads/{problem['id']}")).status_code == 204


async def test_killed_before_a_rejected_object_goes_the_sweep_deletes_it(
    environ: dict[str, str], web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await prepared(environ | setting("tidy", "rejected_objects", "delete"))

    async def killed(*_: Any) -> bool:
        raise DatabaseUnavailable("It was.", retry_after=1)

    async with running(settings) as client, owner_of_bucket(settings) as s3:
        with monkeypatch.context() as patch:
            patch.setattr(verify, "remove_upload", killed)
            problem = await rejected(client, web, HTML, filename="a.png", destination="tidy")
        where = {"Bucket": settings.destinations["tidy"].bucket, "Prefix": problem["key"]}
        assert await swept(settings, timedelta()) == {}
        assert len((await s3.list_object_versions(**where))["Versions"]) == 1
        assert await swept(settings, timedelta(minutes=3)) == {"removed": 1}
        assert "Versions" not in await s3.list_object_versions(**where)
        again = await client.post(f"/v1/uploads/{problem['id']}/confirm")
        assert (again.status_code, again.json()["detail"]) == (422, problem["detail"])


async def test_twenty_confirms_of_a_lie_are_one_rejection(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    async with running(await prepared(environ | setting("tidy", "rejected_objects", "delete"))) as (
        client
    ):
        upload = await announced(client, HTML, "a.png", destination="tidy")
        await send(web, upload["upload"], HTML)
        answers = await asyncio.gather(
            *(client.post(f"/v1/uploads/{upload['id']}/confirm") for _ in range(20))
        )
        # Late ones may find the object gone before they see that the row has been moved.
        outcomes = {(answer.status_code, slug(answer)) for answer in answers}
        assert (422, "upload-rejected") in outcomes
        assert outcomes <= {(422, "upload-rejected"), (409, "upload-not-arrived")}


async def test_no_link_ever_serves_what_a_browser_would_run(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    """Whatever was announced, whatever was sent: if it was confirmed, no link shows it inline."""
    contents = {"html": HTML, "svg": SVG, "xml": XML, "xhtml": XHTML, "pdf": PDF, "png": PNG}
    contents["utf-16"] = HTML.decode().encode("utf-16")
    types = (
        *("image/png", "image/svg+xml", "image/x-unheard-of", "video/mp4", "video/x+xml"),
        *("audio/mpeg", "text/plain", "text/html", "text/css", "text/xml", "text/javascript"),
        *("application/xhtml+xml", "application/pdf", "application/octet-stream"),
        *("application/x-own", "application/vnd.ms-excel", "multipart/x-mixed-replace"),
    )

    async def one(content_type: str, name: str) -> tuple[str, str, str] | None:
        data = contents[name]
        upload = await announced(client, data, "a.bin", content_type=content_type)
        await send(web, upload["upload"], data)
        response = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        if response.status_code != 200:
            assert slug(response) == "upload-rejected"
            return None
        file = response.json()
        path = f"/v1/files/{file['id']}/content"
        [presigned] = (await client.post("/v1/files/presign", json={"ids": [file["id"]]})).json()[
            "items"
        ]
        links = [file["presigned_url"], presigned["presigned_url"]]
        for disposition in ("inline", "attachment"):
            redirect = await client.get(path, params={"disposition": disposition})
            links.append(redirect.headers["location"])
        shown = ""
        for link in links:
            read = await web.get(link)
            assert read.content == data
            if not read.headers.get("content-disposition", "").startswith("attachment"):
                shown = read.headers["content-type"]
        return content_type, name, shown

    confirmed = [
        outcome
        for pair in itertools.product(types, contents)
        if (outcome := await one(*pair)) is not None
    ]
    assert [outcome for outcome in confirmed if outcome[2]] == [("image/png", "png", "image/png")]
    # The rest was not merely refused: pages that say so are files, to be downloaded.
    assert {("text/html", "html", ""), ("image/svg+xml", "svg", "")} <= set(confirmed)
    assert ("text/plain", "html", "") in confirmed
