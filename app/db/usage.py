"""The SQL of uses and quotas, as functions of a connection: fold, read, count, compare.

A level (of owners, of tenants) is kept from the moment on at which it has a row in `usage_levels`:
every statement that stores or moves a file notes what it changes then (`app.db.usage_changes`). So
what was there at one moment, as one snapshot shows it, and the changes that this snapshot does not
show are together what there is, whoever moves files meanwhile.
"""

# ruff: noqa: S608 - SQL is put together from names of columns and states alone

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import asyncpg
import sqlalchemy as sa

from app.db.statements import FIRST, write
from app.errors import DatabaseUnavailable
from app.models.files import File, State
from app.models.usage import Level, Quota, Usage, UsageLevel, quotas, usage_levels
from app.settings.quotas import QuotaSettings

# Tenant and owner, as in the tables of usage.
Key = tuple[str, str]

_COUNTS: Final = Usage._fields[2:]
_LIMITS: Final = Quota._fields[2:]
# Seconds that a look at all files may take.
_LONG: Final = 6 * 3600.0


class KeyUsage(NamedTuple):
    """The use of a key, and its own limits (None: those of the settings)."""

    usage: Usage
    quota: Quota


def _key_usage(row: Any) -> KeyUsage:
    usage = Usage._make(row[: len(Usage._fields)])
    return KeyUsage(usage, Quota(usage.tenant, usage.owner, *row[len(Usage._fields) :]))


# In the order in which announcements take them: owners, then tenants.
_ORDER: Final = "ORDER BY k.owner = '', k.tenant, k.owner"
_LOCK: Final = write(
    sa.text(f"""
INSERT INTO usage AS u (tenant, owner, files, bytes, pending, reserved)
SELECT k.tenant, k.owner, 0, 0, 0, 0
FROM unnest(CAST(:tenants AS text[]), CAST(:owners AS text[])) AS k (tenant, owner)
JOIN usage_levels AS l ON l.counted AND (l.level = '{Level.OWNER}') = (k.owner != '')
{_ORDER}
ON CONFLICT (tenant, owner) DO UPDATE SET files = u.files
""")
)
_sums: Final = ", ".join(f"CAST(sum({name}) AS bigint) AS {name}" for name in _COUNTS)
# A statement of its own: it sees all that was committed before the rows were locked.
_FOLD: Final = write(
    sa.text(f"""
WITH keys AS (
    SELECT tenant, owner
    FROM unnest(CAST(:tenants AS text[]), CAST(:owners AS text[])) AS k (tenant, owner)
), gone AS (
    DELETE FROM usage_changes AS c USING keys AS k
    WHERE c.tenant = k.tenant AND c.owner = k.owner
    RETURNING c.*
), sums AS (
    SELECT tenant, owner, {_sums} FROM gone GROUP BY tenant, owner
)
UPDATE usage AS u
SET {", ".join(f"{name} = u.{name} + coalesce(s.{name}, 0)" for name in _COUNTS)}
FROM keys AS k
    LEFT JOIN sums AS s ON s.tenant = k.tenant AND s.owner = k.owner
    LEFT JOIN quotas AS q ON q.tenant = k.tenant AND q.owner = k.owner
WHERE u.tenant = k.tenant AND u.owner = k.owner
RETURNING u.tenant, u.owner, {", ".join(f"u.{name}" for name in _COUNTS)},
    {", ".join(f"q.{name}" for name in _LIMITS)}
"""),
    _key_usage,
)


async def lock_usage(db: asyncpg.Connection, keys: Iterable[Key]) -> dict[Key, KeyUsage]:
    """In a transaction: the use of those of these keys whose level is counted, all changes being
    folded in; to its end nobody takes more.
    """
    # First of all, as who stores files does: another deployment, which drops the level, has nobody
    # write files before it deletes these rows.
    await db.execute("LOCK TABLE files IN ROW EXCLUSIVE MODE")
    wanted = list(set(keys))
    values = {"tenants": [key[0] for key in wanted], "owners": [key[1] for key in wanted]}
    await _LOCK.run(db, **values)
    found = await _FOLD.rows(db, **values)
    return {(row.usage.tenant, row.usage.owner): row for row in found}


