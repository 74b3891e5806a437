"""Look up confirmed files, and list them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from app.core.narrowing import Narrowing
from app.core.object_url import ObjectName
from app.core.principal import Principal
from app.db import files as db_files
from app.errors import FileNotFound, UrlNotOurs
from app.files.urls import check_host, parse_url
from app.models.files import File, Readable, State
from app.runtime.resources import Resources

MAX_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Files, newest first, and the cursor of the next page, None after the last."""

    files: list[File]
    next_cursor: str | None


async def get_file(res: Resources, caller: Principal, file_id: UUID) -> File:
    """The confirmed file; FileNotFound for everybody else's, and for whatever is not confirmed."""
    async with res.db.connection() as db:
        file = await db_files.get_file(db, file_id, caller)
    if file is None or file.state != State.CONFIRMED:
        raise FileNotFound("No file of yours has this id.")
    return file


async def list_files(
    res: Resources, caller: Principal, narrowing: Narrowing, *, cursor: str | None, limit: int
) -> Page:
    """One keyset page: it costs the same wherever it lies. Raises InvalidCursor."""
    scope = narrowing.scope(caller)
    if cursor is not None:
        narrowing = replace(narrowing, end=res.read_cursor(scope, cursor))
    async with res.db.connection() as db:
        files = await db_files.list_files(db, caller, narrowing, limit + 1)
    if len(files) <= limit:
        return Page(files, None)
    files = files[:limit]
    return Page(files, res.make_cursor(scope, files[-1].id))


async def find_by_ids(res: Resources, caller: Principal, ids: Sequence[UUID]) -> list[File | None]:
    """The confirmed files with these ids, in order, None where there is none of the caller's."""
    async with res.db.connection() as db:
        found = await db_files.confirmed_by_id(db, ids, caller)
    by_id = {file.id: file for file in found}
    return [by_id.get(file_id) for file_id in ids]


async def readable_by_ids(
    res: Resources, caller: Principal, ids: Sequence[UUID]
) -> list[Readable | None]:
    """The same, with what links are made of alone."""
    async with res.db.connection() as db:
        found = await db_files.readable_by_id(db, ids, caller)
    by_id = {file.id: file for file in found}
    return [by_id.get(file_id) for file_id in ids]


async def readable_by_urls(
    res: Resources, caller: Principal, urls: Sequence[str]
) -> list[Readable | None]:
    """The same by object URL; a URL that is not ours is None too."""
    names = [_parse(res, url) for url in urls]
    wanted = [(name.bucket, name.key) for name in names if name is not None]
    async with res.db.connection() as db:
        found = await db_files.readable_by_key(db, wanted, caller)
    by_name = {(file.bucket, file.key): file for file in found}
    return [
        None if name is None else _if_ours(res, name, by_name.get((name.bucket, name.key)))
        for name in names
    ]


def _if_ours(res: Resources, name: ObjectName, file: Readable | None) -> Readable | None:
    try:
        check_host(res.settings, name, file)
    except UrlNotOurs:
        return None
    return file


def _parse(res: Resources, url: str) -> ObjectName | None:
    try:
        return parse_url(res.settings, url)
    except UrlNotOurs:
        return None
