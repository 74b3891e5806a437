"""Search all files, records and events of a tenant, for the panel's pages.

Clients list their files with `app.files.reading`.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.core.principal import Principal
from app.db import events as db_events
from app.db import files as db_files
from app.db import records as db_records
from app.db import search as db_search
from app.db.search import COUNTED, Order, Position, Search
from app.errors import FileNotFound, UrlNotOurs
from app.files.finding import find_files
from app.files.urls import parse_url
from app.models.events import Event
from app.models.files import File, State
from app.records.fields import declared_fields
from app.records.reading import Fields, get_records
from app.runtime.resources import Resources

# Files that a text names are shown on one page.
_NAMED: Final = 50
# For so long a very large count is not taken again.
_LARGE_COUNT_LIFE: Final = timedelta(minutes=1)


# An id within a text, as keys and addresses have it, and the beginning of one alone.
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_BEGINNING: Final = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,27}")


@dataclass(frozen=True, slots=True)
class Found:
    """A page of found files.

    `newer` and `older` are the ids of the files that the pages before and behind it end and begin
    at, None where there is none. `count` is of all pages, with `more` there are at least so many;
    None where that is not known. `cut_short`: the page is short because the search stopped after
    very many files; the next page goes on. `named`: what was looked for is the id or the key of
    these files, or of the request that had to do with them; nothing else was looked for.
    """

    files: list[File]
    newer: UUID | None
    older: UUID | None
    count: int | None
    more: bool
    cut_short: bool
    named: bool = False


async def search_files(
    res: Resources,
    caller: Principal,
    search: Search,
    *,
    after: UUID | None = None,
    before: UUID | None = None,
    limit: int,
) -> Found:
    """The page behind the file with the id `after`, or before the one with `before`.

    Where that file is gone, or neither is given, the first page. With `q`, files that it names:
    part of a file's name or owner, the beginning of its key or id, or the id of a request; those
    of names and owners newest first, counted where the page has them all. The caller must see
    their whole tenant. The cost does not grow with the number of files.
    """
    assert caller.sees_tenant
    if search.q and after is before is None and (files := await _named(res, caller, search.q)):
        return Found(files[:limit], None, None, len(files), False, False, named=True)
    if search.is_search and search.state is State.CONFIRMED:
        if after is not None:
            search = replace(search, end=min(after, search.end or after))
        files, last = await find_files(
            res, caller, search, limit=limit, owner=search.owner, owners=True
        )
        count = len(files) if last is after is None else None
        return Found(files, None, last, count, last is not None, bool(last) and len(files) < limit)
    return await _listed(res, caller, search, after, before, limit)


async def any_file(res: Resources, caller: Principal, file_id: UUID) -> File:
    """The file, in whatever state it is. Raises FileNotFound, also for everybody else's."""
    async with res.db.connection() as db:
        file = await db_files.get_file(db, file_id, caller)
    if file is None:
        raise FileNotFound("There is no such file.")
    return file


async def _named(res: Resources, caller: Principal, q: str) -> list[File]:
    """Files in any state that the text names, by an id, the beginning of a key, or a request."""
    text = q.strip()
    ids = [UUID(one) for one in _ID.findall(text.lower())]
    async with res.db.connection() as db:
        for event in await db_events.events_of_request(db, caller, text, _NAMED):
            with suppress(ValueError):
                ids.append(UUID(event.subject))
        found = [await db_files.get_file(db, one, caller) for one in dict.fromkeys(ids[:_NAMED])]
        if any(found):
            return [file for file in found if file]
        digits = text.lower().replace("-", "")
        if _BEGINNING.fullmatch(text.lower()) and len(digits) <= 32:
            return await db_search.of_ids(db, caller.tenant, digits, _NAMED)
        # No name has a slash, and few keys have none.
        if "/" not in text:
            return []
        try:
            key = parse_url(res.settings, text).key
        except UrlNotOurs:
            key = text.removeprefix("/")
        buckets = sorted({to.bucket for to in res.settings.destinations.values()})
        return await db_search.of_keys(db, caller.tenant, buckets, key, _NAMED) if key else []


