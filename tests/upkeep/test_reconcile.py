"""Bucket against database: what one has and the other does not, and nothing else, is found."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.destination import Destination
from app.db import reconcile as db_reconcile
from app.runtime.resources import open_resources
from app.settings.model import Settings, load_settings
from app.store import sending
from app.store.signer import utc_now
from app.upkeep.reconcile import reconcile, sections
from tests.support.rows import Explaining
from tests.support.service import UNKNOWN_ID, Store, as_set, owner_of_bucket, prepared, running
from tests.support.steps import announced, send, stored
from tests.support.stores import rgw
from tests.support.upkeep import LONG, found

COMMAND = (sys.executable, "-m", "app.cli", "reconcile")


@pytest.fixture
async def s3(settings: Settings) -> AsyncIterator[Any]:
    async with owner_of_bucket(settings) as s3:
        yield s3


async def spoil(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any
) -> tuple[dict[str, str], list[str]]:
    """One of everything: what is to be found, and the keys that are in order."""
    bucket = settings.destinations["files"].bucket
    names = ("fine", "released", "missing", "larger", "replaced", "replayed")
    names = (*names, "overwritten", "hidden")
    files = {name: await stored(client, web, b"hello", f"{name}.txt") for name in names}
    keys = {name: file["key"] for name, file in files.items()}
    pending = await announced(client, b"hello", "pending.txt")
    assert (await send(web, pending["upload"], b"hello")).is_success
    await client.delete(f"/v1/files/{files['released']['id']}")

    async def delete_versions(key: str) -> None:
        listing = await s3.list_object_versions(Bucket=bucket, Prefix=key)
        for version in listing["Versions"]:
            await s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])

    await delete_versions(keys["missing"])
    await delete_versions(keys["replaced"])
    await s3.put_object(Bucket=bucket, Key=keys["replaced"], Body=b"hello")
    # Links pin the confirmed version.
    await s3.put_object(Bucket=bucket, Key=keys["overwritten"], Body=b"a longer one")
    await s3.put_object(Bucket=bucket, Key=keys["hidden"], Body=b"another")
    await s3.delete_object(Bucket=bucket, Key=keys["hidden"])
    for name in ("overwritten", "hidden"):
        assert (await web.get(files[name]["presigned_url"])).content == b"hello"
    orphans = ["files/!", "files/é", "files/\U0001f600", "files/zz", "images/orphan", "videos/x"]
    for key in orphans:
        for body in (b"1", b"22"):
            metadata = {"claimcheck-id": UNKNOWN_ID}
            await s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)
    await s3.put_object(Bucket=bucket, Key="files/theirs", Body=b"1")
    # What a form or a PUT does that is sent again.
    metadata = {"claimcheck-id": files["replayed"]["id"]}
    await s3.put_object(Bucket=bucket, Key=keys["replayed"], Body=b"hullo", Metadata=metadata)
    await s3.put_object(Bucket=bucket, Key="files/hidden", Body=b"1")
    await s3.delete_object(Bucket=bucket, Key="files/hidden")
    await s3.put_object(Bucket=bucket, Key="others/object", Body=b"1")
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute("UPDATE files SET size = 4 WHERE key = $1", keys["larger"])
    await connection.close()
    wrong = dict.fromkeys(orphans, "orphan") | {
        keys["missing"]: "missing",
        keys["larger"]: "size",
        keys["replaced"]: "version",
        keys["replayed"]: "extra",
        keys["overwritten"]: "overwritten",
        keys["hidden"]: "hidden",
        "files/theirs": "foreign",
    }
    return wrong, [keys["fine"], keys["released"], pending["key"], "files/hidden", "others/object"]


async def test_everything_that_differs_is_found_and_only_orphans_go(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any
) -> None:
    wrong, right = await spoil(settings, client, web, s3)
    bucket = settings.destinations["files"].bucket
    assert await found(settings) == wrong
    assert await found(settings) == wrong
    # A version that came lately may be an upload's that is under way.
    kinds = set((await found(settings, timedelta(days=7))).values())
    assert kinds == {"missing", "size", "version", "overwritten", "hidden"}
    await apply_twice(settings, wrong)
    [replayed] = [key for key, kind in wrong.items() if kind == "extra"]
    listing = await s3.list_object_versions(Bucket=bucket)
    keys = [entry["Key"] for entry in listing["Versions"]]
    assert keys.count(replayed) == 1
    there = {key for key, kind in wrong.items() if kind not in {"missing", "orphan"}}
    assert set(keys) == {*right, *there}
    read = await client.get("/v1/files", params={"limit": 100})
    [file] = [f for f in read.json()["items"] if f["key"] == replayed]
    assert (await web.get(file["presigned_url"])).content == b"hello"


async def apply_twice(settings: Settings, wrong: dict[str, str]) -> None:
    """Remains of uploads go, and nothing else."""
    goes = {key: f"{kind} deleted" for key, kind in wrong.items() if kind in {"orphan", "extra"}}
    assert await found(settings, apply=True) == wrong | goes
    left = {key: kind for key, kind in wrong.items() if key not in goes}
    assert await found(settings, apply=True) == left


async def test_where_no_version_is_pinned_other_bytes_are_told_by_their_etag(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, s3: Any
) -> None:
    """Of the same size: there the link serves them."""
    bucket = settings.destinations["files"].bucket
    await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    same, other = [await stored(client, web, b"hello", f"{name}.txt") for name in "ab"]
    assert other["version_id"] is None
    for file, body in ((same, b"hello"), (other, b"hullo")):
        await s3.put_object(Bucket=bucket, Key=file["key"], Body=body)
    assert (await web.get(other["presigned_url"])).content == b"hullo"
    assert await found(settings) == {other["key"]: "overwritten"}


async def test_what_may_still_be_an_upload_is_left_alone(settings: Settings, s3: Any) -> None:
    bucket = settings.destinations["files"].bucket
    metadata = {"claimcheck-id": UNKNOWN_ID}
    await s3.put_object(Bucket=bucket, Key="files/young", Body=b"1", Metadata=metadata)
    for ahead in (timedelta(), timedelta(days=7, hours=23)):
        assert await found(settings, ahead, apply=True) == {}
    assert await found(settings, timedelta(days=8, hours=1)) == {"files/young": "orphan"}


@pytest.mark.parametrize("is_removed", [False, True], ids=["sent again", "removed"])
async def test_what_changes_while_it_is_compared_is_no_difference(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    is_removed: bool,
) -> None:
    upload = await announced(client, b"hello", "a.txt")
    if not is_removed:
        await send(web, upload["upload"], b"hello")
    asked = 0

    async def rows(*arguments: Any) -> Any:
        """The rows as they are after the objects were listed: a file, of another version."""
        nonlocal asked
        asked += 1
        await send(web, upload["upload"], b"hello")
        assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).is_success
        return await db_reconcile.rows_in_order(*arguments)

    async def row(*arguments: Any) -> Any:
        """The row as it is once it has been compared."""
        before = await db_reconcile.row_of(*arguments)
        if is_removed:
            at = f"/v1/files/{upload['id']}"
            assert (await client.delete(at, params={"object": "delete"})).is_success
        return before

    monkeypatch.setattr("app.upkeep.reconcile.rows_in_order", rows)
    monkeypatch.setattr("app.upkeep.reconcile.row_of", row)
    async with open_resources(settings) as res:
        [section] = [s for s in sections(settings.destinations.values()) if s.prefix == "files/"]
        assert [found async for found in reconcile(res, section)] == []
    assert asked == 1


async def test_order_and_pages(
    settings: Settings, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of many pages beside objects of many pages, in byte order and not in a locale's."""
    monkeypatch.setattr("app.upkeep.reconcile._PAGE", 3)
    bucket = settings.destinations["files"].bucket
    names = ["a", "B", "a-b", "ab", "a b", "é", "z", "Z", "\uffee", "\U0001f600", "_", "~"]
    for name in names:
        for _ in range(2):
            await s3.put_object(Bucket=bucket, Key=f"files/{name}", Body=b"1")
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.executemany(
        """INSERT INTO files (id, owner, tenant, destination, bucket, key, url, filename,
             content_type, size, method, state, created_at, expires_at)
           VALUES (gen_random_uuid(), 'o', '', 'files', $1, $2, 'u', 'f', 'image/png', 1, 'post',
             'confirmed', now(), now())""",
        [(bucket, f"files/{name}") for name in names],
    )
    await connection.close()
    async with open_resources(settings, clock=lambda: utc_now() + LONG) as res:
        pages = 0

        async def counted(*given: Any) -> Any:
            nonlocal pages
            pages += 1
            return await sending.send(*given)

        monkeypatch.setattr("app.store.listing._PAGE", 5)
        monkeypatch.setattr("app.store.listing.send", counted)
        [section] = [s for s in sections(settings.destinations.values()) if s.prefix == "files/"]
        passed: list[str] = []
        assert [f async for f in reconcile(res, section, passed=passed.append)] == []
        assert passed == sorted((f"files/{name}" for name in names), key=str.encode)
        assert pages >= 4
        # And from any of them on.
        rest: list[str] = []
        after = passed[4]
        assert [f async for f in reconcile(res, section, after=after, passed=rest.append)] == []
        assert rest == passed[5:]


