"""The sweep: nothing is left over, and nothing that is somebody's is taken."""

from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.core.deadlines import CONFIRM_WITHIN, NO_REQUEST_AFTER
from app.db import arrivals as db_arrivals
from app.db import sweep as db_sweep
from app.models.files import State
from app.runtime.resources import open_resources
from app.settings.model import Settings
from app.store.signer import utc_now
from app.upkeep.sweep import Sweep
from tests.support.rows import NOW, Explaining, insert, new_file
from tests.support.service import running
from tests.support.steps import announced, send, slug, stored
from tests.support.upkeep import EXPIRED, HOUR, swept, swept_at
from tests.upkeep.sweep.steps import MP4, Bucket, states

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"


@pytest.mark.parametrize(("destination", "name"), [("files", "a.txt"), ("images", "a.png")])
async def test_an_upload_that_arrived_becomes_a_file(
    settings: Settings,
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    db: asyncpg.Connection,
    destination: str,
    name: str,
) -> None:
    data = PNG if name == "a.png" else b"hello"
    upload = await announced(client, data, name, destination=destination)
    assert (await send(web, upload["upload"], data)).is_success
    begun = await db.fetchval("SELECT created_at FROM files")
    assert await swept_at(settings, begun + timedelta(seconds=10)) == {}
    # A minute later, long before its instructions end.
    assert await swept(settings, HOUR / 60) == {"confirmed": 1}
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
    assert await swept(settings, HOUR + CONFIRM_WITHIN / 2) == {"awaited": 1}
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
    assert await swept(settings, EXPIRED + NO_REQUEST_AFTER + HOUR) == {"purged": 1}
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
    assert await swept(settings) == {"awaited": 1}
    assert await swept(settings, timedelta(days=400)) == {"removed": 1}
    for key in (file["key"], released["key"]):
        assert await bucket.versions(key) == 1


def lapsed_of(state: State) -> Any:
    return lambda db: db_sweep.claim_lapsed(db, state, NOW, NOW + HOUR, 8)


@pytest.mark.parametrize(
    ("claim", "index"),
    [
        (
            lambda db: db_sweep.claim_abandoned(db, NOW, NOW, NOW, NOW + HOUR, 8),
            "ix_files_expired",
        ),
        (lambda db: db_arrivals.claim_looks(db, NOW, NOW, HOUR, 8), "ix_files_looked_at"),
        (lapsed_of(State.REMOVING), "ix_files_claimed"),
        (lapsed_of(State.REJECTED), "ix_files_rejected"),
        (lapsed_of(State.REMOVED), "ix_files_tombstones"),
        (lambda db: db_sweep.stalled_completions(db, NOW, NOW + HOUR, 8), "ix_files_claimed"),
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
