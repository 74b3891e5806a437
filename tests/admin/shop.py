"""The example's admin as its tests see it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.support.browser.wire import Wire

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@dataclass(frozen=True)
class Shop:
    """The example at `url`; the service, which `api` asks with the shop's key; the bucket."""

    url: str
    api: httpx.AsyncClient
    key: dict[str, str]
    others: dict[str, str]  # another owner's key
    wire: Wire
    bucket: str
    database: Path
    service_database: str

    @property
    def service(self) -> str:
        return str(self.api.base_url).rstrip("/")

    def rows(self, what: str = "name, image", table: str = "products") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as db:
            return db.execute(f"SELECT {what} FROM {table} ORDER BY id").fetchall()

    async def end_sessions(self) -> None:
        """End every upload session, as its maker can."""
        connection = await asyncpg.connect(self.service_database)
        ids = await connection.fetch("SELECT id FROM upload_sessions WHERE revoked_at IS NULL")
        await connection.close()
        for (session_id,) in ids:
            (await self.api.delete(f"/v1/upload-sessions/{session_id}")).raise_for_status()

    def insert(self, name: str, image: str) -> int:
        with closing(sqlite3.connect(self.database)) as db, db:
            cursor = db.execute("INSERT INTO products (name, image) VALUES (?, ?)", (name, image))
            return int(cursor.lastrowid or 0)

    def image_of(self, name: str) -> str | None:
        [image] = [image for found, image in self.rows() if found == name]
        return image