@asynccontextmanager
async def adding(
    db: asyncpg.Connection, files: Iterable[File], quota: QuotaSettings
) -> AsyncIterator[None]:
    """In a transaction: these become files meanwhile, whatever the limits say, and are counted at
    once. For announcements look at `usage` alone, which must never say less than is used.
    """
    keys = {key for f in files for key in ((f.tenant, f.owner), (f.tenant, ""))} if quota else set()
    if keys:
        # First of all, as announcements do, which may then wait for a key that is taken here.
        await lock_usage(db, keys)
    yield
    if keys:
        await lock_usage(db, keys)


_CHANGED: Final = write(
    sa.text(f"""
SELECT DISTINCT c.tenant, c.owner FROM usage_changes AS c
JOIN usage_levels AS l ON l.counted AND (l.level = '{Level.OWNER}') = (c.owner != '')
""")
)


async def changed_keys(db: asyncpg.Connection) -> list[Key]:
    """The keys that have changes to fold in, at levels that are counted."""
    return [(tenant, owner) for tenant, owner in await _CHANGED.rows(db)]


_READ: Final = write(
    sa.text(f"""
SELECT k.tenant, k.owner, {
        ", ".join(
            f"coalesce(u.{name}, 0) + CAST(coalesce(c.{name}, 0) AS bigint)" for name in _COUNTS
        )
    }, {", ".join(f"q.{name}" for name in _LIMITS)}
FROM unnest(CAST(:tenants AS text[]), CAST(:owners AS text[])) AS k (tenant, owner)
LEFT JOIN usage AS u ON u.tenant = k.tenant AND u.owner = k.owner
LEFT JOIN quotas AS q ON q.tenant = k.tenant AND q.owner = k.owner
LEFT JOIN LATERAL (
    SELECT {_sums} FROM usage_changes AS c WHERE c.tenant = k.tenant AND c.owner = k.owner
) AS c ON true
"""),
    _key_usage,
)


async def read_usage(db: asyncpg.Connection, keys: Sequence[Key]) -> dict[Key, KeyUsage]:
    """The use of these keys at this moment, nothing being locked."""
    found = await _READ.rows(db, tenants=[key[0] for key in keys], owners=[key[1] for key in keys])
    return {(row.usage.tenant, row.usage.owner): row for row in found}


_LEVELS: Final = write(sa.select(usage_levels), UsageLevel._make)


async def read_levels(db: asyncpg.Connection) -> dict[Level, bool]:
    """The levels that are kept, and whether they are counted."""
    return {Level(row.level): row.counted for row in await _LEVELS.rows(db)}


@asynccontextmanager
async def _nobody_writing(db: asyncpg.Connection) -> AsyncIterator[None]:
    """In a transaction, to its end: nobody writes files, and what is written later sees it all.

    Raises DatabaseUnavailable where somebody writes for longer than two seconds.
    """
    try:
        await db.execute("SET LOCAL lock_timeout = '2s'")
        await db.execute("LOCK TABLE files IN SHARE MODE")
        yield
    except asyncpg.LockNotAvailableError as error:
        raise DatabaseUnavailable(
            "Files are being written for longer than this can wait.", retry_after=60
        ) from error


async def keep_level(db: asyncpg.Connection, level: Level) -> None:
    """In a transaction: have changes noted at the level from now on. Raises DatabaseUnavailable."""
    async with _nobody_writing(db):
        await db.execute(
            "INSERT INTO usage_levels (level) VALUES ($1) ON CONFLICT DO NOTHING", level.value
        )


