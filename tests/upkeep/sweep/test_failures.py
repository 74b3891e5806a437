"""Several sweepers, confirms meanwhile, and stores that fail: each upload is ended once."""

import asyncio
import logging
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest

from app.models.files import File, State
from app.settings.model import Settings, load_settings
from app.store.objects import ObjectHandle
from app.store.signer import utc_now
from app.upkeep import sweep
from tests.support.faults import Fault, faulty
from tests.support.faulty_proxy import faulty_proxy
from tests.support.rows import insert, new_file
from tests.support.service import log_lines
from tests.support.steps import announced, send
from tests.support.upkeep import EXPIRED, HOUR, swept
from tests.upkeep.sweep.steps import DATA, Bucket, announce_many, parts_sent, states


async def test_two_sweepers_at_once_take_each_upload_once(
    settings: Settings, client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    await announce_many(client, 300)
    one, other = await asyncio.gather(swept(settings), swept(settings))
    assert Counter(one) + Counter(other) == {"removed": 300}
    # Neither waited for the other to be done.
    assert min(one["removed"], other["removed"]) > 30
    assert await states(db) == {"removed": 300}


async def test_no_upload_is_handled_twice_where_the_store_is_slower_than_the_time_out(
    environ: dict[str, str],
    settings: Settings,
    client: httpx.AsyncClient,
    db: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "claimcheck")
    await announce_many(client, 24)
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        slow = load_settings(environ | {"AWS_S3_ENDPOINT_URL": proxy.address})
        proxy.disturb("GET", "after", times=1000)
        with monkeypatch.context() as patch:
            patch.setattr("app.store.web.READ_TIMEOUT", 0.2)
            both = await asyncio.gather(swept(slow), swept(slow))
        assert sum(map(Counter, both), Counter()) == {"failed": 24}
        failed = [line["file_id"] for line in log_lines(caplog, "sweep") if "file_id" in line]
        assert len(failed) == len(set(failed)) == 24
        # Each was asked about twice, and answered too late.
        assert proxy.seen.count("GET") == 48
        proxy.release()
        proxy.mend()
        # While their leases last nobody takes them, and then one sweeper each.
        assert await swept(slow) == {}
        later = EXPIRED + HOUR / 2
        both = await asyncio.gather(swept(slow, later), swept(slow, later))
        assert sum(map(Counter, both), Counter()) == {"removed": 24}
    lines = log_lines(caplog, "audit")
    gone = [line["file_id"] for line in lines if line["event"] == "upload.expired"]
    assert sorted(gone) == sorted(failed)
    assert await states(db) == {"removed": 24}


async def test_confirm_races_sweep(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    bucket: Bucket,
    db: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "claimcheck")
    uploads = [await announced(client, b"hello", "a.txt") for _ in range(24)]
    there, absent = uploads[:12], uploads[12:]
    for upload in there:
        assert (await send(web, upload["upload"], b"hello")).is_success
    confirms = (client.post(f"/v1/uploads/{upload['id']}/confirm") for upload in uploads)
    counts, *answers = await asyncio.gather(swept(settings), *confirms)
    assert {answer.status_code for answer in answers[:12]} == {200}
    assert {answer.status_code for answer in answers[12:]} <= {404, 409}
    assert await states(db) == {"confirmed": 12, "removed": 12}
    # What it did, and no more: whoever makes a move writes a line of it.
    own = [line for line in log_lines(caplog, "audit") if line.get("credential") == "sweep"]
    assert counts["removed"] == 12
    assert counts.get("confirmed", 0) == sum(line["event"] == "upload.confirmed" for line in own)
    assert not [upload for upload in there if await bucket.versions(upload["key"]) != 1]
    assert not [upload for upload in absent if await bucket.versions(upload["key"])]


@pytest.mark.parametrize(
    ("sent", "status", "state"), [(b"hello", 200, "confirmed"), (b"<html", 422, "rejected")]
)
async def test_what_a_client_did_meanwhile_is_not_counted(
    settings: Settings,
    environ: dict[str, str],
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    sent: bytes,
    status: int,
    state: str,
) -> None:
    """The sweeper has claimed the upload and asks the bucket; its client confirms."""
    upload = await announced(client, sent, "a.png" if state == "rejected" else "a.txt")
    assert (await send(web, upload["upload"], sent)).is_success
    fault = Fault(hold=asyncio.Event(), asked=asyncio.Event())
    assert fault.hold is not None
    assert fault.asked is not None
    async with faulty(environ["AWS_S3_ENDPOINT_URL"], fault) as address:
        slow = load_settings(environ | {"AWS_S3_ENDPOINT_URL": address})
        sweeping = asyncio.create_task(swept(slow))
        await asyncio.wait_for(fault.asked.wait(), 120)
        answer = await client.post(f"/v1/uploads/{upload['id']}/confirm")
        assert answer.status_code == status
        fault.hold.set()
        assert await sweeping == {"moved": 1}
    assert await states(db) == {state: 1}
    totals = {row["outcome"]: row["total"] for row in await db.fetch("SELECT * FROM sweep_totals")}
    assert totals == {"moved": 1, "run": 1, sweep.REPLAYS: 0}


async def test_a_removal_that_another_has_ended_is_not_counted(
    settings: Settings, client: httpx.AsyncClient, db: asyncpg.Connection
) -> None:
    """A removal, and a look at a tombstone, whose leases ran out while the bucket was asked."""
    past = utc_now() - 2 * HOUR
    there = {"bucket": settings.destinations["files"].bucket, "destination": "files"}
    removing = new_file(State.REMOVING, **there, claimed_until=past)
    removed = new_file(
        State.REMOVED, **there, claimed_until=past, ended_at=past, expires_at=utc_now() + HOUR
    )
    await insert(db, removing, removed)
    real = ObjectHandle.delete

    async def overtaken(handle: ObjectHandle) -> None:
        await real(handle)
        if handle.key == removing.key:
            await db.execute("UPDATE files SET state = 'removed' WHERE id = $1", removing.id)
        else:
            await db.execute("UPDATE files SET claimed_until = now() WHERE id = $1", removed.id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectHandle, "delete", overtaken)
        assert await swept(settings, HOUR / 4) == {"moved": 2}


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
    counts = await swept(settings)
    # Eight failed, and those that were under way with them.
    assert 8 <= counts.pop("failed") < 16
    assert counts == {"removed": 40}
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
    monkeypatch.setattr(sweep, "_STOP_SECONDS", 0.05)
    monkeypatch.setattr("app.runtime.resources._DRAIN_SECONDS", 0.05)
    await parts_sent(client, web, DATA, 2)
    await db.execute("UPDATE files SET state = 'completing', claimed_until = $1", utc_now())
    stopping = asyncio.Event()
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        held = proxy.disturb("Complete", "before")
        slow = load_settings(environ | {"AWS_S3_ENDPOINT_URL": proxy.address})
        sweeping = asyncio.create_task(swept(slow, HOUR / 2, stopping=stopping))
        await asyncio.wait_for(held.asked.wait(), 120)
        stopping.set()
        assert await asyncio.wait_for(sweeping, 120) == {}
    assert await states(db) == {"completing": 1}
    assert await swept(settings, HOUR) == {"confirmed": 1}


async def test_slow_rows_hold_up_no_others(
    settings: Settings, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that may be under way but one wait until each of the others has ended."""
    await announce_many(client, 100)
    slow = sweep._AT_ONCE - 1
    real, begun, done, go_on = sweep.remove_upload, [], [], asyncio.Event()

    async def removed(res: Any, file: File, **said: bool) -> bool:
        begun.append(file)
        if len(begun) <= slow:
            await go_on.wait()
        return await real(res, file, **said)

    def report(outcome: sweep.Outcome) -> None:
        done.append(outcome)
        if len(done) == 100 - slow:
            go_on.set()

    monkeypatch.setattr(sweep, "remove_upload", removed)
    assert await asyncio.wait_for(swept(settings, report=report), 120) == {"removed": 100}


async def test_it_stops_when_told(settings: Settings, client: httpx.AsyncClient) -> None:
    await announce_many(client, 200)
    stopping = asyncio.Event()
    some = await swept(settings, report=lambda _: stopping.set(), stopping=stopping)
    assert 0 < some["removed"] < 200
    assert await swept(settings) == {"removed": 200 - some["removed"]}


async def test_one_row_that_nobody_understands_holds_up_no_other(
    settings: Settings, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await announce_many(client, 20)
    real, failed = sweep.remove_upload, []

    async def removed(res: Any, file: File, **said: bool) -> bool:
        if not failed:
            failed.append(file)
            raise KeyError("a mistake of ours")
        return await real(res, file, **said)

    monkeypatch.setattr(sweep, "remove_upload", removed)
    assert await swept(settings) == {"removed": 19, "failed": 1}
