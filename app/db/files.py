"""The SQL of files, as functions of a connection: store and find them.

Lists are in `app.db.lists`, moves between states in `app.db.moves`.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, Insert, distinct_on, insert

from app.core.principal import Principal
from app.db.idempotency import first_of_key, kept_with, of_keys
from app.db.statements import (
    FIRST,
    Statement,
    arguments,
    array,
    arrays,
    or_any,
    rows_of,
    visible,
    visible_to,
    write,
)
from app.db.tell import telling_of_file
from app.db.usage_changes import noted
from app.loading import load_once
from app.models.events import EventType
from app.models.files import File, Readable, Seal, State, files
from app.models.idempotency import IdempotencyKey

_c = files.c
_Name = TypeVar("_Name", bound=Hashable)

_VISIBLE: Final = visible(files)
# Of so many the driver writes the names, or reads the columns, in one step.
_FILES_AT_ONCE: Final = 200
_READABLE_AT_ONCE: Final = 400


def literal(state: State) -> sa.ColumnElement[str]:
    """The state written out: a partial index is of no use to a parameter."""
    return sa.literal_column(f"'{state.value}'")


def in_state(*states: State) -> sa.ColumnElement[bool]:
    """Whether the file is in one of the states."""
    return _c.state.in_([literal(state) for state in states])


def inserting(rows: sa.Select[Any]) -> sa.CTE:
    """Store rows of these columns, and return what `noted` needs; not those whose key is taken."""
    return _stored(insert(files).from_select([c.name for c in rows.selected_columns], rows))


def _stored(inserted: Insert) -> sa.CTE:
    return (
        inserted.on_conflict_do_nothing(index_elements=["bucket", "key"])
        .returning(_c.id, _c.tenant, _c.owner, _c.size, _c.reserved)
        .cte("stored")
    )


def _insertion(
    stored: sa.CTE, state: State = State.PENDING, *, with_keys: bool = False
) -> Statement[UUID]:
    """Store files, note what their owners use by them, and keep their idempotency keys."""
    more = [kept_with(stored)] if with_keys else []
    use = noted(stored, state, was_pending=state == State.PENDING)
    return write(sa.select(stored.c.id).add_cte(use, *more), FIRST)


# One array a column, so that any number of files are the same prepared statement ...
_ROWS = rows_of(_c)
_INSERT = _insertion(inserting(_ROWS))
_INSERT_KEPT = _insertion(inserting(_ROWS), with_keys=True)
# ... without what is known of no file that has not arrived, for the driver looks at each column;
# the table has the same for a default ...
_NOT_KNOWN: Final[dict[str, Any]] = {
    **dict.fromkeys(("detected_type", "reason", "etag", "version_id", "confirmed_at", "ended_at")),
    **dict.fromkeys(("claimed_until", "store_upload_id", "part_count", "announced_type")),
    **dict.fromkeys(("charset", "scan", "scan_reason", "scanned_at", "links_end_at")),
    **dict.fromkeys(("image", "archive")),
    **dict.fromkeys(("checksum_verified", "self_confirmed", "parts_verified"), False),
    "sealed": Seal.NO.value,
    "attachments": 0,
}
_KNOWN: Final = [name for name in File._fields if name not in _NOT_KNOWN]
_not_known: Final = itemgetter(*map(File._fields.index, _NOT_KNOWN))
_known: Final = itemgetter(*map(File._fields.index, _KNOWN))
_DEFAULTS: Final = tuple(_NOT_KNOWN.values())
_INSERT_NEW = _insertion(inserting(rows_of([_c[name] for name in _KNOWN])))
# ... and for one file without arrays, which the driver and the server handle faster.
_INSERT_ONE = _insertion(_stored(insert(files).values(arguments(files, _KNOWN))))


_BY_KEY: Final = attrgetter("bucket", "key")
_INSERT_CONFIRMED = _insertion(inserting(_ROWS), State.CONFIRMED)


async def insert_confirmed(db: asyncpg.Connection, rows: Sequence[File]) -> set[UUID]:
    """Store files that were never uploads, and return the ids of those that were stored; the
    others' keys are taken.
    """
    # In one order: of two who store the same objects none waits for the other, who waits for it.
    rows = sorted(rows, key=_BY_KEY)
    return set(await _INSERT_CONFIRMED.rows(db, **arrays(File._fields, rows)))


async def insert_files(
    db: asyncpg.Connection, rows: Sequence[File], kept: Sequence[IdempotencyKey] = ()
) -> set[UUID]:
    """Store the files, whatever their owners may have, and return the ids of those that were; the
    others' keys are taken.

    With them the idempotency keys of those that were stored. Raises RequestUnderWay, and then
    stores none.
    """
    if kept:
        with first_of_key():
            columns = arrays(File._fields, rows)
            return set(await _INSERT_KEPT.rows(db, **columns, **of_keys(kept)))
    if any(_not_known(row) != _DEFAULTS for row in rows):
        return set(await _INSERT.rows(db, **arrays(File._fields, rows)))
    if len(rows) == 1:
        # They have the statement's order: twenty names less to look up.
        sql, _ = await load_once(_INSERT_ONE.written, stays=False)
        return set(map(FIRST, await db.fetch(sql, *_known(rows[0]))))
    return set(await _INSERT_NEW.rows(db, **arrays(_KNOWN, map(_known, rows))))


_GET = write(sa.select(files).where(_c.id == sa.bindparam("id"), _VISIBLE), File._make)


async def get_file(db: asyncpg.Connection, file_id: UUID, caller: Principal) -> File | None:
    """The file, if the caller may act on it."""
    return await _GET.row(db, id=file_id, **visible_to(caller))


_GET_AGAIN = write(sa.select(files).where(_c.id == sa.bindparam("id")), File._make)


async def get_again(db: asyncpg.Connection, file: File) -> File | None:
    """The row as it is now, of a file that the caller has been given already."""
    return await _GET_AGAIN.row(db, id=file.id)


_LOCK_CONFIRMED = write(
    sa.select(files)
    .where(_c.id == sa.bindparam("id"), _VISIBLE, in_state(State.CONFIRMED))
    .with_for_update(),
    File._make,
)
# No column says when a file was changed.
_CHANGE = telling_of_file(
    sa.update(files)
    .where(_c.id == sa.bindparam("file_id"))
    .values(**arguments(files, ["filename", "metadata"])),
    EventType.FILE_CHANGED,
    moment="now()",
)


async def lock_confirmed(db: asyncpg.Connection, file_id: UUID, caller: Principal) -> File | None:
    """The confirmed file, if the caller may act on it, unchanged until the transaction ends."""
    return await _LOCK_CONFIRMED.row(db, id=file_id, **visible_to(caller))


async def change_file(db: asyncpg.Connection, file: File) -> None:
    """Store the name and the metadata of a file that is locked, and tell of it."""
    await _CHANGE.row(db, file_id=file.id, filename=file.filename, metadata=file.metadata)


_GET_BY_KEY = write(
    sa.select(files).where(
        _c.bucket == sa.bindparam("bucket"), _c.key == sa.bindparam("key"), _VISIBLE
    ),
    File._make,
)


async def get_file_by_key(
    db: asyncpg.Connection, bucket: str, key: str, caller: Principal
) -> File | None:
    return await _GET_BY_KEY.row(db, bucket=bucket, key=key, **visible_to(caller))


_READABLE: Final = [_c[name] for name in Readable._fields]


# As a subquery: PostgreSQL plans anew for each array that it knows, for longer than it then reads.
_ids = sa.select(sa.bindparam("ids", type_=ARRAY(sa.Uuid()))).scalar_subquery()
_BY_ID = sa.and_(
    _c.id == sa.func.any(sa.cast(_ids, ARRAY(sa.Uuid()))),
    in_state(State.CONFIRMED),
)
_CONFIRMED_BY_ID = write(sa.select(files).where(_BY_ID, _VISIBLE), File._make)
_READABLE_BY_ID = write(sa.select(*_READABLE).where(_BY_ID, _VISIBLE), Readable._make)
_ANYBODYS_BY_ID = write(sa.select(*_READABLE).where(_BY_ID), Readable._make)


async def confirmed_by_id(
    db: asyncpg.Connection, ids: Sequence[UUID], caller: Principal
) -> list[File]:
    """Those of the files that are confirmed and the caller's to see, in no order."""
    found: list[File] = []
    for some in _portions(ids, _FILES_AT_ONCE):
        found += await _CONFIRMED_BY_ID.rows(db, ids=some, **visible_to(caller))
    return found


