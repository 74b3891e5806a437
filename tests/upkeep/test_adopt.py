"""Objects of a bucket become files: all of them, once, in order, and none that should not."""

import asyncio
import csv
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.object_url import object_url
from app.settings.model import Settings, load_settings
from app.upkeep.adopt import Pace
from tests.support.faults import cut_off
from tests.support.faulty_proxy import faulty_proxy
from tests.support.samples import PNG
from tests.support.service import Store, as_set, owner_of_bucket, prepared, running
from tests.support.stores import rgw
from tests.support.upkeep import found, swept

COMMAND = (sys.executable, "-m", "app.cli", "adopt")


@pytest.fixture
async def s3(settings: Settings) -> AsyncIterator[Any]:
    async with owner_of_bucket(settings) as s3:
        yield s3


async def command(
    environ: dict[str, str], *arguments: str
) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit status, what is said of each key, and what is on standard error."""
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, *arguments),
        env=as_set(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    lines = [json.loads(line) for line in out.splitlines()]
    said = {line.get("key") or line["url"] or str(line["line"]): line for line in lines}
    assert len(said) == len(lines)
    return process.returncode, said, error.decode()


async def put(s3: Any, bucket: str, key: str, body: bytes = b"hello", **more: Any) -> None:
    await s3.put_object(Bucket=bucket, Key=key, Body=body, **more)


async def test_a_prefix_is_adopted_once_and_read_like_any_file(
    settings: Settings,
    environ: dict[str, str],
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    s3: Any,
) -> None:
    bucket = settings.destinations["files"].bucket
    # Keys that the service would never make.
    keys = ["files/Old Folder/Ümlaut & co.txt", "files/b.txt", "files/b.txt.bak+1"]
    for key in keys:
        await put(s3, bucket, key, key.encode(), ContentType="text/plain")
    await put(s3, bucket, "files/folder/", b"")
    await put(s3, bucket, "files/hidden.txt")
    await s3.delete_object(Bucket=bucket, Key="files/hidden.txt")
    await put(s3, bucket, "elsewhere.txt")
    arguments = ("--prefix", "files/", "--owner", "dev")

    status, said, error = await command(environ, *arguments)
    assert (status, set(said)) == (0, set(keys)), error
    assert {one["outcome"] for one in said.values()} == {"adopted"}
    assert "nothing was stored" in error
    assert (await client.get("/v1/files")).json()["items"] == []

    status, said, error = await command(environ, *arguments, "--apply")
    assert (status, "3 adopted\n") == (0, error.splitlines(keepends=True)[-1]), error
    listed = (await client.get("/v1/files")).json()["items"]
    assert {file["key"]: file["id"] for file in listed} == {
        key: one["file_id"] for key, one in said.items()
    }
    for file in listed:
        assert (await web.get(file["presigned_url"])).content == file["key"].encode()
        assert file["url"] == object_url(
            settings.destinations["files"].stored_endpoint, bucket, file["key"]
        )
        assert file["filename"] == file["key"].rpartition("/")[2]
        head = await s3.head_object(Bucket=bucket, Key=file["key"])
        assert (file["version_id"], file["etag"]) == (head["VersionId"], head["ETag"])
    found_by_url = await client.post(
        "/v1/files/presign", json={"urls": [file["url"] for file in listed]}
    )
    assert all(link["presigned_url"] for link in found_by_url.json()["items"])

    status, said, error = await command(environ, *arguments, "--apply")
    assert (status, {one["outcome"] for one in said.values()}) == (0, {"known"})
    assert len((await client.get("/v1/files")).json()["items"]) == 3
    # What was left out is nobody's still.
    assert await found(settings) == {"files/folder/": "foreign"}

    # To the sweep and to reconcile they are as any file.
    assert not sum((await swept(settings)).values())
    by_key = {file["key"]: file for file in listed}
    await put(s3, bucket, keys[1], b"other bytes")
    assert (await web.get(by_key[keys[1]]["presigned_url"])).content == keys[1].encode()
    assert (await found(settings))[keys[1]] == "overwritten"
    for key in keys[1:]:
        deleted = await client.delete(f"/v1/files/{by_key[key]['id']}", params={"object": "delete"})
        assert deleted.status_code == 204
    assert await found(settings) == {"files/folder/": "foreign"}
    assert [file["key"] for file in (await client.get("/v1/files")).json()["items"]] == keys[:1]


async def test_what_the_destination_does_not_take_is_listed_and_adopted_only_anyway(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, s3: Any
) -> None:
    environ = environ | {
        "CLAIMCHECK_DESTINATIONS__IMAGES__CONTENT_TYPES": "image/*",
        "CLAIMCHECK_DESTINATIONS__IMAGES__MAX_SIZE": "100",
        "CLAIMCHECK_DESTINATIONS__IMAGES__MAX_PIXELS": "1000",
    }
    bucket = settings.destinations["files"].bucket
    await put(s3, bucket, "images/true.png", PNG, ContentType="image/png")
    # Stored without a type: the name tells it.
    await put(s3, bucket, "images/untyped.png", PNG, ContentType="binary/octet-stream")
    await put(s3, bucket, "images/large.png", PNG + b"\0" * 100, ContentType="image/png")
    wide = PNG[:16] + bytes((0, 0, 9, 9, 0, 0, 9, 9)) + PNG[24:]
    await put(s3, bucket, "images/wide.png", wide, ContentType="image/png")
    await put(s3, bucket, "images/page.html", b"<html>", ContentType="text/html")
    await put(s3, bucket, "images/page.png", b"<!doctype html><html>", ContentType="image/png")
    arguments = ("--prefix", "images/", "--owner", "dev")

    _, said, _ = await command(environ, *arguments)
    plain = {key for key, one in said.items() if one["outcome"] == "adopted"}
    untold = {"images/page.png", "images/wide.png"}
    assert plain == {"images/true.png", "images/untyped.png"} | untold
    assert "text/html" in said["images/page.html"]["reason"]

    status, said, _ = await command(environ, *arguments, "--look", "--apply")
    adopted = {key for key, one in said.items() if one["outcome"] == "adopted"}
    assert (status, adopted) == (2, {"images/true.png", "images/untyped.png"})
    assert {
        said[f"images/{name}"]["outcome"]
        for name in ("large.png", "page.html", "page.png", "wide.png")
    } == {"differs"}
    assert "2,313 x 2,313 pixels" in said["images/wide.png"]["reason"]
    files = {f["filename"]: f for f in (await client.get("/v1/files")).json()["items"]}
    assert files["untyped.png"]["content_type"] == "image/png"
    assert files["untyped.png"]["announced_type"] == "binary/octet-stream"
    assert files["untyped.png"]["detected_type"] == "image/png"
    assert files["untyped.png"]["image"]["width"] == 1
    assert "response-content-type=image" in files["untyped.png"]["presigned_url"]

    status, said, _ = await command(environ, *arguments, "--look", "--anyway", "--apply")
    assert status == 0
    files = {f["filename"]: f for f in (await client.get("/v1/files")).json()["items"]}
    assert len(files) == 6
    # It is a page: no link shows it.
    for name in ("page.html", "page.png"):
        assert "attachment" in files[name]["presigned_url"]


async def test_a_list_of_urls_says_whose_they_are_and_every_line_is_accounted_for(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, s3: Any, tmp_path: Path
) -> None:
    environ = environ | {
        "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
    }
    bucket = settings.destinations["files"].bucket
    endpoint = settings.destinations["files"].stored_endpoint
    for name in ("1.txt", "zwei & drei.txt", "4.txt"):
        await put(s3, bucket, f"files/{name}", ContentType="text/plain")
    rows = [
        {"url": f"{endpoint}/{bucket}/files/1.txt", "created_at": "2019-03-04T05:06:07Z"},
        {
            "url": f"{endpoint}/{bucket}/files/zwei%20%26%20drei.txt?X-Amz-Signature=old",
            "owner": "eve",
            "filename": "Zwei.txt",
        },
        {"url": f"{endpoint}/{bucket}/files/4.txt", "attach_to": "product/42/picture"},
        {"url": f"{endpoint}/{bucket}/files/dead.txt"},
        {"url": "https://example.com/files/1.txt"},
        {"url": f"{endpoint}/{bucket}/nowhere/1.txt"},
        {"url": f"{endpoint}/{bucket}/files/other.txt", "created_at": "yesterday"},
        {"url": f"{endpoint}/{bucket}/files/3.txt", "attach_to": "product"},
    ]
    listing = tmp_path / "objects.csv"
    with listing.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["url", "owner", "filename", "created_at", "attach_to"])
        writer.writeheader()
        writer.writerows(rows)
    status, said, error = await command(
        environ, "--list", str(listing), "--owner", "dev", "--apply"
    )
    outcomes = {one["line"]: one["outcome"] for one in said.values()}
    assert outcomes == {
        **dict.fromkeys((2, 3, 4), "adopted"),
        5: "absent",
        **dict.fromkeys((6, 7, 8, 9), "refused"),
    }, error
    assert all(one["reason"] for one in said.values() if one["outcome"] != "adopted")
    assert status == 2
    files = (await client.get("/v1/files")).json()["items"]
    # Newest first, by the dates that the list gives.
    assert {file["key"] for file in files[:2]} == {"files/4.txt", "files/zwei & drei.txt"}
    assert (files[2]["key"], files[2]["created_at"]) == ("files/1.txt", "2019-03-04T05:06:07Z")
    by_name = {file["filename"]: file["id"] for file in files}
    async with running(load_settings(environ)) as of_records:
        record = (await of_records.get("/v1/records/product/42")).json()
    assert record["fields"]["picture"]["file_id"] == by_name["4.txt"]
    db = await asyncpg.connect(environ["DATABASE_URL"])
    owners = dict(await db.fetch("SELECT filename, owner FROM files"))
    await db.close()
    assert owners == {"1.txt": "dev", "Zwei.txt": "eve", "4.txt": "dev"}
    # The same again, as NDJSON: nothing is there twice.
    again = tmp_path / "objects.ndjson"
    again.write_text("".join(json.dumps(row) + "\n" for row in rows[:3]) + "[]\n{\n")
    status, said, _ = await command(environ, "--list", str(again), "--owner", "dev", "--apply")
    assert [one["outcome"] for one in said.values() if "key" in one] == ["known"] * 3


async def test_a_field_that_does_not_take_the_file_leaves_no_file(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, s3: Any, tmp_path: Path
) -> None:
    bucket = settings.destinations["files"].bucket
    await put(s3, bucket, "files/1.txt", ContentType="text/plain")
    listing = tmp_path / "objects.ndjson"
    url = f"{settings.destinations['files'].stored_endpoint}/{bucket}/files/1.txt"
    listing.write_text(json.dumps({"url": url, "attach_to": "person/1/photo"}))
    status, said, _ = await command(environ, "--list", str(listing), "--owner", "dev", "--apply")
    [one] = said.values()
    assert (status, one["outcome"]) == (2, "refused")
    assert "person" in one["reason"]
    assert (await client.get("/v1/files")).json()["items"] == []


async def test_lines_that_no_row_can_hold_are_refused_and_the_others_adopted(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, s3: Any, tmp_path: Path
) -> None:
    bucket = settings.destinations["files"].bucket
    for n in range(1, 4):
        await put(s3, bucket, f"files/{n}.txt", ContentType="text/plain")
    url = f"{settings.destinations['files'].stored_endpoint}/{bucket}/files/1.txt"
    bad = [
        {"created_at": "1969-12-31T23:59:59Z"},
        {"created_at": "0001-01-01T00:00:00+02:00"},
        {"owner": "a\0b"},
        {"owner": "a" * 256},
        {"tenant": "a\0b"},
        {"tenant": "a" * 256},
        {"filename": "\0", "url": url.replace("1.txt", "2.txt")},
        {"attach_to": "a\0/1/b", "url": url.replace("1.txt", "3.txt")},
        {"url": url.replace("1.txt", "%00.txt")},
        {"url": url.replace("1.txt", "1" * 1100)},
        {"url": "https://[/files/1.txt"},
    ]
    listing = tmp_path / "objects.ndjson"
    lines = [{"url": f"{url}?{n}"} | row for n, row in enumerate([*bad, {"owner": "dev"}])]
    listing.write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, said, error = await command(
        environ, "--list", str(listing), "--owner", "dev", "--apply"
    )
    assert status == 2, error
    outcomes = {one["line"]: one["outcome"] for one in said.values()}
    assert outcomes == dict.fromkeys(range(1, 12), "refused") | {12: "adopted"}
    assert all(one["reason"] for one in said.values() if one["line"] != 12)
    [file] = (await client.get("/v1/files")).json()["items"]
    assert file["filename"] == "1.txt"


async def test_lists_that_cannot_be_read(
    settings: Settings, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "latin.csv").write_bytes("url\nhttps://example.com/\xfc\n".encode("latin-1"))
    (tmp_path / "empty.csv").touch()
    (tmp_path / "long.csv").write_text(f"url\n{'a' * 200_000}\n")
    for name, expected in (
        ("none.csv", "none.csv"),
        ("latin.csv", "UTF-8"),
        ("empty.csv", "`url`"),
        ("long.csv", "long.csv"),
    ):
        status, _, error = await command(environ, "--list", str(tmp_path / name), "--owner", "dev")
        assert (status, "Traceback" in error) == (1, False), error
        assert expected in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--prefix", "files/"), "--owner"),
        (("--prefix", "nowhere/", "--owner", "dev"), "No destination"),
        (
            ("--prefix", "files/", "--owner", "dev", "--destination", "videos"),
            "No destination videos",
        ),
        (("--prefix", "files/", "--owner", "dev", "--rate", "0"), "above 0"),
    ],
)
async def test_what_cannot_be_done_is_said(
    settings: Settings, environ: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    status, _, error = await command(environ, *arguments)
    assert (status, said in error) == (1, True), error


async def test_so_many_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("app.upkeep.adopt.monotonic", lambda: 7.0)
    # The module's alone: services that other tests leave running sleep, too.
    monkeypatch.setattr("app.upkeep.adopt.asyncio", SimpleNamespace(sleep=sleep))
    for pace in (Pace(4), Pace(None)):
        for _ in range(3):
            await pace.wait()
    assert slept == [0.25, 0.5]


async def test_killed_and_called_again_it_goes_on(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, s3: Any
) -> None:
    bucket = settings.destinations["files"].bucket
    count = 1200
    await asyncio.gather(*(put(s3, bucket, f"files/{n:04}.txt", b"1") for n in range(count)))
    arguments = ("--prefix", "files/", "--owner", "dev", "--apply")
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        # It adopts the first page, and gets no second one.
        listing = proxy.disturb("GET", "before", after=1)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.unhurried", "adopt", *arguments),
            env=as_set(cut_off(environ, proxy)),
            stdout=asyncio.subprocess.DEVNULL,
        )
        while not (await client.get("/v1/files")).json()["items"]:
            assert process.returncode is None
            await asyncio.sleep(0.05)
        assert listing.asked.is_set()
        process.send_signal(signal.SIGKILL)
        await process.wait()
    status, said, _ = await command(environ, *arguments)
    outcomes = Counter(one["outcome"] for one in said.values())
    assert (status, outcomes) == (0, {"known": 1000, "adopted": count - 1000})
    seen: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        page = await client.get(
            "/v1/files", params={"limit": 100} | ({"cursor": cursor} if cursor else {})
        )
        seen |= {file["key"] for file in page.json()["items"]}
        cursor = page.json()["next_cursor"]
    assert len(seen) == count


async def test_on_ceph_with_the_rights_of_the_service(
    gateway: rgw.Rgw, database_url: str, web: httpx.AsyncClient
) -> None:
    bucket = "adopted"
    keys = gateway.owner
    owned = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
    # Of the whole bucket.
    common = {
        "DATABASE_URL": database_url,
        "CLAIMCHECK_AUTH": "none",
        "CLAIMCHECK_DESTINATIONS": json.dumps({"old": {"key_prefix": ""}}),
    }
    owner_settings = await prepared(common | owned.environ(bucket))
    user = gateway.create_service_user("adopter", bucket)
    environ = common | Store(gateway.endpoint_url, user.access_key, user.secret_key).environ(bucket)
    async with owner_of_bucket(owner_settings) as s3:
        await put(s3, bucket, "2019/Straße.txt", b"1", ContentType="text/plain")
        await put(s3, bucket, "2019/Straße.txt", b"22", ContentType="text/plain")
        await put(s3, bucket, "empty.txt", b"", ContentType="text/plain")
    arguments = ("--prefix", "", "--owner", "dev", "--look", "--apply")
    status, said, error = await command(environ, *arguments)
    assert (status, len(said)) == (0, 2), error
    settings = load_settings(environ)
    async with running(settings) as client:
        for file in (await client.get("/v1/files")).json()["items"]:
            read = await web.get(file["presigned_url"])
            assert read.content == (b"22" if "2019" in file["key"] else b"")
            assert datetime.fromisoformat(file["created_at"]) <= datetime.now(UTC)
            deleted = await client.delete(f"/v1/files/{file['id']}", params={"object": "delete"})
            assert deleted.status_code == 204
    assert await found(settings) == {}