def test_a_prefix_within_another_is_compared_once() -> None:
    named = [("b", "x/y/"), ("b", "x/"), ("c", "x/y/"), ("b", "w/")]
    destinations = [Destination(bucket=b, key_prefix=p) for b, p in named]
    assert [(s.destination.bucket, s.prefix) for s in sections(destinations)] == [
        ("b", "w/"),
        ("b", "x/"),
        ("c", "x/y/"),
    ]


async def test_rows_come_from_the_index_in_order(database_url: str) -> None:
    db = await asyncpg.connect(database_url)
    await db.execute(
        """INSERT INTO files (id, owner, tenant, destination, bucket, key, url, filename,
             content_type, size, method, state, created_at, expires_at)
           SELECT gen_random_uuid(), 'o', '', 'files', 'bkt', 'files/' || n, 'u', 'f',
             'image/png', 1, 'post', 'confirmed', now(), now()
           FROM generate_series(1, 20000) AS n"""
    )
    await db.execute("ANALYZE files")
    explaining = Explaining(db)
    await db_reconcile.rows_in_order(explaining, "bkt", "files/5", "files0", 1000)
    assert "Index Scan using uq_files_bucket_key" in explaining.plan
    assert "Sort" not in explaining.plan
    await db.close()


async def command(environ: dict[str, str], *arguments: str) -> tuple[int, list[Any], str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=as_set(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], error.decode()


async def test_the_command_goes_on_where_it_ended(
    settings: Settings,
    environ: dict[str, str],
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    s3: Any,
    tmp_path: Path,
) -> None:
    nothing = await command(environ)
    assert nothing[0] == 0, nothing[2]
    bucket = settings.destinations["files"].bucket
    lost = [await stored(client, web, b"hello", f"{n}.txt") for n in range(5)]
    for file in lost:
        listing = await s3.list_object_versions(Bucket=bucket, Prefix=file["key"])
        for version in listing["Versions"]:
            await s3.delete_object(Bucket=bucket, Key=file["key"], VersionId=version["VersionId"])
    status, everything, error = await command(environ)
    assert (status, [f["kind"] for f in everything]) == (2, ["missing"] * 5)
    assert error == "compared: 5; 5 missing\n"
    checkpoint = tmp_path / "checkpoint"
    arguments = ("--limit", "2", "--checkpoint", str(checkpoint))
    seen = []
    for status in (3, 3, 2):
        done = await command(environ, *arguments)
        assert done[0] == status, done[2]
        seen += done[1]
        assert checkpoint.exists() is (status == 3)
    assert seen == everything


async def test_on_ceph_with_the_rights_of_the_service(
    gateway: rgw.Rgw, database_url: str, web: httpx.AsyncClient
) -> None:
    bucket = "reconciled"
    keys = gateway.owner
    owned = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
    common = {"DATABASE_URL": database_url, "CLAIMCHECK_AUTH": "none"}
    owner_settings = await prepared(common | owned.environ(bucket))
    gateway.client().put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True}
    )
    user = gateway.create_service_user("reconciler", bucket)
    service = Store(gateway.endpoint_url, user.access_key, user.secret_key)
    settings = load_settings(common | service.environ(bucket))
    async with running(settings) as client, owner_of_bucket(owner_settings) as s3:
        wrong, _ = await spoil(settings, client, web, s3)
        assert await found(settings) == wrong
        await apply_twice(settings, wrong)
