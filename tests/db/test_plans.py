"""How PostgreSQL finds what lists and searches ask for, on tables of many files."""

import itertools
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from app.core.narrowing import Narrowing
from app.core.principal import Principal, Scope
from app.db import lists as db_lists
from app.db import search as db_search
from app.db.search import Order, Position, Search
from app.models.files import State
from tests.support.plans import Plan, Planning, dearest

ALL: Final = frozenset({Scope.FILES_ALL})
PAGE: Final = 51
# One file in ten is of another tenant or pending, one in 21 of another destination and type; a
# tenth of the tenant's is of owner 7.
_FILL: Final = """
INSERT INTO files (id, owner, tenant, destination, bucket, key, url, filename, content_type, size,
  method, state, created_at, expires_at, attachments)
SELECT (lpad(to_hex(1780000000000 + n * 997), 12, '0') || '7' || substr(md5(n::text), 1, 3)
    || '8' || substr(md5(n::text), 4, 15))::uuid,
  'owner ' || n % 10, CASE WHEN n % 10 = 9 THEN 'acme' ELSE $2 END,
  CASE WHEN n % 21 = 0 THEN 'docs' ELSE 'images' END, 'bkt', 'key ' || n, 'u',
  'Holiday ' || n || '.png', CASE WHEN n % 21 = 0 THEN 'text/plain' ELSE 'image/png' END, n % 997,
  'post',
  CASE WHEN n % 11 = 10 THEN 'pending' ELSE 'confirmed' END, now(), now(), (n % 7 = 0)::int
FROM generate_series(1, $1::int) AS n
"""
DESTINATIONS: Final = (None, "images", "docs")
TYPES: Final = (None, "image/png", "image/*", "text/plain")


async def fill(db: asyncpg.Connection, count: int, tenant: str) -> None:
    await db.execute(_FILL, count, tenant, timeout=600)
    await db.execute("VACUUM ANALYZE files", timeout=600)


async def middle(db: asyncpg.Connection) -> Position:
    """A file in the middle of the table."""
    row = await db.fetchrow(
        "SELECT id, size FROM files WHERE state = 'confirmed' "
        "ORDER BY id OFFSET (SELECT count(*) / 2 FROM files WHERE state = 'confirmed') LIMIT 1"
    )
    return Position(UUID(str(row["id"])), row["size"])


async def list_plans(db: asyncpg.Connection, tenant: str) -> list[Plan]:
    """Those of every list, with and without each narrowing."""
    planning, half = Planning(db), (await middle(db)).id
    bounds = ((None, None), (half, None), (None, half), (UUID(int=half.int - (1 << 92)), half))
    for whose, scopes, destination, kind, loose, (first, end) in itertools.product(
        (tenant, "acme", "nosuch"), (frozenset(), ALL), DESTINATIONS, TYPES, (False, True), bounds
    ):
        caller = Principal("owner 7", whose, scopes)
        narrowing = Narrowing(destination, kind, first, end, loose)
        planning.what = f"{caller} {narrowing}"
        await db_lists.list_files(planning, caller, narrowing, PAGE)
    return planning.plans


async def search_plans(db: asyncpg.Connection, tenant: str) -> dict[str, list[Plan]]:
    """Those of every search, of the ends of walks and of counts, by what they are for."""
    planning = {name: Planning(db) for name in ("pages", "walks", "ends", "counts", "named")}
    at = await middle(db)
    places = (None, at, Position(at.id, at.size, before=True))
    for whose, owner, destination, kind, loose, q, order, state, end, place in itertools.product(
        *((tenant, "nosuch"), (None, "owner 7"), (None, "docs"), (None, "image/png", "image/*")),
        *((False, True), ("", "nosuch"), (Order.NEWEST, Order.LARGEST)),
        *((State.CONFIRMED, State.PENDING), (None, at.id), places),
    ):
        if q and (state is State.CONFIRMED or order is not Order.NEWEST):
            continue
        search = Search(destination, kind, None, end, loose, state, owner, order, q=q)
        is_walk = bool(db_search._shape(search).unindexed)
        for one in planning.values():
            one.what = f"{whose!r} {search} {place}"
        page = planning["walks" if is_walk else "pages"]
        await db_search.page(page, whose, search, place, PAGE)
        await db_search.end_of_walk(planning["ends"], whose, search, place)
        if place is None:
            await db_search.count(planning["counts"], whose, search)
    for whose in (tenant, "nosuch"):
        planning["named"].what = repr(whose)
        await db_search.of_ids(planning["named"], whose, at.id.hex[:8], PAGE)
        for prefix in ("key ", "key 1999", "nosuch"):
            await db_search.of_keys(planning["named"], whose, ["bkt"], prefix, PAGE)
    return {name: one.plans for name, one in planning.items()}


@pytest.mark.parametrize("analyzed", [True, False], ids=["analyzed", "before the first ANALYZE"])
async def test_lists_are_walked_and_never_sorted(db: asyncpg.Connection, analyzed: bool) -> None:
    await db.execute("DELETE FROM pg_statistic WHERE starelid = 'files'::regclass")
    await db.execute(_FILL, 5000, "")
    if analyzed:
        await db.execute("ANALYZE files")
    planning, half = Planning(db), (await middle(db)).id
    for scopes, destination, kind, loose, end in itertools.product(
        (frozenset(), ALL),
        (None, "docs"),
        (None, "image/png", "image/*"),
        (False, True),
        (None, half),
    ):
        narrowing = Narrowing(destination, kind, None, end, loose)
        planning.what = f"{scopes} {narrowing}"
        await db_lists.list_files(planning, Principal("owner 7", "", scopes), narrowing, PAGE)
    assert [plan for plan in planning.plans if plan.sorted_rows] == []
    assert dearest(planning.plans).buffers <= 2 * PAGE + 20


@pytest.mark.slow
@pytest.mark.parametrize("tenant", ["", "wide"])
async def test_what_lists_and_searches_cost_on_a_large_table(
    db: asyncpg.Connection, tenant: str
) -> None:
    """Never more than 200 buffers a page, and no sort of what a page is looked for in.

    A search that asks more than its index knows looks at WALK files at most.
    """
    await fill(db, 200_000, tenant)
    lists, searches = await list_plans(db, tenant), await search_plans(db, tenant)
    for name, plans in {"lists": lists, **searches}.items():
        print(f"{name}: {len(plans)} plans, at most {dearest(plans).buffers} buffers")  # noqa: T201
    assert [plan for plan in lists if plan.sorted_rows or plan.buffers > 200] == []
    assert [plan for plan in searches["pages"] if plan.buffers > 200] == []
    everything = itertools.chain(*searches.values())
    assert [plan for plan in everything if max(plan.sorted_rows, default=0) > 1000] == []
    looked_at = db_search.WALK * 1.1
    assert dearest([*searches["walks"], *searches["ends"]]).buffers <= looked_at
    assert dearest(searches["counts"]).buffers <= looked_at
    # A beginning of an id or of a key is asked of 500 files at most, whosever they are.
    assert dearest(searches["named"]).buffers <= 600
