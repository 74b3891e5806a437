"""The sweep: nothing is left over, and nothing that is somebody's is taken."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from app import queries_sweep, sweep
from app.core.deadlines import GRACE, LATE
from app.core.parts import MIB
from app.models import File, State
from app.reconcile import reconcile, sections
from app.resources import open_resources
from app.settings import Settings, load_settings
from app.signer import utc_now
from app.sweep import Sweep
from tests.support.buckets import ceph_ward
from tests.support.faults import Fault, Line, cut_off, faulty, line_to, silence
from tests.support.faulty_proxy import meddler
from tests.support.rows import NOW, Explaining, insert, new_file
from tests.support.service import UNKNOWN_ID, as_set, owner_of_bucket, running
from tests.support.steps import announced, send, slug, stored
from tests.support.stores.rgw import Rgw
from tests.support.upkeep import EXPIRED, HOUR, PAUSED, swept

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
MP4 = b"\0\0\0\x1cftypisom\0\0\2\0isommp41\0\0\0\x08free" + bytes(60)
SWEEP = (sys.executable, "-m", "app.cli", "sweep")


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, s3: Any, settings: Settings) -> None:
        self._s3, self.name = s3, settings.destinations["files"].bucket

    async def versions(self, key: str) -> int:
        listing = await self._s3.list_object_versions(Bucket=self.name, Prefix=key)
        return len(listing.get("Versions", []) + listing.get("DeleteMarkers", []))

    async def uploads(self) -> int:
        listing = await self._s3.list_multipart_uploads(Bucket=self.name)
        return len(listing.get("Uploads", []))


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    prefix = "CLAIMCHECK_DESTINATIONS__"
    return environ | {
        f"{prefix}FILES__PART_SIZE": str(5 * MIB),
        f"{prefix}FILES__MULTIPART_EXPIRES_IN": "3600",
        f"{prefix}FILES__MULTIPART_THRESHOLD": str(5 * MIB),
        f"{prefix}VIDEOS__UNCONFIRMED": "delete",
        f"{prefix}IMAGES__METHOD": "put",
    }


@pytest.fixture
async def bucket(settings: Settings) -> AsyncIterator[Bucket]:
    async with owner_of_bucket(settings) as s3:
        yield Bucket(s3, settings)


async def states(db: asyncpg.Connection) -> Counter[str]:
    return Counter(row[0] for row in await db.fetch("SELECT state FROM files"))


@pytest.mark.parametrize(("destination", "name"), [("files", "a.txt"), ("images", "a.png")])
async def test_an_upload_that_arrived_becomes_a_file(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    destination: str,
    name: str,
) -> None:
    data = PNG if name == "a.png" else b"hello"
    upload = await announced(client, data, name, destination=destination)
    assert (await send(web, upload["upload"], data)).is_success
    assert await swept(settings, HOUR) == {}
    assert await swept(settings) == {"confirmed": 1}
    assert await swept(settings) == {}
    file = (await client.get(f"/v1/files/{upload['id']}")).json()
    assert (await web.get(file["presigned_url"])).content == data


async def test_what_never_arrived_goes_at_last(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    upload = await announced(client, b"hello", "a.txt")
    assert await swept(settings, HOUR + GRACE / 2) == {}
    assert await swept(settings) == {"removed": 1}
    assert await states(db) == {"removed": 1}
    confirmed = await client.post(f"/v1/uploads/{upload['id']}/confirm")
    assert slug(confirmed) == "upload-not-found"

    # The form is still good by the bucket's clock: what it brings is taken away again.
    assert (await send(web, upload["upload"], b"hello")).is_success
    assert await bucket.versions(upload["key"]) == 1
    assert await swept(settings) == {}
    assert await swept(settings, EXPIRED + HOUR + HOUR / 2) == {"looked at": 1}
    assert await bucket.versions(upload["key"]) == 0

    # And once more when nothing signed for it can be under way any longer.
    assert (await send(web, upload["upload"], b"hello")).is_success
    assert await swept(settings, EXPIRED + LATE + HOUR) == {"purged": 1}
    assert await bucket.versions(upload["key"]) == 0
    assert await states(db) == {}


async def test_a_week_needs_few_looks(settings: Settings, db: asyncpg.Connection) -> None:
    now = utc_now()
    tombstone = new_file(
        State.REMOVED,
        bucket=settings.destinations["files"].bucket,
        destination="files",
        expires_at=now + timedelta(days=7),
        ended_at=now,
        claimed_until=now,
    )
    await insert(db, tombstone)
    looks: Counter[str] = Counter()
    hours = 0
    async with open_resources(settings, clock=lambda: now + hours * HOUR) as res:
        for _ in range(10 * 24):
            hours += 1
            looks.update(await Sweep(res).run())
    assert looks == {"looked at": looks["looked at"], "purged": 1}
    assert 5 <= looks["looked at"] <= 10


async def test_a_destination_may_want_what_nobody_confirmed_deleted(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, bucket: Bucket
) -> None:
    data = MP4
    upload = await announced(client, data, "a.mp4", destination="videos")
    assert (await send(web, upload["upload"], data)).is_success
    assert await swept(settings) == {"removed": 1}
    assert await bucket.versions(upload["key"]) == 0


async def test_what_is_not_as_announced_is_rejected(
    settings: Settings, client: httpx.AsyncClient, bucket: Bucket, db: asyncpg.Connection
) -> None:
    upload = await announced(client, b"hello", "a.txt")
    await bucket._s3.put_object(Bucket=bucket.name, Key=upload["key"], Body=b"something else")
    assert await swept(settings) == {"rejected": 1}
    assert await states(db) == {"removed": 1}
    assert await bucket.versions(upload["key"]) == 0


async def parts_sent(
    client: httpx.AsyncClient, web: httpx.AsyncClient, data: bytes, count: int
) -> dict[str, Any]:
    upload = await announced(client, data, "a.bin")
    assert upload["upload"]["method"] == "multipart"
    for part in upload["upload"]["parts"][:count]:
        start = (part["part_number"] - 1) * upload["upload"]["part_size"]
        sent = await web.put(part["url"], content=data[start : start + part["size"]])
        assert sent.is_success
    return upload


DATA = bytes(range(256)) * (6 * MIB // 256)


async def test_parts_are_joined_if_all_are_there_and_dropped_if_not(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
) -> None:
    whole = await parts_sent(client, web, DATA, 2)
    half = await parts_sent(client, web, DATA, 1)
    none = await parts_sent(client, web, DATA, 0)
    assert await bucket.uploads() == 3
    # Whoever sent them may be offline.
    assert await swept(settings) == {}
    assert await swept(settings, PAUSED) == {"confirmed": 1, "removed": 2}
    assert await bucket.uploads() == 0
    file = (await client.get(f"/v1/files/{whole['id']}")).json()
    assert (await web.get(file["presigned_url"])).content == DATA
    for upload in (half, none):
        assert await bucket.versions(upload["key"]) == 0
        # The URLs of its parts are still good by the clock, and lead nowhere.
        part = upload["upload"]["parts"][1]
        assert (await web.put(part["url"], content=DATA[5 * MIB :])).status_code == 404


async def test_parts_of_an_unknown_number_are_never_taken_for_the_whole(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    upload = await parts_sent(client, web, DATA, 2)
    await db.execute("UPDATE files SET size = NULL, part_size = NULL")
    assert await swept(settings, PAUSED) == {"removed": 1}
    assert await bucket.uploads() == 0
    assert await bucket.versions(upload["key"]) == 0


async def test_a_lost_answer_to_the_beginning_of_an_upload_leaves_no_parts(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    await parts_sent(client, web, DATA, 1)
    await db.execute("UPDATE files SET store_upload_id = NULL")
    assert await swept(settings, PAUSED) == {"removed": 1}
    assert await bucket.uploads() == 0


@pytest.mark.parametrize("joined", [False, True])
async def test_a_completion_whose_process_died_is_taken_over(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
    joined: bool,
) -> None:
    upload = await parts_sent(client, web, DATA, 2)
    if joined:
        # It died between the bucket's answer and its own commit.
        named = {"Bucket": bucket.name, "Key": upload["key"]}
        named["UploadId"] = await db.fetchval("SELECT store_upload_id FROM files")
        parts = (await bucket._s3.list_parts(**named))["Parts"]
        together = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in parts]
        await bucket._s3.complete_multipart_upload(**named, MultipartUpload={"Parts": together})
    await db.execute(
        "UPDATE files SET state = 'completing', claimed_until = $1", utc_now() + HOUR / 60
    )
    assert await swept(settings, timedelta()) == {}
    # Long before the upload expires.
    assert await swept(settings, HOUR / 2) == {"confirmed": 1}
    file = (await client.get(f"/v1/files/{upload['id']}")).json()
    assert (await web.get(file["presigned_url"])).content == DATA


async def test_a_completion_that_lacks_parts_is_pending_again_and_goes_in_time(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await parts_sent(client, web, DATA, 1)
    await db.execute("UPDATE files SET state = 'completing', claimed_until = $1", utc_now())
    assert await swept(settings, HOUR / 2) == {"moved": 1}
    assert await states(db) == {"pending": 1}
    assert await swept(settings, PAUSED) == {"removed": 1}


async def test_removals_cut_short_are_finished(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    file = await stored(client, web, b"hello", "a.txt")
    await db.execute(
        "UPDATE files SET state = 'removing', claimed_until = $1", utc_now() + HOUR / 60
    )
    assert await swept(settings, timedelta()) == {}
    assert await bucket.versions(file["key"]) == 1
    assert await swept(settings, timedelta(minutes=3)) == {"removed": 1}
    assert await bucket.versions(file["key"]) == 0


async def test_what_is_not_abandoned_is_left_alone(
    settings: Settings, client: httpx.AsyncClient, web: httpx.AsyncClient, bucket: Bucket
) -> None:
    file = await stored(client, web, b"hello", "a.txt")
    released = await stored(client, web, b"hello", "a.txt")
    assert (await client.delete(f"/v1/files/{released['id']}")).status_code == 204
    renewed = await announced(client, b"hello", "a.txt")
    async with running(settings, clock=lambda: utc_now() + HOUR) as later:
        answer = await later.post(f"/v1/uploads/{renewed['id']}/renew")
        assert answer.status_code == 200
    assert await swept(settings) == {}
    assert await swept(settings, timedelta(days=400)) == {"removed": 1}
    for key in (file["key"], released["key"]):
        assert await bucket.versions(key) == 1


async def announce_many(client: httpx.AsyncClient, count: int) -> None:
    uploads = [{"destination": "files", "filename": f"{n}.txt", "size": 5} for n in range(count)]
    for start in range(0, count, 100):
        body = {"uploads": uploads[start : start + 100]}
        assert (await client.post("/v1/uploads/batch", json=body)).is_success


async def test_two_sweepers_at_once_take_each_upload_once(
    settings: Settings, client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await announce_many(client, 300)
    one, other = await asyncio.gather(swept(settings), swept(settings))
    assert Counter(one) + Counter(other) == {"removed": 300}
    # Neither waited for the other to be done.
    assert min(one["removed"], other["removed"]) > 30
    assert await states(db) == {"removed": 300}


async def test_confirm_races_sweep(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
) -> None:
    uploads = [await announced(client, b"hello", "a.txt") for _ in range(24)]
    there, absent = uploads[:12], uploads[12:]
    for upload in there:
        assert (await send(web, upload["upload"], b"hello")).is_success
    confirms = (client.post(f"/v1/uploads/{upload['id']}/confirm") for upload in uploads)
    counts, *answers = await asyncio.gather(swept(settings), *confirms)
    assert {answer.status_code for answer in answers[:12]} == {200}
    assert {answer.status_code for answer in answers[12:]} <= {404, 409}
    assert await states(db) == {"confirmed": 12, "removed": 12}
    assert counts["removed"] == 12
    assert counts.get("confirmed", 0) <= 12
    assert not [upload for upload in there if await bucket.versions(upload["key"]) != 1]
    assert not [upload for upload in absent if await bucket.versions(upload["key"])]


async def test_on_ceph_with_the_printed_policy(
    gateway: Rgw, database_url: str, web: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """Each thing that the sweep does, and then reconcile, by a user with those rights and no
    others.
    """
    ward = await ceph_ward(gateway, database_url)
    settings = load_settings(
        ward.environ
        | {
            "CLAIMCHECK_DESTINATIONS": json.dumps(
                {
                    "files": {
                        "multipart_threshold": 5 * MIB,
                        "part_size": 5 * MIB,
                        "allow_client_keys": True,
                    }
                }
            )
        }
    )
    # RGW refuses every PUT under BlockPublicAcls.
    ward.owner.put_public_access_block(
        Bucket=ward.bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True}
    )
    async with running(settings) as client:
        arrived = await announced(client, b"hello", "a.txt")
        assert (await send(web, arrived["upload"], b"hello")).is_success
        await announced(client, b"hello", "a.txt")
        await parts_sent(client, web, DATA, 2)
        await parts_sent(client, web, DATA, 1)
        file = await stored(client, web, b"hello", "a.txt")
        await db.execute(
            "UPDATE files SET state = 'removing', claimed_until = $1 WHERE id = $2",
            utc_now(),
            file["id"],
        )
        shared = "files/shared.txt"
        asked = await client.post("/v1/upload-url", json={"object_key": shared})
        form = asked.json()["upload_url_dict"]
        sent = await web.post(form["url"], data=form["fields"], files={"file": b"ours"})
        assert sent.is_success
        ward.owner.put_object(Bucket=ward.bucket, Key=shared, Body=b"theirs")
        cancelled = form["fields"]["x-amz-meta-claimcheck-id"]
        assert (await client.delete(f"/v1/uploads/{cancelled}")).status_code == 204
        assert await swept(settings, PAUSED) == {"confirmed": 2, "removed": 3, "purged": 1}
        assert await swept(settings, PAUSED + timedelta(days=9)) == {"purged": 3}
        kept = {item["key"] for item in (await client.get("/v1/files")).json()["items"]}
    assert len(kept) == 2
    metadata = {"claimcheck-id": UNKNOWN_ID}
    ward.owner.put_object(Bucket=ward.bucket, Key="files/stray", Body=b"1", Metadata=metadata)
    assert sorted(ward.left_behind()) == sorted([*kept, shared, "files/stray"])
    async with open_resources(settings, clock=lambda: utc_now() + timedelta(days=30)) as res:
        [section] = sections(settings.destinations.values())
        found = [finding async for finding in reconcile(res, section, apply=True)]
    assert [(f.kind, f.key, f.deleted) for f in found] == [
        ("foreign", shared, False),
        ("orphan", "files/stray", True),
    ]
    assert set(ward.left_behind()) == {*kept, shared}


async def test_a_cancel_is_not_done_twice(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """The sweeper has claimed the upload and waits for the bucket; its owner cancels it."""
    upload = await announced(client, b"hello", "a.txt")
    endpoint = environ["AWS_S3_ENDPOINT_URL"]
    fault = Fault(hold=asyncio.Event(), asked=asyncio.Event())
    assert fault.hold is not None
    assert fault.asked is not None
    async with faulty(endpoint, fault) as address:
        slow = load_settings(environ | {"AWS_S3_ENDPOINT_URL": address})
        sweeping = asyncio.create_task(swept(slow))
        await asyncio.wait_for(fault.asked.wait(), 120)
        assert (await client.delete(f"/v1/uploads/{upload['id']}")).status_code == 204
        fault.hold.set()
        assert await sweeping == {"moved": 1, "looked at": 1}
    assert await states(db) == {"removed": 1}


async def test_a_store_in_trouble_is_left_for_later(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await announce_many(client, 100)
    dead = load_settings(environ | {"AWS_S3_ENDPOINT_URL": "http://127.0.0.1:1"})
    failed = (await swept(dead))["failed"]
    # Not all of them, one after the other, for as long as each takes to fail.
    assert 8 <= failed < 100
    assert await states(db) == {"pending": 100}
    assert await swept(settings) == {"removed": 100 - failed}
    # Those rest for a while.
    assert await swept(settings) == {}
    assert await swept(settings, EXPIRED + HOUR / 2) == {"removed": failed}


async def test_a_bucket_that_is_gone_keeps_no_other_waiting(
    settings: Settings, client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """Not even where its rows are older, and more than a run takes before it gives up there."""
    long_ago = utc_now() - 9 * HOUR
    gone = {"bucket": "gone-for-ever", "destination": "videos", "expires_at": long_ago}
    lapsed = {"claimed_until": long_ago, "method": "multipart", "store_upload_id": "u"}
    await insert(db, *(new_file(**gone) for _ in range(100)))
    await insert(db, *(new_file(State.COMPLETING, **gone, **lapsed) for _ in range(20)))
    await announce_many(client, 40)
    assert await swept(settings) == {"removed": 40, "failed": 8}
    assert await states(db) == {"pending": 100, "completing": 20, "removed": 40}


async def test_what_takes_too_long_is_let_go_when_it_is_told_to_stop(
    settings: Settings,
    environ: dict[str, str],
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bucket joins parts for minutes; another sweep need not wait for the lease then."""
    monkeypatch.setattr(sweep, "_PATIENCE", 0.05)
    monkeypatch.setattr("app.resources._DRAIN_SECONDS", 0.05)
    await parts_sent(client, web, DATA, 2)
    await db.execute("UPDATE files SET state = 'completing', claimed_until = $1", utc_now())
    stopping = asyncio.Event()
    async with meddler(environ["AWS_S3_ENDPOINT_URL"]) as between:
        held = between.meddle("Complete", "before")
        slow = load_settings(environ | {"AWS_S3_ENDPOINT_URL": between.address})
        sweeping = asyncio.create_task(swept(slow, HOUR / 2, stopping=stopping))
        await asyncio.wait_for(held.asked.wait(), 120)
        stopping.set()
        assert await asyncio.wait_for(sweeping, 120) == {}
    assert await states(db) == {"completing": 1}
    assert await swept(settings, HOUR) == {"confirmed": 1}


