"""Arrivals are noted by an index, and never for what is no upload any more."""

from datetime import timedelta

import asyncpg

from app.db import arrivals
from app.models.files import State
from tests.support.rows import LATER, NOW, Explaining, insert, new_file


async def test_pending_uploads_alone_are_noted(db: asyncpg.Connection) -> None:
    files = [new_file(state) for state in State]
    await insert(db, *files)
    names = [(file.bucket, file.key) for file in files]
    noted = await arrivals.note_arrivals(db, [*names, *names, ("bkt", "unknown")], LATER)
    [pending] = [file for file in files if file.state == State.PENDING]
    assert [(file.id, file.look_at) for file in noted] == [(pending.id, LATER)]
    assert await arrivals.note_arrivals(db, [("other", pending.key)], LATER) == []
    # It is looked for next, once, and then after as long again as it has been pending.
    hour = NOW + timedelta(minutes=20)
    [looked] = await arrivals.claim_looks(db, hour, hour, timedelta(days=1), 8)
    assert looked.look_at is not None
    assert hour + timedelta(minutes=15) <= looked.look_at <= hour + timedelta(minutes=25)
    assert await arrivals.claim_looks(db, hour, hour, timedelta(days=1), 8) == []


async def test_a_note_finds_its_row_by_bucket_and_key(db: asyncpg.Connection) -> None:
    await db.execute(
        """
        INSERT INTO files (id, owner, tenant, destination, bucket, key, url, filename,
          content_type, size, method, state, created_at, expires_at)
        SELECT lpad(to_hex(n), 32, '0')::uuid, 'o', '', 'files', 'bkt', 'key ' || n, 'u', 'f',
          'image/png', 1, 'post', CASE WHEN n % 10 = 0 THEN 'pending' ELSE 'confirmed' END,
          now(), now()
        FROM generate_series(1, 5000) AS n
        """
    )
    await db.execute("ANALYZE files")
    explaining = Explaining(db)
    await arrivals.note_arrivals(explaining, [("bkt", "key 10"), ("bkt", "key 11")], NOW)
    assert "uq_files_bucket" in explaining.plan
    assert "Seq Scan" not in explaining.plan
