"""The worker scans what was confirmed with a real clamd, whoever dies and whatever is away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.principal import Principal
from app.core.scans import Scan
from app.runtime.resources import Resources, open_resources
from app.scans import verdicts, work
from app.scans.clamd import Answer, Clamd
from app.scans.work import Scanner
from app.settings.model import Settings, load_settings
from app.uploads.restore import restore_file
from tests.support.clamd import INFECTED, LIMIT, NAME
from tests.support.faulty_proxy import faulty_proxy
from tests.support.samples import PNG
from tests.support.service import Clock, log_lines, owner_of_bucket, prepared, running
from tests.support.steps import announced, send, setting, stored
from tests.support.upkeep import found, swept


async def scanned(res: Resources, scanner: Scanner | None = None) -> dict[str, int]:
    return dict(await (scanner or Scanner(res)).run_once(asyncio.Event()))


async def get(client: httpx.AsyncClient, file: dict[str, Any]) -> dict[str, Any]:
    return (await client.get(f"/v1/files/{file['id']}")).json()


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def res(settings: Settings, clock: Clock) -> AsyncIterator[Resources]:
    async with open_resources(settings, clock=clock) as res:
        yield res


async def test_clean_and_infected(
    client: httpx.AsyncClient, web: httpx.AsyncClient, res: Resources
) -> None:
    assert await scanned(res) == {}
    clean = await stored(client, web)
    infected = await stored(client, web, INFECTED, "b.txt")
    image = await stored(client, web, PNG, "a.png", destination="images")
    assert (image["scan"], image["presigned_url"] is None) == (None, False)
    assert await scanned(res) == {"clean": 1, "infected": 1}
    assert await scanned(res) == {}
    read = await get(client, clean)
    assert (read["scan"], read["scan_reason"]) == ("clean", None)
    assert (await web.get(read["presigned_url"])).content == b"hello"
    read = await get(client, infected)
    assert (read["scan"], read["scan_reason"], read["presigned_url"]) == ("infected", NAME, None)
    assert read["links_end_at"] is None


async def test_the_version_that_was_confirmed(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, res: Resources
) -> None:
    """Neither a clean version over an infected file nor the other way round changes a verdict."""
    infected = await stored(client, web, INFECTED, "a.txt")
    clean = await stored(client, web, b"hello", "b.txt")
    async with owner_of_bucket(settings) as s3:
        for file, data in ((infected, b"hello"), (clean, INFECTED)):
            where = {"Bucket": settings.destinations["files"].bucket, "Key": file["key"]}
            await s3.put_object(**where, Body=data)
    assert await scanned(res) == {"clean": 1, "infected": 1}
    assert (await get(client, infected))["scan"] == "infected"
    assert (await get(client, clean))["scan"] == "clean"


async def test_replaced_where_nothing_pins_it(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    res: Resources,
    db: asyncpg.Connection,
) -> None:
    """On a bucket without versions other bytes are not judged in the file's name."""
    file = await stored(client, web)
    gone = await stored(client, web, b"hello", "b.txt")
    await db.execute("UPDATE files SET version_id = NULL")
    async with owner_of_bucket(settings) as s3:
        bucket = settings.destinations["files"].bucket
        await s3.put_object(Bucket=bucket, Key=file["key"], Body=b"HELLO")
        await s3.delete_object(Bucket=bucket, Key=gone["key"])
    assert await scanned(res) == {"failed": 2}
    assert "replaced" in (await get(client, file))["scan_reason"]
    assert "not in the bucket" in (await get(client, gone))["scan_reason"]


@pytest.fixture
async def deleting(environ: dict[str, str]) -> Settings:
    more = setting("files", "infected_objects", "delete")
    more |= {"CLAIMCHECK_RECORDS__PRODUCT__PAPERS__DESTINATION": "files"}
    return await prepared(environ | more)


