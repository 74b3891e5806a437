"""Rows of `files` as tests want them, and how PostgreSQL finds them."""

import os
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from app.core.ids import uuid7
from app.db import files as db_files
from app.models.files import File, State

NOW = datetime(2026, 3, 9, 14, 5, 6, 7, tzinfo=UTC)
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)


def new_file(state: State = State.PENDING, **values: Any) -> File:
    made = values.get("created_at", NOW)
    defaults = (
        dict.fromkeys(File._fields)
        | File._field_defaults
        | {
            "id": uuid7(made, os.urandom(8)),
            "owner": "dev",
            "tenant": "",
            "destination": "images",
            "bucket": "bkt",
            "key": f"images/{secrets.token_hex(8)}.png",
            "url": "https://s3.example.com/bkt/images/a.png",
            "filename": "été 日本.png",
            "content_type": "image/png",
            "size": 5,
            "checksum_verified": False,
            "method": "post",
            "state": state.value,
            "created_at": made,
            "expires_at": made + timedelta(hours=1),
            "claimed_until": SOON if state in {State.COMPLETING, State.REMOVING} else None,
            "sealed": "no",
            "attachments": 0,
            "self_confirmed": False,
        }
    )
    return File(**(defaults | values))


async def insert(db: asyncpg.Connection, *files: File) -> None:
    assert await db_files.insert_files(db, files) == {file.id for file in files}


class Explaining:
    """A connection that fetches the plan of what it is asked for."""

    def __init__(self, db: asyncpg.Connection) -> None:
        self._db, self.plan = db, ""

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        lines = await self._db.fetch(f"EXPLAIN (ANALYZE) {sql}", *arguments)
        self.plan = "\n".join(line[0] for line in lines)
        return []
