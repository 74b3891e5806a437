"""Files: look them up, list them, and sign links to read them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from app.core.delivery import Disposition, response_overrides
from app.core.grants import grant_maker, is_granted, window_end
from app.core.key_normalizer import InvalidName, clean_filename
from app.core.narrowing import Narrowing
from app.core.object_url import ObjectName
from app.core.principal import Principal
from app.db import files as db_files
from app.errors import FileNotFound, InvalidFilename, InvalidGrant, UrlNotOurs
from app.files.urls import check_host, parse_url
from app.logs.audit import audit_files
from app.logs.log import acting
from app.models.files import File, Readable, State
from app.runtime.resources import Resources

MAX_PAGE: Final = 100
# Links that are signed before the event loop has a look at others.
_AT_ONCE: Final = 100


class Link(NamedTuple):
    """A presigned URL and when it ends (UTC)."""

    url: str
    expires_at: datetime


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


async def read_links(
    res: Resources,
    files: Sequence[File | Readable],
    *,
    disposition: Disposition | None = None,
    filename: str | None = None,
    redirecting: bool = False,
) -> list[Link]:
    """A presigned link for each file, in order, each pinned to the version that was confirmed.

    With `disposition` None, files that are safe to show get the plain link; whatever a browser
    might run is downloaded in either case. `filename` is the name to save under. `redirecting`: the
    audit trail says that somebody is sent there. Raises InvalidFilename.
    """
    if filename is not None:
        try:
            filename = clean_filename(filename).display
        except InvalidName as error:
            raise InvalidFilename(str(error)) from None
    links: list[Link] = []
    # Most pages are of one destination, so that little is asked for anew.
    where: tuple[str, str] | None = None
    for number, file in enumerate(files, start=1):
        if where is None or file.destination != where[0] or file.bucket != where[1]:
            where = file.destination, file.bucket
            to = res.settings.destination_of(*where)
            sign, expires_at = await res.signer.link_signer(
                to.address, expires_in=to.link_expires_in, window=to.window
            )
        query = response_overrides(
            file.content_type, file.detected_type, disposition, filename or file.filename
        )
        if file.version_id is not None:
            query = (*query, ("versionId", file.version_id))
        links.append(Link(sign(file.key, query), expires_at))
        if number % _AT_ONCE == 0 and number < len(files):
            await asyncio.sleep(0)
    audit_files(
        "file.linked", files, **({"redirect": disposition or "plain"} if redirecting else {})
    )
    return links


def content_urls(res: Resources, files: Sequence[File]) -> list[str | None]:
    """For each file, in order, a path that reads it without a bearer for as long as its link.

    Steady within the destination's window, like the link. None where there are none.
    """
    if res.grant_secret is None:
        return [None] * len(files)
    now = res.clock().timestamp()
    urls: list[str | None] = []
    where: tuple[str, str] | None = None
    for file in files:
        if where is None or file.destination != where[0] or file.bucket != where[1]:
            where = file.destination, file.bucket
            to = res.settings.destination_of(*where)
            end = window_end(now, to.link_expires_in, to.window)
            grant = grant_maker(res.grant_secret, end) if to.content_urls else None
        urls.append(grant and f"/v1/files/{file.id}/content?grant={grant(file.id)}")
    return urls


async def get_granted(res: Resources, file_id: UUID, grant: str) -> File:
    """The confirmed file that a grant of `content_urls` is for, whoever asks.

    Raises InvalidGrant, FileNotFound.
    """
    ended = InvalidGrant("This link has ended, or is not ours; ask for a fresh content_url.")
    now = res.clock().timestamp()
    if res.grant_secret is None or not is_granted(res.grant_secret, file_id, grant, now):
        raise ended
    async with res.db.connection() as db:
        file = await db_files.get_granted(db, file_id)
    if file is None or file.state != State.CONFIRMED:
        raise FileNotFound("There is no such file any more.")
    if not res.settings.destination_of(file.destination, file.bucket).content_urls:
        raise ended
    actor = acting.get()
    if actor is not None:
        actor.name = "grant"
    return file


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
