"""Announcements under limits: the statement that stores files reserves what they may come to.

Whoever stores a file takes its place in the rows of `usage`, of its owner and of its tenant, which
are locked in one order: owners by tenant and owner, then tenants. Of a key without room nothing is
reserved and nothing stored. These rows may say more than is used, never less: what has ended since
is in `usage_changes`. So a refusal is a reason to fold them in and look again (`app.db.usage`).
"""

# ruff: noqa: S608 - it is put together from names of columns alone

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

from app.db.idempotency import first_of_key, of_keys
from app.db.statements import ROW_COUNT, Statement, arrays, write
from app.db.usage import Key, KeyUsage, lock_usage
from app.errors import QuotaExceeded
from app.models.files import File, files
from app.models.idempotency import IdempotencyKey, idempotency_keys
from app.models.usage import Level, Quota
from app.settings.quotas import Limits, QuotaSettings

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
_LIMITS: Final = Quota._fields[2:]


class Reserved(NamedTuple):
    """Ids of the files that were stored, and the keys that have no room for theirs."""

    stored: set[UUID]
    full: set[Key]


def _kinds(table: sa.Table, names: Sequence[str]) -> dict[str, str]:
    return {name: table.c[name].type.compile(_DIALECT).split(" COLLATE")[0] for name in names}


def _arrays(table: sa.Table, names: Sequence[str], prefix: str = "") -> str:
    """Rows of these columns of a table, as `rows_of` has them."""
    each = ", ".join(
        f"unnest(CASE cardinality({name}) WHEN 1 THEN array_fill({name}[1], ARRAY[{ROW_COUNT}]) "
        f"ELSE {name} END) AS {name}"
        for name in names
    )
    kinds = {name: f"{kind}[]" for name, kind in _kinds(table, names).items()}
    kinds[ROW_COUNT] = "integer"
    given = ", ".join(f"CAST(:{prefix}{name} AS {kind}) AS {name}" for name, kind in kinds.items())
    return f"{each} FROM (SELECT {given} OFFSET 0) AS given"


def _values(table: sa.Table, names: Sequence[str]) -> str:
    """One row of these columns, which driver and server handle faster without arrays."""
    return ", ".join(
        f"CAST(:{name} AS {kind}) AS {name}" for name, kind in _kinds(table, names).items()
    )


def _fits(level: Level, row: str, files: str, size: str, pending: str, reserved: str) -> str:
    """Whether a key has room for so much: by its own limits, else by the level's."""
    limit = {name: f"coalesce(q.{name}, CAST(:{level}_{name} AS bigint))" for name in _LIMITS}
    return f"""(
        SELECT coalesce({size} + {reserved} <= {limit["bytes"]}, true)
            AND coalesce({files} + {pending} <= {limit["files"]}, true)
            AND coalesce({pending} <= {limit["pending"]}, true)
        FROM (SELECT) AS one LEFT JOIN quotas AS q
            ON q.tenant = {row}.tenant AND q.owner = {row}.owner)"""


def _taking(level: Level, wanted: str) -> str:
    """Reserve what is wanted of each key that has room for all of it."""
    fits = _fits(
        level,
        "u",
        "u.files",
        "u.bytes",
        "u.pending + excluded.pending",
        "u.reserved + excluded.reserved",
    )
    return f"""
    INSERT INTO usage AS u (tenant, owner, files, bytes, pending, reserved)
    SELECT w.tenant, w.owner, 0, 0, w.pending, w.reserved
    FROM {wanted} AS w JOIN usage_levels AS l ON l.level = '{level}' AND l.counted
    WHERE {_fits(level, "w", "0", "0", "w.pending", "w.reserved")}
    ORDER BY w.tenant, w.owner
    ON CONFLICT (tenant, owner) DO UPDATE
        SET pending = u.pending + excluded.pending, reserved = u.reserved + excluded.reserved
        WHERE {fits}
    RETURNING u.tenant, u.owner"""


def _without(level: Level, wanted: str, taken: str) -> str:
    """The keys that had no room."""
    return f"""
    SELECT w.tenant, w.owner
    FROM {wanted} AS w JOIN usage_levels AS l ON l.level = '{level}' AND l.counted
    WHERE NOT EXISTS (
        SELECT FROM {taken} AS t WHERE t.tenant = w.tenant AND t.owner = w.owner)"""


