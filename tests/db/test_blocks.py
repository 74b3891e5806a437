"""Blocks find what a plain filter finds, whatever has happened to the files since."""

import itertools
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from app.core.metadata import read_metadata, write_metadata
from app.core.narrowing import Narrowing
from app.core.principal import Principal, Scope
from app.core.search_text import as_text, fold, metadata_line, property_line, wanted
from app.db import blocks as db_blocks
from app.db.lists import GREATEST, LEAST
from app.files.finding import take_all_changes, take_changes
from app.files.reading import list_files
from app.models.files import File, State
from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from tests.support.plans import Planning
from tests.support.rows import NOW, insert, new_file
from tests.support.upkeep import swept

WORDS = ("harbour", "Holiday", "été", "写真", "2026", "ab")
STAFF = Principal("ann", "acme", frozenset({Scope.FILES_ALL}))
CALLERS = (STAFF, Principal("bob", "acme"), Principal("bob", "other"))
SEARCHES = [
    Narrowing(q="harb"),
    Narrowing(q="写真"),
    Narrowing(q="ab"),
    Narrowing(q="holiday été"),
    Narrowing(q="nosuch"),
    Narrowing(metadata=(("album", "a"),)),
    Narrowing(metadata=(("album", "b"), ("n", "7"))),
    Narrowing("files", "image/*", q="2026", metadata=(("raw", "true"),)),
    Narrowing(None, "text/plain", loose=True, q="o"),
]


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few files, so that few files are many blocks."""
    for name, value in (("BLOCK", 4), ("_LARGEST", 8)):
        monkeypatch.setattr(db_blocks, name, value)


def made(dice: random.Random, number: int) -> File:
    """A file of that moment, which is not yet confirmed."""
    metadata = {
        "album": dice.choice("abc"),
        "n": dice.randrange(10),
        "raw": dice.choice([True, False]),
    }
    return new_file(
        created_at=NOW + timedelta(seconds=number),
        owner=dice.choice(["bob", "eve"]),
        tenant=dice.choice(["acme"] * 4 + ["other"]),
        destination=dice.choice(["images", "files"]),
        content_type=dice.choice(["image/png", "text/plain"]),
        filename=" ".join(dice.choices(WORDS, k=2)) + f" {number}",
        metadata=write_metadata(metadata) if dice.random() < 0.7 else None,
        attachments=dice.choice([0, 1]),
    )


def expected(files: list[File], caller: Principal, narrowing: Narrowing) -> list[UUID]:
    family = narrowing.kind.get("family")
    return sorted(
        (
            file.id
            for file in files
            if file.state == State.CONFIRMED
            and file.tenant == caller.tenant
            and caller.seen_owner in {None, file.owner}
            and narrowing.destination in {None, file.destination}
            and narrowing.kind.get("content_type") in {None, file.content_type}
            and family in {None, file.content_type.partition("/")[0]}
            and not (narrowing.loose and file.attachments)
            and all(word in fold(file.filename) for word in fold(narrowing.q).split())
            and dict(narrowing.metadata).items()
            <= {k: as_text(v) for k, v in read_metadata(file.metadata).items()}.items()
        ),
        reverse=True,
    )


async def found(res: Resources, caller: Principal, narrowing: Narrowing, limit: int) -> list[UUID]:
    ids: list[UUID] = []
    cursor, pages = None, 0
    while True:
        files, cursor = await list_files(res, caller, narrowing, cursor=cursor, limit=limit)
        assert len(files) <= limit
        ids += [file.id for file in files]
        pages += 1
        assert pages < 200
        if cursor is None:
            return ids


async def test_as_a_plain_filter_finds_them(res: Resources, db: asyncpg.Connection) -> None:
    dice = random.Random(11)
    files: list[File] = []

    async def store(file: File) -> None:
        await db.execute(
            "UPDATE files SET state = $2, filename = $3, metadata = $4 WHERE id = $1",
            *(file.id, file.state, file.filename, file.metadata),
        )

    for turn in range(12):
        new = [made(dice, 20 * turn + number) for number in range(20)]
        await insert(db, *new)
        files += new
        for index, file in enumerate(files):
            # Uploads are confirmed late, files are renamed, and they go.
            if file.state == State.PENDING and dice.random() < 0.7:
                files[index] = file._replace(state=State.CONFIRMED)
            elif file.state == State.CONFIRMED and dice.random() < 0.1:
                files[index] = file._replace(filename=f"{dice.choice(WORDS)} again")
            elif file.state == State.CONFIRMED and dice.random() < 0.05:
                files[index] = file._replace(metadata='{"album":"b","n":7}')
            elif file.state == State.CONFIRMED and dice.random() < 0.1:
                files[index] = file._replace(state=State.RELEASED)
            if files[index] is not file:
                await store(files[index])
        if turn % 3 == 1:
            await take_changes(res, "acme")
        if turn == 7:
            await take_all_changes(res)
        for narrowing, caller in itertools.product(SEARCHES, CALLERS):
            if turn % 4 == 3:
                assert await found(res, caller, narrowing, dice.choice([1, 3, 100])) == expected(
                    files, caller, narrowing
                ), (turn, narrowing, caller)
    assert await db.fetchval("SELECT count(*) FROM search_blocks WHERE tenant = 'acme'") > 10


async def test_the_sweep_takes_what_has_changed_and_forgets_what_is_gone(
    settings: Settings, res: Resources, db: asyncpg.Connection
) -> None:
    files = [new_file(State.CONFIRMED, filename="secret name", owner="bob") for _ in range(4)]
    await insert(db, *files)
    await swept(settings)
    assert await db.fetchval("SELECT count(*) FROM search_changes") == 0
    [text] = [row[0] for row in await db.fetch("SELECT files FROM search_blocks")]
    assert text.count("secret name") == 4
    await db.execute("UPDATE files SET state = 'released' WHERE id <> $1", files[0].id)
    await db.execute("DELETE FROM files WHERE id <> $1", files[0].id)
    await swept(settings)
    assert (await db.fetchval("SELECT files FROM search_blocks")).count("secret name") == 1
    caller = Principal("bob")
    assert await found(res, caller, Narrowing(q="secret"), 10) == [files[0].id]
    await db.execute("DELETE FROM files")
    await swept(settings)
    assert await db.fetchval("SELECT files FROM search_blocks") == ""
    assert await found(res, caller, Narrowing(q="secret"), 10) == []


async def test_what_says_nothing_of_files_changes_nothing(db: asyncpg.Connection) -> None:
    await insert(db, pending := new_file(), confirmed := new_file(State.CONFIRMED))
    await db.execute("DELETE FROM search_changes")
    await db.execute("UPDATE files SET expires_at = now() WHERE id = $1", pending.id)
    await db.execute("UPDATE files SET attachments = 1, etag = 'x' WHERE id = $1", confirmed.id)
    await db.execute("UPDATE files SET filename = filename, state = state")
    assert await db.fetchval("SELECT count(*) FROM search_changes") == 0


_FILL = """
INSERT INTO files (id, owner, tenant, destination, bucket, key, url, filename, content_type, size,
  method, state, created_at, expires_at, metadata)