async def _listed(
    res: Resources,
    caller: Principal,
    search: Search,
    after: UUID | None,
    before: UUID | None,
    limit: int,
) -> Found:
    tenant, position = caller.tenant, None
    async with res.db.connection() as db:
        if (at := before or after) is not None:
            file = await db_files.get_file(db, at, caller)
            position = file and Position(file.id, file.size, before is not None)
        found = await db_search.page(db, tenant, search, position, limit + 1)
        end = None
        if len(found) <= limit:
            end = await db_search.end_of_walk(db, tenant, search, position)
        # Counting costs most, and very many files do not become few within a minute.
        now = res.clock()
        memo = caller.identity, replace(search, order=Order.NEWEST)
        count = res.large_counts.get(memo, now)
        if count is None:
            count = await db_search.count(db, tenant, search)
            if count > COUNTED:
                res.large_counts.note(memo, count, now + _LARGE_COUNT_LIFE)
    backwards = position is not None and position.before
    is_more = len(found) > limit
    files = (found[1:] if backwards else found[:-1]) if is_more else found
    first, last = (files[0].id, files[-1].id) if files else (None, None)
    ahead = (first if backwards else last) if is_more else end.id if end else None
    behind = None if position is None else (last if backwards else first) or position.id
    newer, older = (ahead, behind) if backwards else (behind, ahead)
    cut_short = end is not None
    # In order of size a list is counted as in the order that its own index has.
    more = count > COUNTED or (cut_short and not search.by_size)
    return Found(files, newer, older, min(count, COUNTED), more, cut_short)


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """A page of records in the order of their ids.

    `earlier` and `later` are the ids that the pages before and behind it end and begin at, None
    where there is none.
    """

    records: list[Fields]
    earlier: str | None
    later: str | None


async def search_records(
    res: Resources,
    caller: Principal,
    record_type: str,
    *,
    prefix: str = "",
    after: str | None = None,
    before: str | None = None,
    limit: int,
) -> FoundRecords:
    """Records of one type whose ids begin with `prefix`, behind one id or before another.

    The caller must see their whole tenant. Raises UnknownRecordField.
    """
    assert caller.sees_tenant
    declared_fields(res, record_type)
    # Ids are visible ASCII: nothing lies between one and itself with U+0001, or behind U+007F.
    low = prefix if after is None else max(prefix, f"{after}\x01")
    high = f"{prefix}\x7f" if before is None else before
    backwards = before is not None
    async with res.db.connection() as db:
        ids = await db_records.record_ids(
            db, caller.tenant, record_type, low, high, limit + 1, backwards=backwards
        )
    is_more = len(ids) > limit
    ids = ids[:limit]
    if backwards:
        ids.reverse()
    found = await get_records(res, caller, record_type, ids)
    first, last = (ids[0], ids[-1]) if ids else (None, None)
    is_earlier, is_later = (is_more, True) if backwards else (after is not None, is_more)
    return FoundRecords(
        [found[record_id] for record_id in ids if record_id in found],
        first if is_earlier else None,
        last if is_later else None,
    )


async def search_events(
    res: Resources, caller: Principal, wanted: str, *, limit: int
) -> list[Event]:
    """Events of a file, by its id, of a record or webhook, by `type/id`, or of a request, by its
    id; without any of these of all. Newest first.
    """
    async with res.db.connection() as db:
        if not wanted:
            found = await db_events.newest_events(db, caller, limit)
        else:
            found = await db_events.events_of(db, caller, wanted, limit)
            found += await db_events.events_of_request(db, caller, wanted, limit)
    by_id = {event.id: event for event in found}
    return [by_id[event_id] for event_id in sorted(by_id, reverse=True)[:limit]]