async def test_it_stops_when_told(settings: Settings, client: httpx.AsyncClient) -> None:
    await announce_many(client, 200)
    stopping = asyncio.Event()
    some = await swept(settings, report=lambda _: stopping.set(), stopping=stopping)
    assert 0 < some["removed"] < 200
    assert await swept(settings) == {"removed": 200 - some["removed"]}


async def test_killed_at_the_bucket_another_goes_on(
    settings: Settings,
    environ: dict[str, str],
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    """SIGKILL while the sweeper waits for the bucket: claims are there, and end."""
    whole = await announced(client, b"hello", "a.txt")
    assert (await send(web, whole["upload"], b"hello")).is_success
    removed = await stored(client, web, b"hello", "b.txt")
    cancelled = await announced(client, b"x", "c.txt")
    past = utc_now() - timedelta(hours=5)
    await db.execute("UPDATE files SET expires_at = $1", past)
    for file_id in (removed["id"], cancelled["id"]):
        await db.execute(
            "UPDATE files SET state = 'removing', claimed_until = $1 WHERE id = $2", past, file_id
        )
    async with silence() as store:
        for claimed, count in (("removing", 2), ("pending", 1)):
            with (tmp_path / "log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *SWEEP, env=as_set(cut_off(environ, store)), stdout=log, stderr=log
                )
            try:
                await leased(db, claimed, count)
            finally:
                process.kill()
                await process.wait()
            if claimed == "removing":
                # Out of the way of the next round.
                await db.execute(
                    "UPDATE files SET claimed_until = now() + interval '1 day'"
                    " WHERE state = 'removing'"
                )
    await db.execute("UPDATE files SET claimed_until = now() WHERE state = 'removing'")
    assert await swept(settings, HOUR) == {"confirmed": 1, "removed": 2}
    assert await bucket.versions(removed["key"]) == 0
    assert await bucket.versions(whole["key"]) == 1


async def test_killed_after_the_bucket_has_deleted_another_commits(
    settings: Settings,
    environ: dict[str, str],
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    upload = await announced(client, b"hello", "a.txt", destination="files")
    assert (await send(web, upload["upload"], b"hello")).is_success
    await db.execute(
        "UPDATE files SET expires_at = $1, destination = 'videos'", utc_now() - timedelta(hours=5)
    )
    async with meddler(environ["AWS_S3_ENDPOINT_URL"]) as between:
        rule = between.meddle("DELETE", "after")
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *SWEEP,
                env=as_set(environ | {"AWS_S3_ENDPOINT_URL": between.address}),
                stdout=log,
                stderr=log,
            )
        try:
            await asyncio.wait_for(rule.asked.wait(), 120)
            for _ in range(3000):
                if await bucket.versions(upload["key"]) == 0:
                    break
                await asyncio.sleep(0.02)
        finally:
            process.kill()
            await process.wait()
    assert await bucket.versions(upload["key"]) == 0
    assert await states(db) == {"removing": 1}
    assert await swept(settings, timedelta()) == {}
    assert await swept(settings, timedelta(minutes=3)) == {"removed": 1}
    assert await states(db) == {"removed": 1}


async def test_the_command(
    settings: Settings, environ: dict[str, str], client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await announce_many(client, 3)
    for address, status, said in (
        ("http://127.0.0.1:1", 2, "swept: 3 failed\n"),
        (environ["AWS_S3_ENDPOINT_URL"], 0, "swept: 3 removed\n"),
        (environ["AWS_S3_ENDPOINT_URL"], 0, "swept: nothing to do\n"),
    ):
        await db.execute(
            "UPDATE files SET expires_at = $1, claimed_until = NULL WHERE state = 'pending'",
            utc_now() - timedelta(hours=5),
        )
        process = await asyncio.create_subprocess_exec(
            *SWEEP,
            env=as_set(environ | {"AWS_S3_ENDPOINT_URL": address}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        assert (process.returncode, out) == (status, b""), error
        assert error.decode().endswith(said)


async def test_one_row_that_nobody_understands_holds_up_no_other(
    settings: Settings, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await announce_many(client, 20)
    real, failed = sweep.remove_upload, []

    async def removed(res: Any, file: File) -> bool:
        if not failed:
            failed.append(file)
            raise KeyError("a mistake of ours")
        return await real(res, file)

    monkeypatch.setattr(sweep, "remove_upload", removed)
    assert await swept(settings) == {"removed": 19, "failed": 1}


async def test_the_worker_goes_on_until_it_is_told_to_stop(
    settings: Settings,
    environ: dict[str, str],
    client: httpx.AsyncClient,
    db: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    """Also without a database, until it is back."""
    url = urlsplit(environ["DATABASE_URL"])
    assert url.hostname
    assert url.port
    log = tmp_path / "log"
    async with line_to(url.hostname, url.port) as line:
        line.cut()
        through = urlunsplit(
            url._replace(netloc=url.netloc.replace(f":{url.port}", f":{line.port}"))
        )
        with log.open("wb") as output:
            worker = await asyncio.create_subprocess_exec(
                *(*SWEEP[:-1], "worker", "--every", "0.1"),
                env=as_set(environ | {"DATABASE_URL": through}),
                stdout=output,
                stderr=output,
            )
        await _works(worker, client, db, line, log)


async def _works(
    worker: asyncio.subprocess.Process,
    client: httpx.AsyncClient,
    db: asyncpg.Connection,
    line: Line,
    log: Path,
) -> None:
    try:
        for _ in range(3000):
            if "database-unavailable" in await asyncio.to_thread(log.read_text):
                break
            await asyncio.sleep(0.02)
        assert worker.returncode is None
        line.mend()
        for count in (1, 2):
            await announce_many(client, 1)
            await db.execute("UPDATE files SET expires_at = $1", utc_now() - timedelta(hours=5))
            for _ in range(3000):
                if (await states(db))["removed"] == count:
                    break
                await asyncio.sleep(0.02)
            assert await states(db) == {"removed": count}
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 120) == 0
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def leased(db: asyncpg.Connection, state: str, count: int) -> None:
    """Wait until a sweeper's leases are committed."""
    held = "SELECT count(*) FROM files WHERE state = $1 AND claimed_until > now()"
    for _ in range(3000):
        if await db.fetchval(held, state) == count:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"nobody claimed {count} files that are {state}")


def lapsed_of(state: State) -> Any:
    return lambda db: queries_sweep.claim_lapsed(db, state, NOW, NOW + HOUR, 8)


@pytest.mark.parametrize(
    ("claim", "index"),
    [
        (
            lambda db: queries_sweep.claim_abandoned(db, NOW, NOW, NOW, NOW + HOUR, 8),
            "ix_files_expired",
        ),
        (lapsed_of(State.REMOVING), "ix_files_claimed"),
        (lapsed_of(State.REJECTED), "ix_files_rejected"),
        (lapsed_of(State.REMOVED), "ix_files_tombstones"),
        (lambda db: queries_sweep.stalled_completions(db, NOW, NOW + HOUR, 8), "ix_files_claimed"),
    ],
)
async def test_claims_walk_an_index_of_nothing_else(
    db: asyncpg.Connection, claim: Any, index: str
) -> None:
    await db.execute(
        """
        INSERT INTO files (id, owner, tenant, destination, bucket, key, url, filename,
          content_type, size, method, state, created_at, expires_at)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'o', '', 'files', 'bkt', 'key ' || n, 'u', 'f',
          'image/png', 1, 'post', 'confirmed', now(), now()
        FROM generate_series(1, 20000) AS n
        """
    )
    for state in (State.PENDING, State.REMOVING, State.REMOVED, State.COMPLETING):
        await insert(db, *(new_file(state) for _ in range(200)))
    await db.execute("ANALYZE files")
    explaining = Explaining(db)
    await claim(explaining)
    assert f"Scan using {index} on files" in explaining.plan or (
        f"Bitmap Index Scan on {index}" in explaining.plan
    )
    assert "Seq Scan" not in explaining.plan