_NAMES: Final = ", ".join(File._fields)
_KEY_NAMES: Final = IdempotencyKey._fields
_KEPT: Final = f"""kept AS (
    INSERT INTO idempotency_keys ({", ".join(_KEY_NAMES)})
    SELECT {", ".join(f"k.{name}" for name in _KEY_NAMES)}
    FROM (SELECT {_arrays(idempotency_keys, _KEY_NAMES, "of_key_")}) AS k
    JOIN stored ON stored.id = k.made_id
    ORDER BY k.key_hash, k.number
)"""


@cache
def _reserving(
    levels: tuple[Level, ...], *, one: bool, with_keys: bool
) -> Statement[tuple[Any, ...]]:
    """Store files, or one, under the limits of these levels.

    What was reserved and not stored, as a key was taken or the tenant had no room, is given back by
    a row of `usage_changes`; so is noted what is stored at a level that limits nothing yet.
    """
    taken = {
        Level.OWNER: ("wanted", "of_owners"),
        Level.TENANT: ("of_tenants_wanted", "of_tenants"),
    }
    parts = [
        f"rows AS (SELECT {_values(files, File._fields) if one else _arrays(files, File._fields)})",
        """wanted AS (
    SELECT tenant, owner, count(*) AS pending,
        CAST(sum(coalesce(reserved, size, 0)) AS bigint) AS reserved
    FROM rows GROUP BY tenant, owner
)""",
    ]
    full: list[str] = []
    for level in levels:
        wanted, of_level = taken[level]
        if level is Level.TENANT:
            had_room = " AND ".join(
                f"NOT EXISTS (SELECT FROM {name} AS f "
                "WHERE f.tenant = w.tenant AND f.owner = w.owner)"
                for name in full
            )
            parts.append(f"""{wanted} AS (
    SELECT tenant, CAST('' AS text) AS owner, CAST(sum(pending) AS bigint) AS pending,
        CAST(sum(reserved) AS bigint) AS reserved
    FROM wanted AS w WHERE {had_room or "true"} GROUP BY tenant
)""")
        parts.append(f"{of_level} AS ({_taking(level, wanted)})")
        parts.append(f"full_{of_level} AS ({_without(level, wanted, of_level)})")
        full.append(f"full_{of_level}")
    full_keys = " UNION ALL ".join(f"SELECT tenant, owner FROM {name}" for name in full)
    given_back = "".join(
        f"""
        UNION ALL SELECT tenant, owner, -w.pending, -w.reserved
        FROM {taken[level][0]} AS w JOIN {taken[level][1]} USING (tenant, owner)"""
        for level in levels
    )
    parts.append(f"""full_keys AS ({full_keys}),
stored AS (
    INSERT INTO files ({_NAMES}) SELECT {_NAMES} FROM rows AS r
    WHERE NOT EXISTS (
        SELECT FROM full_keys AS f WHERE f.tenant = r.tenant AND f.owner IN (r.owner, ''))
    ON CONFLICT (bucket, key) DO NOTHING
    RETURNING id, tenant, owner, size, reserved
), noted AS (
    INSERT INTO usage_changes (tenant, owner, files, bytes, pending, reserved)
    SELECT tenant, owner, 0, 0, sum(pending), sum(reserved) FROM (
        SELECT s.tenant, CASE l.level WHEN '{Level.OWNER}' THEN s.owner ELSE '' END AS owner,
            1 AS pending, coalesce(s.reserved, s.size, 0) AS reserved
        FROM stored AS s CROSS JOIN usage_levels AS l{given_back}
    ) AS each
    GROUP BY tenant, owner HAVING sum(pending) != 0 OR sum(reserved) != 0
)""")
    if with_keys:
        parts.append(_KEPT)
    return write(
        sa.text(f"""
WITH {", ".join(parts)}
SELECT id, NULL AS tenant, NULL AS owner FROM stored
UNION ALL SELECT NULL, tenant, owner FROM full_keys
""")
    )


