"""Look up confirmed files, and list them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import UUID

from app.core.narrowing import Narrowing, list_name
from app.core.object_url import ObjectName
from app.core.principal import Principal
from app.db import files as db_files
from app.db import lists as db_lists
from app.errors import FileNotFound, UrlNotOurs
from app.files.finding import find_files
from app.files.urls import check_host, parse_url
from app.models.files import File, Readable, State
from app.runtime.resources import Resources
from app.turns import Turn

MAX_PAGE: Final = 100


async def get_file(res: Resources, caller: Principal, file_id: UUID) -> File:
    """The confirmed file. Raises FileNotFound, also for everybody else's."""
    async with res.db.connection() as db:
        file = await db_files.get_file(db, file_id, caller)
    if file is None or file.state != State.CONFIRMED:
        raise FileNotFound("No file of yours has this id.")
    return file


async def get_readable(res: Resources, caller: Principal, file_id: UUID) -> Readable:
    """As `get_file`, with only the columns that links are made of."""
    file = await res.lookups.readable(file_id, caller)
    if file is None:
        raise FileNotFound("No file of yours has this id.")
    return file


async def list_files(
    res: Resources, caller: Principal, narrowing: Narrowing, *, cursor: str | None, limit: int
) -> tuple[list[File], str | None]:
    """Files, newest first, and the cursor of the next page, None after the last.

    A keyset page, whose cost does not depend on where it lies; one of a search may have fewer than
    `limit` and still a cursor. Raises InvalidCursor.
    """
    scope = list_name(narrowing, caller)
    if cursor is not None:
        narrowing = replace(narrowing, end=res.read_cursor(scope, cursor))
    if narrowing.is_search:
        files, last = await find_files(res, caller, narrowing, limit=limit)
        return files, None if last is None else res.cursor_at(scope, last)
    async with res.db.connection() as db:
        files = await db_lists.list_files(db, caller, narrowing, limit + 1)
    return res.cut_page(scope, files, limit)


async def find_by_ids(res: Resources, caller: Principal, ids: Sequence[UUID]) -> list[File | None]:
    """The confirmed files with these ids, in order, None where there is none of the caller's."""
    async with res.db.connection() as db:
        found = await db_files.confirmed_by_id(db, ids, caller)
    return list(map({file.id: file for file in found}.get, ids))


async def readable_by_ids(
    res: Resources, caller: Principal, ids: Sequence[UUID]
) -> list[Readable | None]:
    """As `find_by_ids`, with only the columns that links are made of."""
    async with res.db.connection() as db:
        found = await db_files.readable_by_id(db, ids, caller)
    return list(map({file.id: file for file in found}.get, ids))


async def readable_by_urls(
    res: Resources, caller: Principal, urls: Sequence[str]
) -> list[Readable | None]:
    """As `readable_by_ids`, by object URL; None also for a URL that is not ours."""
    names: dict[str, ObjectName] = {}
    turn = Turn()
    for url in urls:
        with suppress(UrlNotOurs):
            names[url] = parse_url(res.settings, url)
        await turn.over()
    async with res.db.connection() as db:
        wanted = [(name.bucket, name.key) for name in names.values()]
        found = await db_files.readable_by_key(db, wanted, caller)
    by_name = {(file.bucket, file.key): file for file in found}
    files: dict[str, Readable | None] = {}
    for url, name in names.items():
        with suppress(UrlNotOurs):
            file = by_name.get((name.bucket, name.key))
            check_host(res.settings, name, file)
            files[url] = file
        await turn.over()
    return list(map(files.get, urls))