async def test_infected_objects_go(
    deleting: Settings, web: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that a record holds; and every link that is out with it."""
    caplog.set_level(logging.INFO, "claimcheck")
    async with running(deleting) as client, open_resources(deleting) as res:
        file = await stored(client, web, INFECTED)
        put = "/v1/records/product/42/papers"
        await client.put(put, json={"file_id": file["id"]})
        path = f"/v1/files/{file['id']}"
        await client.put(f"{path}/scan", json={"scan": "clean"})
        link = (await client.get(path)).json()["presigned_url"]
        assert (await web.get(link)).content == INFECTED
        said = (await client.put(f"{path}/scan", json={"scan": "infected"})).json()
        assert said["links_end_at"] is None
        assert (await web.get(link)).status_code == 404
        answer = await client.get(f"{path}/content")
        assert answer.status_code == 410
        # Nothing is left to judge, nor to delete again, nor to miss.
        answer = await client.put(f"{path}/scan", json={"scan": "clean"})
        assert (answer.status_code, answer.json()["title"]) == (410, "The file is in quarantine")
        assert await scanned(res) == {}
        assert await found(deleting) == {}
        await client.delete(put)
        assert (await client.delete(f"{path}?object=delete")).status_code == 204
    told = [line["event"] for line in log_lines(caplog, "audit") if line.get("file_id")]
    assert told.count("object.removed") == 2


async def test_an_infected_file_that_is_sent_again_goes_again(
    deleting: Settings, web: httpx.AsyncClient
) -> None:
    """Its instructions work until they end, and the key is free once its object is deleted."""
    async with running(deleting) as client, open_resources(deleting) as res:
        upload = await announced(client, INFECTED, "a.txt")
        await send(web, upload["upload"], INFECTED)
        await client.post(f"/v1/uploads/{upload['id']}/confirm")
        assert await scanned(res) == {"infected": 1}
        assert (await send(web, upload["upload"], INFECTED)).is_success
    async with owner_of_bucket(deleting) as s3:
        where = {"Bucket": deleting.destinations["files"].bucket, "Prefix": upload["key"]}
        assert len((await s3.list_object_versions(**where))["Versions"]) == 1
        await swept(deleting, timedelta(days=9))
        listing = await s3.list_object_versions(**where)
        assert listing.get("Versions", []) + listing.get("DeleteMarkers", []) == []


async def test_a_deletion_that_fails_is_tried_again(
    deleting: Settings,
    web: httpx.AsyncClient,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(deleting) as client, open_resources(deleting, clock=clock) as res:
        file = await stored(client, web, INFECTED)
        with monkeypatch.context() as patched:
            patched.setattr(verdicts, "delete_object", away)
            assert await scanned(res) == {"infected": 1}
            clock.ahead = timedelta(minutes=5)
            patched.setattr(work, "delete_infected", away)
            assert await scanned(res) == {"waiting": 1}
        clock.ahead = timedelta(hours=1)
        assert await scanned(res) == {"deleted": 1}
        assert (await get(client, file))["scan"] == "infected"
        async with owner_of_bucket(deleting) as s3:
            bucket = deleting.destinations["files"].bucket
            listed = await s3.list_object_versions(Bucket=bucket, Prefix=file["key"])
            assert "Versions" not in listed


async def test_no_object_goes_that_is_to_be_kept_by_now(
    environ: dict[str, str], deleting: Settings, web: httpx.AsyncClient, clock: Clock
) -> None:
    async with running(deleting) as client, open_resources(deleting) as res:
        file = await stored(client, web, INFECTED)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(verdicts, "delete_object", away)
            assert await scanned(res) == {"infected": 1}
        clock.ahead = timedelta(minutes=5)
        async with open_resources(load_settings(environ), clock=clock) as keeping:
            assert await scanned(keeping) == {"infected": 1}
            assert await scanned(keeping) == {}
        async with owner_of_bucket(deleting) as s3:
            where = {"Bucket": deleting.destinations["files"].bucket, "Key": file["key"]}
            assert (await s3.head_object(**where))["ContentLength"] == len(INFECTED)


async def away(*_: Any) -> None:
    raise verdicts.BucketUnavailable("It is away.")


async def test_larger_than_clamd_scans(
    environ: dict[str, str], client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    """It is failed, never clean, without asking: the settings may have been others before."""
    file = await stored(client, web, b"x" * 3000)
    smaller = setting("files", "max_size", "2000") | {"CLAIMCHECK_CLAMD_MAX_SIZE": "2000"}
    async with open_resources(load_settings(environ | smaller)) as res:
        assert await scanned(res) == {"failed": 1}
    reason = (await get(client, file))["scan_reason"]
    assert reason == "2.93 KiB is more than the 1.95 KiB that clamd scans"


async def test_clamd_with_lower_limits_is_not_believed(
    environ: dict[str, str],
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = await stored(client, web)
    larger = {"CLAIMCHECK_CLAMD_MAX_SIZE": str(LIMIT + 1)}
    async with open_resources(load_settings(environ | larger)) as res:
        assert await scanned(res) == {"waiting": 1}
    assert (await get(client, file))["scan"] == "pending"
    [line] = [line for line in log_lines(caplog, "scans") if line["event"] == "clamd_not_trusted"]
    assert "MaxFileSize" in line["remedy"]


async def test_what_is_away_is_waited_for(
    environ: dict[str, str],
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    clock: Clock,
    res: Resources,
    tmp_path: Path,
) -> None:
    file = await stored(client, web)
    clock.stop()  # for it is due again after some seconds
    no_clamd = {"CLAIMCHECK_CLAMD_URL": f"unix://{tmp_path}/none"}
    async with open_resources(load_settings(environ | no_clamd), clock=clock) as without:
        assert await scanned(without) == {"waiting": 1}
    # It is due again after a pause.
    assert await scanned(res) == {}
    clock.ahead = timedelta(seconds=30)
    no_bucket = {"AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1"}
    async with open_resources(load_settings(environ | no_bucket), clock=clock) as without:
        assert await scanned(without) == {"waiting": 1}
    assert (await get(client, file))["scan"] == "pending"
    clock.ahead = timedelta(minutes=30)
    assert await scanned(res) == {"clean": 1}


async def test_a_bucket_that_ends_in_the_middle(
    environ: dict[str, str], client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    """Half a file is not judged."""
    data = b"x" * 600_000
    file = await stored(client, web, data)
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        proxy.disturb("GET", "half", times=9)
        through = {"AWS_S3_ENDPOINT_URL": proxy.address}
        async with open_resources(load_settings(environ | through)) as res:
            assert await scanned(res) == {"waiting": 1}
    assert (await get(client, file))["scan"] == "pending"


async def test_a_verdict_by_the_api_wins_over_a_scan_under_way(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    res: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = await stored(client, web)

    async def slow(*_: Any) -> Answer:
        said = {"scan": "infected", "reason": "seen by hand"}
        assert (await client.put(f"/v1/files/{file['id']}/scan", json=said)).status_code == 200
        return Answer(Scan.CLEAN, None)

    monkeypatch.setattr(Clamd, "scan", slow)
    monkeypatch.setattr(work, "prove", proven)
    assert await scanned(res) == {"changed": 1}
    assert (await get(client, file))["scan_reason"] == "seen by hand"


async def proven(*_: Any) -> list[Any]:
    return []


async def test_one_that_stops_gives_back_and_one_that_dies_is_taken_over(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    res: Resources,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    db: asyncpg.Connection,
) -> None:
    await stored(client, web)
    stopping, begun = asyncio.Event(), asyncio.Event()

    async def for_ever(*_: Any) -> Answer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(Clamd, "scan", for_ever)
        patched.setattr(work, "prove", proven)
        working = asyncio.create_task(Scanner(res).run(stopping))
        await begun.wait()
        stopping.set()
        await working
        # Another begins, and dies: nobody gives back what it has claimed.
        patched.setattr(Scanner, "_postpone", proven)
        begun.clear()
        working = asyncio.create_task(Scanner(res).run(asyncio.Event()))
        await begun.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert await scanned(res) == {}
    clock.ahead = timedelta(minutes=31)
    assert await scanned(res) == {"clean": 1}


async def test_many_workers_scan_each_once(
    client: httpx.AsyncClient, web: httpx.AsyncClient, res: Resources, settings: Settings
) -> None:
    for number in range(12):
        await stored(client, web, b"hello", f"{number}.txt")
    async with open_resources(settings) as other:
        one, two = await asyncio.gather(scanned(res), scanned(other))
    assert one.get("clean", 0) + two.get("clean", 0) == 12
    figures = (await client.get("/metrics")).text
    assert 'claimcheck_scans_total{verdict="clean"} 12.0' in figures
    assert "claimcheck_swept_total{" not in figures


async def test_uploads_that_confirm_themselves_wait_too(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    res: Resources,
    clock: Clock,
) -> None:
    upload = await announced(client, INFECTED)
    assert (await send(web, upload["upload"], INFECTED)).is_success
    assert await swept(settings) == {"confirmed": 1}
    clock.ahead = timedelta(days=1)
    [file] = (await client.get("/v1/files")).json()["items"]
    assert (file["scan"], file["presigned_url"]) == ("pending", None)
    assert await scanned(res) == {"infected": 1}


async def test_what_is_taken_back_is_scanned(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    """Also one that was released before its destination had files scanned."""
    me, ids = Principal("dev"), []
    for scan in ("off", "required"):
        async with running(await prepared(environ | setting("files", "scan", scan))) as client:
            file = await stored(client, web, INFECTED, f"{scan}.txt")
            assert (await client.delete(f"/v1/files/{file['id']}")).status_code == 204
            ids.append(UUID(file["id"]))
    async with open_resources(load_settings(environ)) as res:
        assert await scanned(res) == {}
        for file_id in ids:
            await restore_file(res, me, file_id)
        assert await scanned(res) == {"infected": 2}
