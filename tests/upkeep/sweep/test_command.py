"""`claimcheck sweep`, once and as a worker, and killed wherever it may be."""

import asyncio
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx

from app.settings.model import Settings
from app.store.signer import utc_now
from tests.support.faults import Line, cut_off, line_to, silence
from tests.support.faulty_proxy import faulty_proxy
from tests.support.service import as_set
from tests.support.steps import announced, send, stored
from tests.support.upkeep import HOUR, swept
from tests.upkeep.sweep.steps import SWEEP, Bucket, announce_many, leased, states


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
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        rule = proxy.disturb("DELETE", "after")
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *SWEEP,
                env=as_set(environ | {"AWS_S3_ENDPOINT_URL": proxy.address}),
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
