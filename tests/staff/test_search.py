"""Looking through all files of a tenant: the same files as a plain filter finds, page by page."""

import itertools
import os
import random
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.ids import first_uuid7, uuid7
from app.core.principal import Principal, Scope
from app.core.record_field import FieldPath
from app.core.search_text import fold
from app.db import files as db_files
from app.db import search as db_search
from app.db.search import Order, Search
from app.files.finding import take_all_changes
from app.logs.log import Actor, current_actor
from app.models.files import File, State
from app.records.reading import uses_of
from app.records.writing import put_files
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from app.staff.search import Found, search_files, search_records
from tests.support.service import UNKNOWN_ID, Clock, prepared

NOW = datetime(2026, 3, 9, 14, 5, 6, 7, tzinfo=UTC)
STAFF = Principal("ann", "acme", frozenset({Scope.FILES_ALL}))
NAMES = ("Holiday 1.png", "holiday 2.png", "HOL.pdf", "été.txt", "Été 2.txt", "100%_a.txt", "z")


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res


def made(number: int, dice: random.Random, **values: Any) -> File:
    at = NOW + timedelta(seconds=number)
    state = dice.choice(["confirmed"] * 6 + ["pending", "rejected", "released"])
    row = (
        dict.fromkeys(File._fields)
        | File._field_defaults
        | {
            "id": uuid7(at, os.urandom(8)),
            "owner": dice.choice(["bob", "eve"]),
            "tenant": dice.choice(["acme"] * 5 + ["other"]),
            "destination": dice.choice(["images", "files"]),
            "bucket": "bkt",
            "key": f"images/{secrets.token_hex(8)}",
            "url": "https://s3.example.com/bkt/a",
            "filename": dice.choice(NAMES),
            "content_type": dice.choice(["image/png", "image/gif", "text/plain"]),
            "size": dice.choice([0, 5, 5, 7, 2**40]),
            "checksum_verified": False,
            "method": "post",
            "state": state,
            "created_at": at,
            "expires_at": at,
            "sealed": "no",
            "attachments": dice.choice([0, 1]),
            "self_confirmed": False,
        }
    )
    return File(**(row | values))


@pytest.fixture
async def files(res: Resources) -> list[File]:
    dice = random.Random(7)
    bucket = res.settings.destinations["files"].bucket
    rows = [made(number, dice, bucket=bucket) for number in range(300)]
    async with res.db.connection() as db:
        await db_files.insert_files(db, rows)
    return rows


def expected(files: list[File], search: Search) -> list[UUID]:
    kind = search.content_type or ""
    chosen = [
        file
        for file in files
        if file.tenant == STAFF.tenant
        and file.state == search.state
        and (
            all(word in fold(file.filename) for word in fold(search.q).split())
            or fold(search.q) in file.owner
        )
        and search.destination in {None, file.destination}
        and search.owner in {None, file.owner}
        and (
            file.content_type.startswith(kind.removesuffix("*"))
            if kind.endswith("/*")
            else kind in {"", file.content_type}
        )
        and (search.first or UUID(int=0)) <= file.id
        and (search.end is None or file.id < search.end)
        and not (search.loose and file.attachments)
    ]
    if search.by_size:
        chosen.sort(key=lambda file: (file.size, file.id), reverse=not search.goes_up)
    else:
        chosen.sort(key=lambda file: file.id, reverse=not search.goes_up)
    return [file.id for file in chosen]


def ids(found: Found) -> list[UUID]:
    return [file.id for file in found.files]


EARLY, MOMENT = (first_uuid7(NOW + timedelta(seconds=seconds)) for seconds in (20, 100))
SEARCHES = [
    Search(),
    Search(owner="bob"),
    Search(owner="bob", destination="files"),
    Search(owner="eve", destination="files", content_type="image/png"),
    Search(content_type="image/*"),
    Search(content_type="text/plain", loose=True),
    Search(destination="images", first=MOMENT),
    Search(end=MOMENT, content_type="image/*"),
    Search(order=Order.OLDEST, owner="bob"),
    Search(order=Order.LARGEST),
    Search(order=Order.SMALLEST, first=MOMENT),
    Search(order=Order.LARGEST, owner="eve", content_type="image/*", loose=True, end=MOMENT),
    Search(state=State.PENDING),
    Search(state=State.PENDING, order=Order.LARGEST),
    Search(state=State.PENDING, order=Order.OLDEST),
    Search(state=State.RELEASED, q="hol", owner="eve"),
    Search(state=State.REJECTED, destination="files", first=MOMENT),
]