# Of the rows of files, what each state stands for. What is being removed is there until it is gone,
# but for the rejected, whose reservation was given back before.
_IS_FILE: Final = (
    f"(state = '{State.CONFIRMED}' OR state = '{State.REMOVING}' AND confirmed_at IS NOT NULL)"
)
_IS_PENDING: Final = (
    f"(state IN ('{State.PENDING}', '{State.COMPLETING}') OR state = '{State.REMOVING}' "
    "AND confirmed_at IS NULL AND reason IS NULL)"
)
_COUNTED: Final = {
    level: f"""
    SELECT tenant, {"owner" if level is Level.OWNER else "'' AS owner"},
        count(*) FILTER (WHERE {_IS_FILE}) AS files,
        CAST(coalesce(sum(size) FILTER (WHERE {_IS_FILE}), 0) AS bigint) AS bytes,
        count(*) FILTER (WHERE {_IS_PENDING}) AS pending,
        CAST(coalesce(sum(coalesce(reserved, size, 0)) FILTER (WHERE {_IS_PENDING}), 0) AS bigint)
            AS reserved
    FROM files WHERE {_IS_FILE} OR {_IS_PENDING}
    GROUP BY tenant{", owner" if level is Level.OWNER else ""}"""
    for level in Level
}
_OF_LEVEL: Final = {Level.OWNER: "owner != ''", Level.TENANT: "owner = ''"}


_LOCK_LEVEL: Final = (
    "SELECT 1 FROM usage_levels WHERE level = $1 AND NOT counted FOR UPDATE SKIP LOCKED"
)


async def count_level(db: asyncpg.Connection, level: Level) -> bool:
    """In a transaction: store the sums of what is there; False where another is at it, or was.

    What a process has counted that ended before it could finish is counted anew.
    """
    if not await db.fetchval(_LOCK_LEVEL, level.value):
        return False
    await db.execute("SET LOCAL statement_timeout = 0")
    of_level = _OF_LEVEL[level]
    await db.execute(f"DELETE FROM usage WHERE {of_level}", timeout=_LONG)
    # One statement has one snapshot: the changes that it shows are in the sums that it finds.
    await db.execute(
        f"WITH counted AS (INSERT INTO usage {_COUNTED[level]}) "
        f"DELETE FROM usage_changes WHERE {of_level}",
        timeout=_LONG,
    )
    return True


async def finish_level(db: asyncpg.Connection, level: Level) -> bool:
    """In a transaction: fold in what has changed since it was counted, and have limits hold from
    now on; False where another is counting. Raises DatabaseUnavailable.
    """
    if not await db.fetchval(_LOCK_LEVEL, level.value):
        return False
    async with _nobody_writing(db):
        await db.execute(
            f"""
            WITH gone AS (DELETE FROM usage_changes WHERE {_OF_LEVEL[level]} RETURNING *),
            sums AS (SELECT tenant, owner, {_sums} FROM gone GROUP BY tenant, owner)
            INSERT INTO usage AS u SELECT tenant, owner, {", ".join(_COUNTS)} FROM sums
            ON CONFLICT (tenant, owner) DO UPDATE
                SET {", ".join(f"{name} = u.{name} + excluded.{name}" for name in _COUNTS)}
            """
        )
        await db.execute("UPDATE usage_levels SET counted = true WHERE level = $1", level.value)
    return True


async def drop_level(db: asyncpg.Connection, level: Level) -> None:
    """In a transaction: note nothing at the level any more, and forget what was noted; not the
    quotas of its keys. Raises DatabaseUnavailable.
    """
    async with _nobody_writing(db):
        await db.execute("DELETE FROM usage_levels WHERE level = $1", level.value)
    for table in ("usage", "usage_changes"):
        await db.execute(f"DELETE FROM {table} WHERE {_OF_LEVEL[level]}", timeout=_LONG)


class Difference(NamedTuple):
    """A key whose use is not the sum of its files: what is noted, and what the files come to."""

    tenant: str
    owner: str
    noted: dict[str, int]
    files: dict[str, int]


def _difference(row: Any) -> Difference:
    counts = len(_COUNTS)
    return Difference(
        row[0],
        row[1],
        dict(zip(_COUNTS, row[2 : 2 + counts], strict=True)),
        dict(zip(_COUNTS, row[2 + counts :], strict=True)),
    )