async def readable_by_id(
    db: asyncpg.Connection, ids: Sequence[UUID], caller: Principal | None
) -> list[Readable]:
    """Those of the files that are confirmed and the caller's to see, in no order; without a caller
    anybody's, for those who hold grants to read them.

    A third of the columns, for it may be a thousand files.
    """
    if caller is None:
        return await _ANYBODYS_BY_ID.rows(db, ids=list(ids))
    found: list[Readable] = []
    for some in _portions(ids, _READABLE_AT_ONCE):
        found += await _READABLE_BY_ID.rows(db, ids=some, **visible_to(caller))
    return found


def _portions(named: Iterable[_Name], size: int) -> Iterator[list[_Name]]:
    """Yields each name once, in lists of that size: other requests have their turns between."""
    names = list(dict.fromkeys(named))
    return (names[start : start + size] for start in range(0, len(names), size))


# What makes two files the same, beside their owner.
SAME_BYTES_COLUMNS: Final = ("destination", "checksum_sha256", "size", "content_type")
_WANTED_BYTES = sa.select(
    *(array(f"{name}s", _c[name].type).label(name) for name in SAME_BYTES_COLUMNS)
).subquery("like")
_CONFIRMED_BY_CHECKSUM = write(
    sa.select(files)
    .join(
        _WANTED_BYTES, sa.and_(*(_c[name] == _WANTED_BYTES.c[name] for name in SAME_BYTES_COLUMNS))
    )
    .where(
        _c.tenant == sa.bindparam("tenant"),
        _c.owner == sa.bindparam("owner"),
        or_any(_c.session_id),
        in_state(State.CONFIRMED),
        _c.checksum_verified,
    )
    .ext(distinct_on(*(_c[name] for name in SAME_BYTES_COLUMNS)))
    .order_by(*(_c[name] for name in SAME_BYTES_COLUMNS), _c.id.desc()),
    File._make,
)