@pytest.mark.parametrize("search", SEARCHES, ids=repr)
async def test_every_page_forth_and_back(res: Resources, files: list[File], search: Search) -> None:
    wanted = expected(files, search)
    seen: list[list[UUID]] = []
    page = await search_files(res, STAFF, search, limit=7)
    assert page.newer is None
    while True:
        seen.append(ids(page))
        assert (page.count, page.more, page.cut_short) == (len(wanted), False, False)
        if page.older is None:
            break
        page = await search_files(res, STAFF, search, after=page.older, limit=7)
    assert [one for found in seen for one in found] == wanted
    for found in reversed(seen[:-1]):
        assert page.newer is not None
        page = await search_files(res, STAFF, search, before=page.newer, limit=7)
        assert ids(page) == found
    assert page.newer is None


async def test_every_combination_of_the_filters(res: Resources, files: list[File]) -> None:
    for state, q, owner, destination, kind, loose, (first, end), order in itertools.product(
        *((State.CONFIRMED, State.PENDING), ("", "ol"), (None, "bob"), (None, "files")),
        *((None, "image/png", "image/*"), (False, True), ((None, None), (EARLY, MOMENT))),
        Order,
    ):
        if q and (state is State.CONFIRMED or order is not Order.NEWEST):
            continue
        search = Search(destination, kind, first, end, loose, state, owner, order, q=q)
        found = await search_files(res, STAFF, search, limit=300)
        assert ids(found) == expected(files, search), search
        assert found.count == len(found.files)


@pytest.mark.parametrize(
    "search",
    [
        Search(q="hOl"),
        Search(q="2 ol"),
        Search(q="bo"),
        Search(q="eve", content_type="image/*", first=EARLY),
        Search("images", owner="bob", loose=True, end=MOMENT, q="holiday"),
        Search(q="100%_"),
        Search(q="nosuch"),
    ],
    ids=repr,
)
async def test_names_and_owners_by_their_parts(
    res: Resources, files: list[File], search: Search
) -> None:
    """Before and after they are written into blocks; another tenant's are none of ours."""
    for _ in range(2):
        seen: list[UUID] = []
        page = await search_files(res, STAFF, search, limit=7)
        # They are counted where one page has them all.
        count = None if page.older else len(page.files)
        assert (page.newer, page.count, page.named) == (None, count, False)
        while True:
            seen += ids(page)
            assert page.more is (page.older is not None)
            if page.older is None:
                break
            page = await search_files(res, STAFF, search, after=page.older, limit=7)
        assert seen == expected(files, search)
        await take_all_changes(res)


async def test_ids_keys_and_requests_name_files_in_any_state(
    res: Resources, files: list[File]
) -> None:
    ours = [file for file in files if file.tenant == STAFF.tenant]
    stranger = next(file for file in files if file.tenant != STAFF.tenant)
    file = next(file for file in ours if file.state == State.RELEASED)

    async def named(q: str, **how: Any) -> list[UUID]:
        found = await search_files(res, STAFF, Search(q=q, **how), limit=50)
        assert found.named is bool(found.files)
        return ids(found)

    for q in (str(file.id), file.id.hex, f"/v1/files/{file.id}", str(file.id)[:23], file.key[:-1]):
        assert await named(q) == [file.id], q
        assert await named(q, destination="nosuch", state=State.PENDING) == [file.id], q
    assert await named(f"  /{file.key} ") == [file.id]
    to = res.settings.destinations["files"]
    assert await named(f"{to.stored_endpoint}/{file.bucket}/{file.key}") == [file.id]
    others = (str(stranger.id), stranger.id.hex[:20], stranger.key)
    for q in (*others, "/", "x" * 255, UNKNOWN_ID):
        assert await named(q) == [], q
    async with res.db.connection() as db:
        await db.execute(
            "INSERT INTO listeners (tenant, has_endpoints, purged) VALUES ('acme', true, 0)"
        )
        token = current_actor.set(Actor(request_id="a-request-of-ours"))
        await db_files.change_file(db, file._replace(filename="other"))
        current_actor.reset(token)
    assert await named("a-request-of-ours") == [file.id]
    assert await named("a-request-of-our") == []