async def reserve_files(
    db: asyncpg.Connection,
    rows: Sequence[File],
    kept: Sequence[IdempotencyKey],
    quota: QuotaSettings,
) -> Reserved:
    """Store the files of owners and tenants who have room for all of theirs among these.

    Of stored files the idempotency keys are kept. A file that is neither stored nor of a key
    without room has a key that is taken. Raises RequestUnderWay, and then stores none.
    """
    levels = tuple(level for level in Level if getattr(quota, level))
    limits = {
        f"{level}_{name}": getattr(getattr(quota, level), name)
        for level in levels
        for name in _LIMITS
    }
    one = len(rows) == 1
    columns = rows[0]._asdict() if one else arrays(File._fields, rows)
    statement = _reserving(levels, one=one, with_keys=bool(kept))
    with first_of_key():
        found = await statement.rows(db, **columns, **limits, **(of_keys(kept) if kept else {}))
    return Reserved(
        {file_id for file_id, _, _ in found if file_id is not None},
        {(tenant, owner) for file_id, tenant, owner in found if file_id is None},
    )


async def reserve_for_one(
    db: asyncpg.Connection,
    rows: Sequence[File],
    kept: Sequence[IdempotencyKey],
    quota: QuotaSettings,
) -> set[UUID]:
    """In a transaction: store one owner's files, all of them but for those whose key is taken.

    Returns the ids of those that were stored. Raises QuotaExceeded and RequestUnderWay.
    """
    found = await reserve_files(db, rows, kept, quota)
    if found.full:
        [problem] = await find_room(db, [rows], quota)
        if problem is not None:
            raise problem
        found = await reserve_files(db, rows, kept, quota)
    return found.stored


async def find_room(
    db: asyncpg.Connection, requests: Sequence[Sequence[File]], quota: QuotaSettings
) -> list[QuotaExceeded | None]:
    """In a transaction: which requests, each of one owner, have room if those before them that have
    it are stored; None: it has. What is used is exact, and locked to the transaction's end.
    """
    keys = {key for files in requests for key in _keys(files)}
    there = await lock_usage(db, keys)
    return [_take(there, files, quota) for files in requests]


def _keys(files: Sequence[File]) -> list[Key]:
    return [(files[0].tenant, files[0].owner), (files[0].tenant, "")]


def _take(
    there: dict[Key, KeyUsage], files: Sequence[File], quota: QuotaSettings
) -> QuotaExceeded | None:
    """Add the files to what is there, unless there is no room for them."""
    wanted = sum(_reserved(file) for file in files)
    keys = [key for key in _keys(files) if key in there]
    for key in keys:
        level = Level.OWNER if key[1] else Level.TENANT
        problem = exceeded(there[key], level, getattr(quota, level), len(files), wanted)
        if problem is not None:
            return problem
    for key in keys:
        used, own = there[key]
        more = used._replace(pending=used.pending + len(files), reserved=used.reserved + wanted)
        there[key] = KeyUsage(more, own)
    return None


def _reserved(file: File) -> int:
    return next(size for size in (file.reserved, file.size, 0) if size is not None)


_WHOSE: Final = {Level.OWNER: "You have", Level.TENANT: "Your tenant has"}


def exceeded(
    key: KeyUsage, level: Level, limits: Limits, files: int, size: int
) -> QuotaExceeded | None:
    """The problem of a key that has no room for so many more files of so many bytes together."""
    used = key.usage
    # What is used, reserved and wanted.
    sums = {
        "bytes": (used.bytes, used.reserved, size),
        "files": (used.files, used.pending, files),
        "pending": (0, used.pending, files),
    }
    for name, own in zip(_LIMITS, key.quota[2:], strict=True):
        limit = getattr(limits, name) if own is None else own
        has, reserved, wanted = sums[name]
        if limit is not None and has + reserved + wanted > limit:
            return QuotaExceeded(
                _words(level, name, has, reserved, wanted, limit),
                level=level.value,
                quota=name,
                used=has,
                reserved=reserved,
                limit=limit,
            )
    return None


def _words(level: Level, name: str, used: int, reserved: int, wanted: int, limit: int) -> str:
    whose = _WHOSE[level]
    if name == "pending":
        return (
            f"{whose} {reserved} of {limit} unfinished uploads, and this would be {wanted} more: "
            "confirm or cancel some first."
        )
    unit = " bytes" if name == "bytes" else ""
    return (
        f"{whose} {used}{unit} in files and {reserved} reserved for uploads, of {limit}"
        f"{unit or ' files'}; this would take {wanted} more: delete files, or cancel uploads."
    )