async def confirmed_by_checksum(db: asyncpg.Connection, like: Sequence[File]) -> list[File]:
    """The owner's newest file for each with the same size, type and verified SHA-256 there.

    All of them are of one owner. In an upload session, of that session: knowing a hash does not
    let one read the file.
    """
    wanted = {f"{name}s": [getattr(file, name) for file in like] for name in SAME_BYTES_COLUMNS}
    return await _CONFIRMED_BY_CHECKSUM.rows(db, **like[0]._asdict(), **wanted)


_WANTED = sa.select(
    array("buckets", sa.Text()).label("bucket"), array("keys", sa.Text()).label("key")
).subquery("wanted")
_READABLE_BY_KEY = write(
    sa.select(*_READABLE)
    .join(_WANTED, sa.and_(_c.bucket == _WANTED.c.bucket, _c.key == _WANTED.c.key))
    .where(_VISIBLE, in_state(State.CONFIRMED)),
    Readable._make,
)


async def readable_by_key(
    db: asyncpg.Connection, names: Iterable[tuple[str, str]], caller: Principal
) -> list[Readable]:
    """Those of the (bucket, key) pairs that are confirmed and the caller's to see, in no order."""
    found: list[Readable] = []
    for some in _portions(names, _READABLE_AT_ONCE):
        buckets, keys = zip(*some, strict=True)
        found += await _READABLE_BY_KEY.rows(db, buckets=buckets, keys=keys, **visible_to(caller))
    return found


LOOSE: Final = _c.attachments == sa.literal_column("0")


_REVISION = write(sa.select(sa.column("version_num")).select_from(sa.table("alembic_version")))


async def schema_revision(db: asyncpg.Connection) -> str | None:
    """The migration that the tables were brought to last."""
    found: str | None = await _REVISION.value(db)
    return found


_CONNECTION_LIMIT = write(
    sa.text("""
SELECT least(
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
  (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
  (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
)
""")
)


async def connection_limit(db: asyncpg.Connection) -> int:
    """How many connections our user may have to this database at once."""
    limit: int = await _CONNECTION_LIMIT.value(db)
    return limit