async def test_a_sparse_search_goes_on_where_it_left_off(
    res: Resources, files: list[File], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of so many files that are looked at few may be what is wanted: then pages are short."""
    monkeypatch.setattr(db_search, "WALK", 6)
    for statement in ("_page_statement", "_count_statement", "_end_statement"):
        getattr(db_search, statement).cache_clear()
    for how in ({"state": State.RELEASED}, {"order": Order.SMALLEST}):
        search = Search(owner="eve", **how)
        wanted = expected(files, search)
        page = await search_files(res, STAFF, search, limit=50)
        assert page.cut_short
        assert page.more is not search.by_size
        assert page.count is not None
        assert (page.count == len(wanted)) is search.by_size
        seen, pages = ids(page), [page]
        while page.older is not None:
            page = await search_files(res, STAFF, search, after=page.older, limit=50)
            seen += ids(page)
            pages.append(page)
        assert seen == wanted
        assert len(pages) > 2
    for statement in ("_page_statement", "_count_statement", "_end_statement"):
        getattr(db_search, statement).cache_clear()


async def test_counting_ends(
    settings: Settings, files: list[File], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And where it has ended it does not begin again for a minute; few are always counted."""
    monkeypatch.setattr(db_search, "COUNTED", 10)
    monkeypatch.setattr("app.staff.search.COUNTED", 10)
    counted: list[Search] = []
    count = db_search.count

    async def noted(db: Any, tenant: str, search: Search) -> int:
        counted.append(search)
        return await count(db, tenant, search)

    monkeypatch.setattr(db_search, "count", noted)
    db_search._count_statement.cache_clear()
    clock, few = Clock(), Search(state=State.COMPLETING)
    async with open_resources(settings, clock=clock) as res:
        for search, said in ((Search(), (10, True)), (few, (0, False))):
            for _ in range(2):
                found = await search_files(res, STAFF, search, limit=5)
                assert (found.count, found.more) == said
        clock.ahead = timedelta(seconds=61)
        await search_files(res, STAFF, Search(), limit=5)
    db_search._count_statement.cache_clear()
    assert counted == [Search(), few, few, Search()]


async def test_a_place_that_is_gone_is_the_beginning(res: Resources, files: list[File]) -> None:
    first = await search_files(res, STAFF, Search(), limit=7)
    elsewhere = next(file for file in files if file.tenant == "other")
    for gone in (UUID(UNKNOWN_ID), elsewhere.id):
        assert await search_files(res, STAFF, Search(), after=gone, limit=7) == first


async def test_records_by_what_their_ids_begin_with(environ: dict[str, str]) -> None:
    """Page by page, forth and back; another tenant's are none of ours."""
    settings = await prepared(
        environ | {"CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images"}
    )
    names = sorted(["a", "a1", "a!", "a~", "b", *(f"n-{number}" for number in range(5))])
    async with open_resources(settings) as res:
        row = made(0, random.Random(7), tenant="acme", destination="images", state="confirmed")
        stranger = Principal("eve", "other", STAFF.scopes)
        async with res.db.connection() as db:
            await db_files.insert_files(db, [row])
        for name in names:
            await put_files(res, STAFF, FieldPath("product", name, "picture"), [row.id])
        uses = await uses_of(res, STAFF, row, 3)
        assert {(use.type, use.field) for use in uses} == {("product", "picture")}

        async def page(**where: Any) -> tuple[list[str], str | None, str | None]:
            found = await search_records(res, STAFF, "product", limit=4, **where)
            assert all(one.files["picture"][0].id == row.id for one in found.records)
            return [one.record.id for one in found.records], found.earlier, found.later

        assert await page() == (names[:4], None, names[3])
        assert await page(after=names[3]) == (names[4:8], names[4], names[7])
        assert await page(after=names[7]) == (names[8:], names[8], None)
        assert await page(before=names[8]) == (names[4:8], names[4], names[7])
        assert await page(before=names[4]) == (names[:4], None, names[3])
        assert await page(prefix="a") == (["a", "a!", "a1", "a~"], None, None)
        assert await page(prefix="n-", after="a") == (names[-5:-1], "n-0", "n-3")
        assert (await search_records(res, stranger, "product", limit=4)).records == []
