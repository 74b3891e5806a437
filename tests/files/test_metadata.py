"""Metadata, paths and names of files: announced, changed, found, and nobody else's."""

import logging
from typing import Any

import httpx
import pytest

from app.settings.model import Settings
from tests.support.archives import Entry, zipped
from tests.support.samples import NOISE, PNG
from tests.support.service import UNKNOWN_ID, key_for, log_lines, prepared, running
from tests.support.steps import announced, confirm_all, minted, setting, slug, stored

METADATA = {"album": "spring", "page": 3, "ratio": 2.5, "raw": True}


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | setting("images", "extensions", "png,jpg"))


async def names(client: httpx.AsyncClient, **query: Any) -> list[str]:
    response = await client.get("/v1/files", params=query)
    assert response.status_code == 200, response.text
    return [item["filename"] for item in response.json()["items"]]


async def test_what_is_announced_stays_with_the_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    path = "Spring/harbour/Holiday.png"
    file = await stored(client, web, b"hello", metadata=METADATA, path=path)
    assert (file["metadata"], file["path"]) == (METADATA, path)
    again = (await client.get(f"/v1/files/{file['id']}")).json()
    assert (again["metadata"], again["path"]) == (METADATA, path)
    assert "spring" not in file["key"] + file["presigned_url"]
    plain = await stored(client, web, b"hello", metadata={})
    assert (plain["metadata"], plain["path"]) == ({}, None)


async def test_each_of_a_batch_has_its_own(client: httpx.AsyncClient, database_url: str) -> None:
    one = {"destination": "files", "filename": "a.txt", "size": 1}
    answer = await client.post(
        "/v1/uploads/batch",
        json={
            "uploads": [
                {**one, "metadata": {"n": 1}, "path": "x/a.txt"},
                one,
                {**one, "metadata": {"n": [1]}},
                {**one, "path": "../a.txt"},
            ]
        },
    )
    first, second, *refused = answer.json()["uploads"]
    assert [
        "metadata" in refused[0]["problem"]["detail"],
        "path" in refused[1]["problem"]["detail"],
    ]
    assert [one["problem"]["status"] for one in refused] == [422, 422]
    await confirm_all(database_url)
    for upload, metadata, path in ((first, {"n": 1}, "x/a.txt"), (second, {}, None)):
        file = (await client.get(f"/v1/files/{upload['id']}")).json()
        assert (file["metadata"], file["path"]) == (metadata, path)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"metadata": {str(n): n for n in range(21)}}, "at most 20"),
        ({"metadata": {"a": "x" * 2048}}, "at most 2,048 are kept"),
        ({"metadata": {"a": None}}, "metadata.a"),
        ({"metadata": {"a": 2**53}}, "numbers must lie between"),
        ({"metadata": [1]}, "metadata"),
        ({"path": "/etc/passwd"}, "relative path"),
        ({"path": "a/../../b"}, "its parts must be names"),
        ({"path": "a\\b"}, "relative path"),
        ({"tags": ["a"]}, "tags"),
    ],
)
async def test_refusals_in_words(
    client: httpx.AsyncClient, said: dict[str, Any], words: str
) -> None:
    body = {"destination": "files", "filename": "a.txt", "size": 1, **said}
    answer = await client.post("/v1/uploads", json=body)
    assert (answer.status_code, slug(answer)) == (422, "validation-failed")
    assert words in answer.json()["detail"]


