"""Records with their files' links, beside lists of as many files."""

from __future__ import annotations

from functools import partial
from typing import Final

import asyncpg

from bench import rows
from bench.load import Case
from bench.sections.reading import PAGE, far_page
from bench.stack import Stack

RECORDS: Final = 200
SECTION: Final = f"{RECORDS} records"

# The newest files, one in each record, as `app.records.fields` would have put them there.
FILL: Final = """
WITH newest AS (
  SELECT id, row_number() OVER (ORDER BY id DESC)::text AS number FROM files
), made AS (
  INSERT INTO records (tenant, type, id, owner, version, created_at, updated_at)
  SELECT '', 'product', number, 'dev', gen_random_uuid(), now(), now() FROM newest
  RETURNING id
), counted AS (
  UPDATE files SET attachments = 1
)
INSERT INTO record_files (tenant, type, record_id, field, position, file_id)
SELECT '', 'product', made.id, 'picture', 0, newest.id FROM made JOIN newest ON number = made.id
"""


def read(stack: Stack) -> None:
    """200 records in one request, and the same files in two pages of a list."""

    async def attach(db: asyncpg.Connection) -> None:
        await db.execute(FILL)
        await db.execute("VACUUM ANALYZE")

    stack.query(rows.empty)
    endpoint = stack.settings.destinations["images"].stored_endpoint
    stack.query(partial(rows.fill, first=1, last=stack.plan.rows[1], endpoint=endpoint))
    stack.query(attach)
    ids = ",".join(str(number) for number in range(1, RECORDS + 1))
    pages = [f"/v1/files?limit={PAGE}", far_page(stack, PAGE)]
    with stack.service() as ours:
        stack.measure(
            SECTION,
            [
                Case("claimcheck", ours, [f"/v1/records/product?ids={ids}"]),
                Case(f"list of {PAGE}", ours, pages),
            ],
        )
