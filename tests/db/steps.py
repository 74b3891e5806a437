"""Steps of the tests of statements."""

import asyncpg

from app.db import files as db_files
from app.models.files import File


async def read(db: asyncpg.Connection, file: File) -> File | None:
    return await db_files.get_again(db, file)