async def test_a_name_changes_for_links_and_never_the_key(
    client: httpx.AsyncClient, web: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    file = await stored(client, web, b"hello", "old.txt", metadata=METADATA)
    caplog.set_level(logging.INFO, "claimcheck")
    answer = await client.patch(
        f"/v1/files/{file['id']}",
        json={"filename": "x/Neu  ü.txt", "metadata": {"page": 4, "raw": None, "more": "<b>"}},
    )
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert (changed["filename"], changed["key"]) == ("Neu  ü.txt", file["key"])
    assert changed["metadata"] == {"album": "spring", "page": 4, "ratio": 2.5, "more": "<b>"}
    for link, name in ((file["presigned_url"], "old.txt"), (changed["presigned_url"], "Neu")):
        read = await web.get(link)
        assert read.content == b"hello"
        assert name in read.headers["content-disposition"]
    [line] = [one for one in log_lines(caplog, "audit") if one["event"] == "file.changed"]
    assert (line["file_id"], line["changed"]) == (file["id"], ["filename", "metadata"])
    assert "spring" not in str(line)

    caplog.clear()
    for body in ({}, {"filename": "Neu  ü.txt"}, {"metadata": {"page": 4}}, {"metadata": {}}):
        same = await client.patch(f"/v1/files/{file['id']}", json=body)
        assert same.json()["metadata"] == changed["metadata"]
    assert "file.changed" not in str(log_lines(caplog, "audit"))
    gone = await client.patch(f"/v1/files/{file['id']}", json={"metadata": None})
    assert gone.json()["metadata"] == {}


async def test_changes_that_are_refused(client: httpx.AsyncClient, database_url: str) -> None:
    upload = await announced(client, b"x", "a.png", destination="images")
    pending = await client.patch(f"/v1/files/{upload['id']}", json={"filename": "b.png"})
    assert (pending.status_code, slug(pending)) == (404, "file-not-found")
    await confirm_all(database_url)
    for body, problem in (
        ({"filename": "b.exe"}, "extension-not-allowed"),
        ({"filename": ".."}, "invalid-filename"),
        ({"metadata": {"a": "x" * 3000}}, "validation-failed"),
        ({"metadata": {"a": {}}}, "validation-failed"),
        ({"key": "b.png"}, "validation-failed"),
    ):
        refused = await client.patch(f"/v1/files/{upload['id']}", json=body)
        assert (refused.status_code, slug(refused)) == (422, problem)
    file = (await client.get(f"/v1/files/{upload['id']}")).json()
    assert (file["filename"], file["metadata"]) == ("a.png", {})
    unknown = await client.patch(f"/v1/files/{UNKNOWN_ID}", json={"filename": "b.png"})
    assert unknown.status_code == 404


async def test_a_new_extension_is_held_to_the_contents(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """A name cannot become at last the one that was refused at first."""
    limits = setting("zips", "archives", '{"max_entries": 1}')
    said = {"content_type": "application/octet-stream", "destination": "zips"}
    hidden = b"\0" + zipped([Entry()] * 9) + b"\0"
    async with running(await prepared(environ | limits)) as client:
        for data, before, after, status in (
            (PNG, "a.bin", "a.pdf", 422),
            (PNG, "a.bin", "a.png", 200),
            (PNG, "a.png", "b.jpg", 200),  # harmless
            (NOISE, "a.bin", "a.pdf", 200),  # unknown
            (hidden, "a.bin", "a.zip", 422),
            (hidden, "a.bin", "b.bin", 200),
            (zipped([Entry()]), "a.bin", "a.zip", 200),
        ):
            file = await stored(client, web, data, before, **said)
            answer = await client.patch(f"/v1/files/{file['id']}", json={"filename": after})
            assert answer.status_code == status, (before, after)
            assert status == 200 or slug(answer) == "invalid-filename"


async def test_found_at_once_by_metadata_and_parts_of_names(
    client: httpx.AsyncClient, database_url: str
) -> None:
    for number, name in enumerate(("Harbour at night.txt", "harbour.md", "Ünterföhring.txt")):
        await announced(client, b"x", name, metadata={"n": number, "album": "spring"})
    await announced(client, b"x", "plain.txt")
    assert await names(client, q="harbour") == []  # a pending one is no file
    await confirm_all(database_url)
    assert await names(client, q="harbour") == ["harbour.md", "Harbour at night.txt"]
    assert await names(client, q="NIGHT bour") == ["Harbour at night.txt"]
    assert await names(client, q="terfö") == ["Ünterföhring.txt"]
    assert await names(client, **{"metadata.n": "1"}) == ["harbour.md"]
    everything = await names(client, **{"metadata.album": "spring"})
    assert everything == ["Ünterföhring.txt", "harbour.md", "Harbour at night.txt"]
    both = {"metadata.album": "spring", "metadata.n": "0", "q": "harb"}
    assert await names(client, **both) == ["Harbour at night.txt"]
    assert await names(client, **both, destination="images") == []
    assert await names(client, **both, content_type="text/*", attached="false") == [
        "Harbour at night.txt"
    ]
    assert await names(client, **{"metadata.album": "sprin"}) == []
    assert await names(client, q="harbour plain") == []

    page = (await client.get("/v1/files", params={"q": "harbour", "limit": 1})).json()
    assert (page["incomplete"], len(page["items"])) == (False, 1)
    last = await client.get(
        "/v1/files", params={"q": "harbour", "limit": 1, "cursor": page["next_cursor"]}
    )
    assert ([i["filename"] for i in last.json()["items"]], last.json()["next_cursor"]) == (
        ["Harbour at night.txt"],
        None,
    )
    other = await client.get("/v1/files", params={"q": "har", "cursor": page["next_cursor"]})
    assert slug(other) == "invalid-cursor"

    found = (await client.get("/v1/files", params={"q": "night"})).json()["items"][0]
    await client.patch(
        f"/v1/files/{found['id']}", json={"filename": "day.txt", "metadata": {"n": 9}}
    )
    assert await names(client, q="night") == await names(client, **{"metadata.n": "0"}) == []
    assert await names(client, q="day") == await names(client, **{"metadata.n": "9"}) == ["day.txt"]
    await client.delete(f"/v1/files/{found['id']}")
    assert await names(client, q="day") == []


async def test_nobody_finds_or_changes_what_is_not_theirs(
    environ: dict[str, str], database_url: str
) -> None:
    settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
    rights = ("uploads:write", "files:read")
    ann = await key_for(settings, *rights, "sessions:mint", owner="ann", tenant="acme")
    everybody = [
        await key_for(settings, *rights, owner="eve", tenant="acme"),
        await key_for(settings, *rights, "files:all", owner="ann", tenant="other"),
        await key_for(settings, *rights, owner="ann"),
    ]
    async with running(settings) as client:
        client.headers.update(ann)
        upload = await announced(client, b"x", "harbour.txt", metadata={"album": "spring"})
        await confirm_all(database_url)
        assert await names(client, q="harbour") == ["harbour.txt"]
        session = await minted(client)
        for headers in everybody:
            client.headers.update(headers)
            assert await names(client, q="harbour") == []
            assert await names(client, **{"metadata.album": "spring"}) == []
            answer = await client.patch(f"/v1/files/{upload['id']}", json={"filename": "b.txt"})
            assert slug(answer) == "file-not-found"
        client.headers.update({"Authorization": f"Bearer {session['token']}"})
        answer = await client.patch(f"/v1/files/{upload['id']}", json={"filename": "b.txt"})
        assert slug(answer) == "file-not-found"
        own = await announced(client, b"x", "mine.txt", metadata={"n": 1})
        await confirm_all(database_url)
        answer = await client.patch(f"/v1/files/{own['id']}", json={"metadata": {"n": 2}})
        assert (answer.status_code, answer.json()["metadata"]) == (200, {"n": 2})
        client.headers.update(await key_for(settings, "files:read", owner="ann", tenant="acme"))
        answer = await client.patch(f"/v1/files/{upload['id']}", json={"filename": "b.txt"})
        assert slug(answer) == "insufficient-scope"
        client.headers.update(
            await key_for(settings, *rights, "files:all", owner="boss", tenant="acme")
        )
        assert await names(client, q="harbour") == ["harbour.txt"]


async def test_queries_that_do_not_fit(client: httpx.AsyncClient) -> None:
    for query in (
        {"q": "x" * 201},
        {"metadata": "spring"},
        {"metadata[album]": "spring"},
        {f"metadata.{n}": "x" for n in range(21)},
    ):
        answer = await client.get("/v1/files", params=query)
        assert (answer.status_code, slug(answer)) == (422, "validation-failed"), query
    for query in ({"q": " "}, {"metadata.": ""}, {"metadata.\0": "\0"}, {"q": "\0\x1f\x1e"}):
        assert (await client.get("/v1/files", params=query)).status_code == 200, query


async def test_a_change_is_told_once_with_what_it_came_to(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await stored(client, web)
    feed = "/v1/events?wait=20&after="
    at = (await client.get("/v1/events?after=latest")).json()["cursor"]
    for _ in range(2):  # the second one changes nothing
        body = {"filename": "new.txt", "metadata": {"album": "spring"}}
        answer = await client.patch(f"/v1/files/{file['id']}", json=body)
    await client.patch(f"/v1/files/{UNKNOWN_ID}", json=body)
    [event] = (await client.get(f"{feed}{at}")).json()["items"]
    assert event["type"] == "file.changed"
    assert event["created_at"] > file["confirmed_at"]
    shown = {
        name: value
        for name, value in answer.json().items()
        if "ed_url" not in name and name != "content_url"
    }
    more = {"owner": "dev", "reason": None, "file_request_id": None}
    assert event["data"] == shown | more
