"""Rows: many confirmed files, written by PostgreSQL itself."""

from __future__ import annotations

from typing import Final

import asyncpg

BUCKET: Final = "bench"

# One in ten is a PDF with a Greek name: its link carries a long Content-Disposition. Ids are
# UUIDv7 with the newest row now and the others one second apart, as app.core.ids makes them.
_FILL: Final = """
INSERT INTO files (id, owner, destination, bucket, key, url, filename, content_type,
  detected_type, size, checksum_sha256, checksum_verified, method, state, etag, version_id,
  created_at, expires_at, confirmed_at)
SELECT
  (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7'
    || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid,
  'dev', 'images', $3, key, $4 || '/' || $3 || '/' || key,
  CASE WHEN pdf THEN 'Αναφορά τριμήνου ' || i || '.pdf' ELSE 'Holiday ' || i || '.png' END,
  CASE WHEN pdf THEN 'application/pdf' ELSE 'image/png' END,
  CASE WHEN pdf THEN 'application/pdf' ELSE 'image/png' END,
  100000 + i, NULL, false, 'post', 'pending',
  '"' || md5(i::text) || '"', substr(md5(i::text), 1, 32),
  moment, moment + interval '1 hour', NULL
FROM (
  SELECT i, now() - make_interval(secs => 2000000 - i) AS moment, i % 10 = 0 AS pdf,
    'images/' || to_char(now() - make_interval(secs => 2000000 - i), 'MM-DD-YYYY_HH24-MI-SS-US')
    || '--' || CASE WHEN i % 10 = 0 THEN 'anaphora-trimenou-' ELSE 'holiday-' END || i
    || CASE WHEN i % 10 = 0 THEN '.pdf' ELSE '.png' END AS key
  FROM generate_series($1::bigint, $2::bigint) AS i
) AS made
"""


_CONFIRM: Final = """
UPDATE files SET state = 'confirmed', confirmed_at = created_at + interval '2 seconds'
WHERE state = 'pending' AND version_id IS NOT NULL
"""
# In how many steps a table is filled; each ends with what autovacuum does at a fifth of dead rows.
_STEPS: Final = 20


async def fill(db: asyncpg.Connection, first: int, last: int, endpoint: str) -> None:
    """Add the files numbered `first` to `last` as the service does: announced, then confirmed.

    So the table has the room that the first version of each row leaves behind. At the end the
    statistics and the visibility map are up to date.
    """
    step = max(1000, (last - first + 1) // _STEPS)
    for begin in range(first, last + 1, step):
        end = min(begin + step - 1, last)
        await db.execute(_FILL, begin, end, BUCKET, endpoint, timeout=600)
        await db.execute(_CONFIRM, timeout=600)
        await db.execute("VACUUM ANALYZE files", timeout=600)


async def count(db: asyncpg.Connection) -> int:
    """How many files there are, in whatever state."""
    found: int = await db.fetchval("SELECT count(*) FROM files")
    return found


async def empty(db: asyncpg.Connection) -> None:
    await db.execute("TRUNCATE files, records, search_changes, search_blocks CASCADE")


async def newest_ids(db: asyncpg.Connection, count: int) -> list[str]:
    """Ids of the newest confirmed files."""
    found = await db.fetch(
        "SELECT id FROM files WHERE state = 'confirmed' ORDER BY id DESC LIMIT $1", count
    )
    return [str(row[0]) for row in found]


async def id_at(db: asyncpg.Connection, offset: int) -> asyncpg.pgproto.UUID:
    """The id of the confirmed file that `offset` newer ones precede."""
    return await db.fetchval(
        "SELECT id FROM files WHERE state = 'confirmed' AND owner = 'dev' "
        "ORDER BY id DESC OFFSET $1 LIMIT 1",
        offset,
    )


async def bytes_a_row(db: asyncpg.Connection) -> float:
    """Bytes that a file takes in the database, table and indexes."""
    size, count = await db.fetchrow(
        "SELECT pg_total_relation_size('files'), (SELECT count(*) FROM files)"
    )
    return float(size / count)
