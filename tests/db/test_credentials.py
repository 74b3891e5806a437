"""Lists of upload sessions, and the search for what a credential made, read an index in order."""

import re
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from app.core.principal import Principal, Scope
from app.db import credentials as db_credentials
from app.db import makers as db_makers
from tests.support.rows import Explaining

END = UUID(int=(1 << 128) - 1)


async def test_no_page_of_sessions_sorts_or_reads_the_table(db: asyncpg.Connection) -> None:
    await db.execute(
        """
        INSERT INTO upload_sessions (id, token_hash, owner, tenant, destination, max_files,
          max_bytes, created_by, made_with, created_at, expires_at)
        SELECT lpad(to_hex(n), 32, '0')::uuid, n::text::bytea, 'u', '', 'files', 1, 1,
          'owner ' || n % 199, 'key:' || n % 997, now(), now() + interval '1 day'
        FROM generate_series(1, 20000) AS n
        """
    )
    await db.execute("ANALYZE upload_sessions")
    explaining = Explaining(db)
    for scopes in (frozenset[str](), frozenset({Scope.FILES_ALL})):
        caller = Principal("owner 1", "", scopes)
        for end in (END, UUID(int=10_000)):
            await db_credentials.list_upload_sessions(explaining, caller, end, 51)
            assert re.search("Index Scan Backward", explaining.plan), explaining.plan
            assert "Sort" not in explaining.plan
            assert "Seq Scan" not in explaining.plan
    await db_makers.end_sessions_made(explaining, ["key:1", "key:2"], datetime.now(UTC))
    assert "ix_upload_sessions_made_with" in explaining.plan
    assert "Seq Scan" not in explaining.plan
