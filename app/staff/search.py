"""Search all files, records and events of a tenant, for the panel's pages.

Clients list their files with `app.files.reading`.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.core.principal import Principal
from app.db import events as db_events
from app.db import files as db_files
from app.db import records as db_records
from app.db import search as db_search
from app.db.search import COUNTED, Position, Search
from app.models.events import Event
from app.models.files import File
from app.records.fields import declared_fields
from app.records.reading import Fields, get_records
from app.runtime.resources import Resources

# For so long a very large count is not taken again.
_LARGE_COUNT_LIFE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of found files.

    `newer` and `older` are the ids of the files that the pages before and behind it end and begin
    at, None where there is none. `count` is of all pages; with `more` there are at least so many.
    `cut_short`: the page is short because the search stopped after very many files; the next page
    goes on.
    """

    files: list[File]
    newer: UUID | None
    older: UUID | None
    count: int
    more: bool
    cut_short: bool


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

    Where that file is gone, or neither is given, the first page. The caller must see their whole
    tenant. The cost does not grow with the number of files.
    """
    assert caller.sees_tenant
    tenant, position = caller.tenant, None
    async with res.db.connection() as db:
        if (at := before or after) is not None:
            file = await db_files.get_file(db, at, caller)
            position = file and Position(file.id, file.filename, before is not None)
        found = await db_search.page(db, tenant, search, position, limit + 1)
        end = None
        if len(found) <= limit:
            end = await db_search.end_of_walk(db, tenant, search, position)
        # Counting costs most, and very many files do not become few within a minute.
        now = res.clock()
        memo = caller.identity, search
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
    return Found(files, newer, older, min(count, COUNTED), count > COUNTED or cut_short, cut_short)


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
