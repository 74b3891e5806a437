"""A thousand browsers that upload and vanish: their uploads become files."""

import asyncio
import json
import secrets
import statistics
import time
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.core.notifications import PATH
from app.runtime.resources import open_resources, open_session
from app.settings.model import load_settings
from app.store.setup.provision import apply
from app.store.signer import utc_now
from app.upkeep.sweep import Sweep
from tests.support.buckets import ceph_bucket
from tests.support.secrets_in_logs import keep_secret
from tests.support.service import Store, running, served
from tests.support.steps import announced, send
from tests.support.stores.rgw import Rgw

TOKEN = "events-" + secrets.token_hex(16)
keep_secret(TOKEN)
AT_ONCE = 4


@pytest.mark.slow
@pytest.mark.parametrize("browsers", [1000])
async def test_by_ceph_and_by_the_sweep_alone(
    gateway: Rgw,
    database_url: str,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    tmp_path: Path,
    browsers: int,
) -> None:
    """Told by RGW, how soon after the object was there is printed (`-s`); found by the sweep alone
    within a minute of virtual time.
    """
    bucket = await ceph_bucket(gateway, database_url)
    environ = bucket.environ | {
        "CLAIMCHECK_BUCKET_EVENTS_TOKEN": TOKEN,
        "CLAIMCHECK_DESTINATIONS": json.dumps({"files": {}}),
    }
    async with served(environ, tmp_path / "service.log") as service:
        client, settings = service.client, load_settings(environ)

        async def upload(slots: asyncio.Semaphore) -> tuple[str, datetime]:
            async with slots:
                made = await announced(client, b"hello", "a.txt")
                assert (await send(web, made["upload"], b"hello")).is_success
                return made["id"], utc_now()

        async def many(count: int) -> list[tuple[str, datetime]]:
            slots = asyncio.Semaphore(AT_ONCE)
            return await asyncio.gather(*(upload(slots) for _ in range(count)))

        # Confirms as clients ask for them, and nobody tells of these.
        confirms = []
        for upload_id, _ in await many(min(browsers, 200)):
            started = time.perf_counter()
            answer = await client.post(f"/v1/uploads/{upload_id}/confirm")
            confirms.append(time.perf_counter() - started)
            assert answer.status_code == 200

        keys = gateway.owner
        owned = Store(gateway.endpoint_url, keys.access_key, keys.secret_key).environ(bucket.name)
        url = {"CLAIMCHECK_BUCKET_EVENTS_URL": str(client.base_url).rstrip("/")}
        owners = load_settings(environ | owned | url)
        await apply(open_session(owners), owners)
        arrived = dict(await many(browsers))
        waiting = "SELECT count(*) FROM files WHERE state = 'pending'"
        for _ in range(1200):
            if await db.fetchval(waiting) == 0:
                break
            await asyncio.sleep(0.05)
        rows = await db.fetch(
            "SELECT id, state, confirmed_at FROM files WHERE id = ANY($1)", list(arrived)
        )
        assert {row["state"] for row in rows} == {"confirmed"}
        told = [(row["confirmed_at"] - arrived[str(row["id"])]).total_seconds() for row in rows]
        await service.stop()
    # In a bucket whose store tells nobody, for RGW waits for whom it tells before it answers.
    silent = await ceph_bucket(gateway, database_url)
    found = await _by_the_sweep(silent.environ, db, web, browsers)
    median = statistics.median
    print(  # noqa: T201
        f"\n{browsers} browsers: confirm {median(confirms) * 1000:.1f} ms, told by RGW "
        f"{median(told) * 1000:.1f} ms (max {max(told) * 1000:.0f}), by the sweep alone "
        f"{median(found):.1f} s (max {max(found):.1f}) of virtual time"
    )
    assert median(found) <= 60
    requests = (tmp_path / "service.log").read_text().count(f'"path":"{PATH}"')
    assert requests >= browsers
    assert settings.bucket_events_url is None


async def _by_the_sweep(
    environ: dict[str, str], db: asyncpg.Connection, web: httpx.AsyncClient, browsers: int
) -> list[float]:
    """Seconds of virtual time from each object to its confirmation, looked for as the worker does:
    every ten seconds. Objects arrive from three seconds to forty after their announcement.
    """
    settings = load_settings(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps({"files": {}})})
    begun, ahead = utc_now(), timedelta()
    async with open_resources(settings, clock=lambda: begun + ahead) as res:
        async with running(settings, clock=lambda: begun) as client:
            made: list[dict[str, object]] = []
            for start in range(0, browsers, 100):
                bodies = [
                    {"destination": "files", "filename": f"{n}.txt", "size": 5}
                    for n in range(start, min(start + 100, browsers))
                ]
                answer = await client.post("/v1/uploads/batch", json={"uploads": bodies})
                made += answer.json()["uploads"]
        arrives = {upload["id"]: 3 + 37 * n / browsers for n, upload in enumerate(made)}
        sent: set[object] = set()
        for seconds in range(0, 200, 10):
            for upload in made:
                if upload["id"] not in sent and arrives[upload["id"]] <= seconds:
                    answer = await send(web, upload["upload"], b"hello")  # type: ignore[arg-type]
                    assert answer.is_success
                    sent.add(upload["id"])
            ahead = timedelta(seconds=seconds)
            await Sweep(res).look()
        rows = await db.fetch(
            "SELECT id, state, confirmed_at FROM files WHERE id = ANY($1)",
            [upload["id"] for upload in made],
        )
    assert {row["state"] for row in rows} == {"confirmed"}
    return [(row["confirmed_at"] - begun).total_seconds() - arrives[str(row["id"])] for row in rows]
