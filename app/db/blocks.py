"""The SQL of blocks, which find confirmed files by metadata and parts of names.

Each function takes a connection. A search asks the changes that are in no block yet, then a few of
the newest blocks one by one, where what many files have is found at once, and then the index for
those that have what is rare. So its cost has a bound, whatever is looked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.core.search_text import Wanted, join, matches, split, terms_of, text_of
from app.db.lists import LEAST, unforeseen
from app.db.statements import FIRST, Statement, arguments, array, write
from app.models.files import File
from app.models.search import SearchBlock, SearchChange, search_blocks, search_changes
from app.turns import Turn

# Files of a block as it is written first, and at most.
BLOCK: Final = 128
_LARGEST: Final = 2 * BLOCK
# Changes that are taken into blocks at once, and that a search looks at.
AT_ONCE: Final = 512
# Blocks that a search looks at in their order, and those that it takes from the index.
NEWEST: Final = 4
CHOSEN: Final = 11

_b, _c = search_blocks.c, search_changes.c
_OF_TENANT: Final = _b.tenant == sa.bindparam("tenant")


@dataclass(frozen=True, slots=True)
class Found:
    """Ids of files that matched when they were written, newest first.

    There are no others with ids from `down_to` on; None where all was looked at. `changes` wait to
    be taken into blocks; of more than AT_ONCE not all were looked at.
    """

    ids: list[UUID]
    down_to: UUID | None
    changes: int


def _limit(number: int) -> sa.ScalarSelect[int]:
    return unforeseen(sa.literal_column(str(number), sa.Integer()))


_CHANGES = write(
    sa.select(search_changes)
    .where(_c.tenant == sa.bindparam("tenant"))
    .order_by(_c.file_id.desc())
    .limit(_limit(AT_ONCE + 1)),
    SearchChange._make,
)
_READ: Final = (_b.first, _b.files)
_NEWEST = write(
    sa.select(*_READ)
    .where(_OF_TENANT, _b.first < sa.bindparam("end", type_=sa.Uuid()))
    .order_by(_b.first.desc())
    .limit(_limit(NEWEST))
)
# Written so that no index but that of terms has this order or these bounds.
_FIRST: Final = sa.func.least(_b.first, type_=sa.Uuid())


def _chosen(*names: str) -> Statement[tuple[UUID, str]]:
    """The newest blocks that have all terms of one of the arguments of these names."""
    has = [_b.terms.contains(sa.bindparam(name, type_=ARRAY(sa.Integer()))) for name in names]
    return write(
        sa.select(*_READ)
        .where(
            sa.or_(*has),
            sa.func.least(_b.tenant) == sa.bindparam("tenant"),
            sa.bindparam("end", type_=sa.Uuid()) > _FIRST,
        )
        .order_by(_FIRST.desc())
        .limit(_limit(CHOSEN + 1))
    )


# Where one list of terms is looked for, and where one of two is.
_CHOSEN: Final = {1: _chosen("terms0"), 2: _chosen("terms0", "terms1")}


async def find(
    db: asyncpg.Connection, tenant: str, wanted: Wanted, *, first: UUID, end: UUID, limit: int
) -> Found:
    """Up to `limit` files of the tenant with ids from `first` on and before `end`.

    Each is to be looked up, for it may have changed since.
    """
    turn = Turn()
    changed: set[UUID] = set()
    hits: set[UUID] = set()
    for change in await _CHANGES.rows(db, tenant=tenant):
        changed.add(change.file_id)
        if (text := _text(change)) is not None and wanted.is_in(text):
            hits.add(change.file_id)
        await turn.over()
    down_to: UUID | None = end

    async def look(rows: Sequence[tuple[UUID, str]], at_most: int) -> None:
        nonlocal down_to
        for _, files in rows:
            hits.update(one for one in matches(files, wanted) if one not in changed)
            await turn.over()
        down_to = rows[-1][0] if len(rows) == at_most else None

    await look(await _NEWEST.rows(db, tenant=tenant, end=end), NEWEST)
    terms = wanted.terms(tenant)
    if all(terms) and down_to is not None and sum(down_to <= one < end for one in hits) < limit:
        async with db.transaction():
            # What else it could do reads the terms of every block, and it does not know how long
            # they are.
            await db.execute("SET LOCAL enable_seqscan = off")
            choices = {f"terms{number}": choice for number, choice in enumerate(terms)}
            rows = await _CHOSEN[len(terms)].rows(db, tenant=tenant, end=down_to, **choices)
        await look(rows[:CHOSEN], CHOSEN)
        if len(rows) <= CHOSEN:
            down_to = None
    if down_to is not None and down_to <= first:
        down_to = None
    least = max(first, down_to or LEAST)
    ids = sorted((one for one in hits if least <= one < end), reverse=True)[:limit]
    return Found(ids, down_to, len(changed))


def text_of_file(file: File | SearchChange, name: str) -> str:
    """The text that a file of this name is found by."""
    properties = {
        "owner": file.owner,
        "destination": file.destination,
        "content_type": file.content_type,
        "family": file.content_type.partition("/")[0],
    }
    return text_of(name, properties, file.metadata)


def _text(change: SearchChange) -> str | None:
    return None if change.filename is None else text_of_file(change, change.filename)


def _chunks(files: Mapping[UUID, str]) -> Iterator[dict[UUID, str]]:
    """The files by their ids, as many at once as a block begins with."""
    ordered = sorted(files.items())
    for at in range(0, len(ordered), BLOCK):
        yield dict(ordered[at : at + BLOCK])


# One at a time for each tenant, so that no two write one block; who is second has nothing to do.
_ALONE = write(
    sa.select(
        sa.func.pg_try_advisory_xact_lock(
            sa.literal_column("4071846", sa.Integer()),
            sa.func.hashtext(sa.bindparam("tenant", type_=sa.Text())),
        )
    )
)
_TAKE = write(
    sa.select(search_changes)
    .where(_c.tenant == sa.bindparam("tenant"))
    .order_by(_c.file_id)
    .limit(_limit(AT_ONCE))
    .with_for_update(),
    SearchChange._make,
)
_LAST = write(sa.select(*_READ).where(_OF_TENANT).order_by(_b.first.desc()).limit(_limit(1)))
_LATE: Final = sa.select(array("ids", sa.Uuid()).label("id")).subquery("late")
_begins: Final = search_blocks.alias("begins")
_BEGIN: Final = (
    sa.select(_begins.c.first)
    .where(_begins.c.tenant == sa.bindparam("tenant"), _begins.c.first <= _LATE.c.id)
    .order_by(_begins.c.first.desc())
    .limit(_limit(1))
    .correlate(_LATE)
    .scalar_subquery()
)
_AROUND = write(
    sa.select(*_READ).where(_OF_TENANT, _b.first.in_(sa.select(_BEGIN).select_from(_LATE)))
)
_PUT = write(
    (
        _written := insert(search_blocks).values(arguments(search_blocks, SearchBlock._fields))
    ).on_conflict_do_update(
        index_elements=["tenant", "first"],
        set_={name: _written.excluded[name] for name in ("files", "terms")},
    )
)
_TAKEN = write(
    sa.delete(search_changes).where(
        _c.tenant == sa.bindparam("tenant"),
        _c.file_id == sa.func.any(sa.bindparam("ids", type_=ARRAY(sa.Uuid()))),
    )
)
_TENANTS = write(sa.select(_c.tenant).distinct(), FIRST)


async def tenants_with_changes(db: asyncpg.Connection) -> list[str]:
    """The tenants of whose files some have changed since their blocks were written."""
    return await _TENANTS.rows(db)


async def take_changes(db: asyncpg.Connection, tenant: str) -> int:
    """Write up to AT_ONCE of a tenant's changes into blocks; how many have been.

    Those of new files wait until they fill a block. In a transaction of the caller's.
    """
    if not await _ALONE.value(db, tenant=tenant):
        return 0
    changes = {change.file_id: _text(change) for change in await _TAKE.rows(db, tenant=tenant)}
    if not changes:
        return 0
    last = None
    for begin, joined in await _LAST.rows(db, tenant=tenant):
        last = max((one for one, _ in split(joined)), default=begin)
    late = {one: text for one, text in changes.items() if last is not None and one <= last}
    new = {one: text for one, text in changes.items() if one not in late and text is not None}
    blocks = await _with_late(db, tenant, late)
    # The first block begins where all begins, and each other one with its first file.
    for number, chunk in enumerate(_chunks(new)):
        if len(chunk) == BLOCK:
            begin = LEAST if last is None and number == 0 else min(chunk)
            blocks.append((begin, chunk))
        else:
            for one in chunk:
                del changes[one]
    for first, files in blocks:
        # One at a time, for terms take long to make.
        block = SearchBlock(tenant, first, join(files), terms_of(tenant, files.values()))
        await _PUT.run(db, **block._asdict())
    await _TAKEN.run(db, tenant=tenant, ids=list(changes))
    return len(changes)


async def _with_late(
    db: asyncpg.Connection, tenant: str, late: Mapping[UUID, str | None]
) -> list[tuple[UUID, dict[UUID, str]]]:
    """Where the blocks begin among whose files these are, with them as they are now."""
    if not late:
        return []
    found = dict(await _AROUND.rows(db, tenant=tenant, ids=list(late)))
    begins = sorted(found)
    blocks: list[tuple[UUID, dict[UUID, str]]] = []
    for begin, end in zip(begins, [*begins[1:], None], strict=True):
        files = dict(split(found[begin]))
        for file_id, text in late.items():
            if file_id >= begin and (end is None or file_id < end):
                files.pop(file_id, None)
                if text is not None:
                    files[file_id] = text
        # What has become too large is cut.
        chunks = list(_chunks(files)) if len(files) > _LARGEST else [files]
        blocks += ((min(chunk) if number else begin, chunk) for number, chunk in enumerate(chunks))
    return blocks