def _compare(level: Level) -> str:
    """The keys that differ, in one statement and so at one moment."""
    each = [f"coalesce(n.{name}, 0) AS noted_{name}" for name in _COUNTS]
    each += [f"coalesce(f.{name}, 0) AS files_{name}" for name in _COUNTS]
    return f"""
WITH counted AS ({_COUNTED[level]}),
noted AS (
    SELECT tenant, owner, {_sums} FROM (
        SELECT tenant, owner, {", ".join(_COUNTS)} FROM usage WHERE {_OF_LEVEL[level]}
        UNION ALL
        SELECT tenant, owner, {", ".join(_COUNTS)} FROM usage_changes WHERE {_OF_LEVEL[level]}
    ) AS both_tables GROUP BY tenant, owner
), different AS (
    SELECT coalesce(n.tenant, f.tenant) AS tenant, coalesce(n.owner, f.owner) AS owner,
        {", ".join(each)}
    FROM noted AS n FULL JOIN counted AS f ON f.tenant = n.tenant AND f.owner = n.owner
    WHERE ({", ".join(f"coalesce(n.{name}, 0)" for name in _COUNTS)})
        != ({", ".join(f"coalesce(f.{name}, 0)" for name in _COUNTS)})
)"""


_FIND: Final = "SELECT * FROM different ORDER BY tenant, owner"
_MEND: Final = f""", mended AS (
    INSERT INTO usage_changes (tenant, owner, {", ".join(_COUNTS)})
    SELECT tenant, owner, {", ".join(f"files_{name} - noted_{name}" for name in _COUNTS)}
    FROM different
) {_FIND}"""


async def compare_usage(
    db: asyncpg.Connection, level: Level, *, mend: bool = False
) -> list[Difference]:
    """The keys of a counted level whose use is not the sum of their files; with `mend` it becomes
    that, by one more change, whatever is moved meanwhile. The caller folds it in afterwards: nobody
    whose use is compared waits meanwhile, though it may take hours.
    """
    query = _compare(level) + (_MEND if mend else _FIND)
    async with db.transaction():
        await db.execute("SET LOCAL statement_timeout = 0")
        return [_difference(row) for row in await db.fetch(query, timeout=_LONG)]


_SET_QUOTA: Final = write(
    sa.text(f"""
INSERT INTO quotas (tenant, owner, {", ".join(_LIMITS)})
VALUES (:tenant, :owner, {", ".join(f"CAST(:{name} AS bigint)" for name in _LIMITS)})
ON CONFLICT (tenant, owner) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _LIMITS)}
""")
)
_DELETE_QUOTA: Final = write(
    sa.delete(quotas)
    .where(quotas.c.tenant == sa.bindparam("tenant"), quotas.c.owner == sa.bindparam("owner"))
    .returning(quotas.c.tenant),
    FIRST,
)
_after = sa.bindparam("after", type_=sa.Text())
_LIST_QUOTAS: Final = write(
    sa.select(quotas)
    .where(
        quotas.c.tenant == sa.bindparam("tenant"),
        sa.or_(_after.is_(None), quotas.c.owner > _after),
    )
    .order_by(quotas.c.owner)
    .limit(sa.bindparam("limit", type_=sa.Integer())),
    Quota._make,
)


async def set_quota(db: asyncpg.Connection, quota: Quota) -> None:
    """Give the key limits of its own, instead of any before."""
    await _SET_QUOTA.run(db, **quota._asdict())


async def delete_quota(db: asyncpg.Connection, tenant: str, owner: str) -> bool:
    """Have the settings' limits hold for the key again; False where they did."""
    return await _DELETE_QUOTA.value(db, tenant=tenant, owner=owner) is not None


async def list_quotas(
    db: asyncpg.Connection, tenant: str, after: str | None, limit: int
) -> list[Quota]:
    """Limits of the tenant and its owners, in order, behind this one; None: from the first."""
    return await _LIST_QUOTAS.rows(db, tenant=tenant, after=after, limit=limit)