SELECT (lpad(to_hex(1780000000000 + n * 997), 12, '0') || '7' || substr(md5(n::text), 1, 3)
    || '8' || substr(md5(n::text), 4, 15))::uuid,
  CASE WHEN n % ($1 / 10) = 11 THEN 'zeppo' ELSE 'dev' END, '', 'images', 'bkt', 'key ' || n, 'u',
  CASE WHEN n % 2 = 0 THEN 'Harbour ' ELSE 'Holiday ' END || n
    || CASE WHEN n % ($1 / 10) = 7 THEN ' zeppelin.png' ELSE '.png' END, 'image/png', 1, 'post',
  'confirmed', now(), now(), '{"album":"' || CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END
    || '","page":' || n || CASE WHEN n % ($1 / 10) = 7 THEN ',"rare":true}' ELSE '}' END
FROM generate_series(1, $1::int) AS n
"""


@pytest.mark.slow
async def test_what_a_search_costs_on_a_large_table(
    db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 200 buffers a page, for what half of the files have, what ten have and what none."""
    monkeypatch.undo()
    await db.execute(_FILL, 200_000, timeout=600)
    while True:
        async with db.transaction():
            if not await db_blocks.take_changes(db, ""):
                break
    await db.execute("VACUUM ANALYZE")
    own = property_line("owner", "dev")
    for sought, least in (
        (wanted("harbour", [own]), 51),
        (wanted("zeppelin", [own]), 10),
        (wanted("nosuchword", [own]), 0),
        (wanted("harbour holiday", [own]), 0),
        (wanted("ab", [own]), 0),
        (wanted("", [metadata_line("album", "a"), own]), 51),
        (wanted("", [metadata_line("rare", "true"), own]), 10),
        (wanted("", [metadata_line("album", "c"), own]), 0),
        (wanted("holiday", [metadata_line("album", "a"), own]), 0),
        (wanted("dev", [], owners=True), 51),
        (wanted("zeppelin", [], owners=True), 10),
        (wanted("zep", [], owners=True), 20),
        (wanted("nosuchword", [], owners=True), 0),
    ):
        page = await db_blocks.find(db, "", sought, first=LEAST, end=GREATEST, limit=51)
        assert len(page.ids) >= least, sought
        planning = Running(db)
        await db_blocks.find(planning, "", sought, first=LEAST, end=GREATEST, limit=51)
        buffers = sum(plan.buffers for plan in planning.plans if plan.what.startswith("generic"))
        assert buffers <= 200, (sought, planning.plans)


class Running(Planning):
    """Plans, and gives the rows too."""

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        await super().fetch(sql, *arguments)
        return await self.db.fetch(sql, *arguments)

    async def execute(self, sql: str) -> None:
        await self.db.execute(sql)

    def transaction(self) -> object:
        return self.db.transaction()
