"""How many unfinished uploads an owner may have: exactly so many, whoever ends them and how."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from app.db import files as db_files
from app.db import moves
from app.errors import ConfigurationError, TooManyPending
from app.models.files import File
from app.settings.model import load_settings
from tests.support.rows import LATER, NOW, SOON, new_file
from tests.support.service import bearer, key_for, prepared, running
from tests.support.steps import announced, minted, send, slug
from tests.support.upkeep import swept
from tests.support.workers import workers

CAP = {"CLAIMCHECK_MAX_PENDING_UPLOADS": "3"}
BODY = {"destination": "files", "filename": "a.png", "size": 1}


async def counts(database_url: str) -> dict[str, int]:
    """By owner; each is what counting the rows comes to."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT owner, uploads FROM pending_uploads")
    for row in rows:
        pending = await connection.fetchval(
            "SELECT count(*) FROM files WHERE owner = $1 AND pending_cap IS NOT NULL "
            "AND state IN ('pending', 'completing')",
            row["owner"],
        )
        assert row["uploads"] == pending
    await connection.close()
    return {row["owner"]: row["uploads"] for row in rows}


async def test_fifty_at_once_on_two_workers_get_exactly_the_cap(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    environ |= {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_MAX_PENDING_UPLOADS": "20"}
    async with workers(environ, tmp_path) as port:
        settings = load_settings(environ)
        ann, bob = [
            await key_for(settings, "uploads:write", owner=owner) for owner in ("ann", "bob")
        ]

        async def announce(key: dict[str, str]) -> httpx.Response:
            # A connection each, so that both workers get some.
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                url = f"http://127.0.0.1:{port}/v1/uploads"
                return await client.post(url, json=BODY, headers=key)

        # Bob's are stored by the same statements, and are none the worse for it.
        keys = [ann] * 50 + [bob] * 20
        answers = await asyncio.gather(*map(announce, [*keys[::2], *keys[1::2]]))
        for key, wanted in ((ann, 20), (bob, 20)):
            of_owner = [a for a in answers if a.request.headers["authorization"] in key.values()]
            good = [answer for answer in of_owner if answer.status_code == 201]
            assert len(good) == wanted
            refused = [answer for answer in of_owner if answer not in good]
            assert {(a.status_code, slug(a)) for a in refused} <= {(429, "too-many-pending")}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert await counts(database_url) == {"ann": 20, "bob": 20}


async def test_what_ends_gives_way(
    environ: dict[str, str], web: httpx.AsyncClient, database_url: str
) -> None:
    async with running(await prepared(environ | CAP)) as client:
        first, second, third = [await announced(client, b"hello") for _ in range(3)]

        async def next_one(status: int) -> None:
            response = await client.post("/v1/uploads", json=BODY)
            assert response.status_code == status
            if status == 429:
                assert slug(response) == "too-many-pending"

        await next_one(429)
        # Cancelled; confirmed, twice; rejected.
        assert (await client.delete(f"/v1/uploads/{first['id']}")).is_success
        await next_one(201)
        await next_one(429)
        await send(web, second["upload"], b"hello")
        for _ in range(2):
            assert (await client.post(f"/v1/uploads/{second['id']}/confirm")).status_code == 200
        await next_one(201)
        await next_one(429)
        assert (await client.delete(f"/v1/files/{second['id']}")).is_success
        await next_one(429)
        assert await counts(database_url) == {"dev": 3}
        # Not there yet: it stays pending, and counts.
        assert (await client.post(f"/v1/uploads/{third['id']}/confirm")).status_code == 409
        await next_one(429)


async def test_a_sweep_gives_back_what_never_arrived(
    environ: dict[str, str], database_url: str
) -> None:
    settings = await prepared(environ | CAP)
    async with running(settings) as client:
        for _ in range(3):
            await announced(client, b"hello")
        assert (await client.post("/v1/uploads", json=BODY)).status_code == 429
        assert (await swept(settings, timedelta(days=2)))["removed"] == 3
        assert await counts(database_url) == {"dev": 0}
        assert (await client.post("/v1/uploads", json=BODY)).status_code == 201


async def test_a_batch_is_announced_whole_or_not_at_all(
    environ: dict[str, str], database_url: str
) -> None:
    async with running(await prepared(environ | CAP)) as client:

        async def batch(size: int) -> list[str]:
            body = {"uploads": [BODY | {"filename": f"{n}.png"} for n in range(size)]}
            response = await client.post("/v1/uploads/batch", json=body)
            assert response.is_success, response.text
            answers = response.json()["uploads"]
            return [a["problem"]["type"] if "problem" in a else "stored" for a in answers]

        assert await batch(4) == ["urn:claimcheck:problem:too-many-pending"] * 4
        assert await counts(database_url) == {}
        assert await batch(2) == ["stored"] * 2
        assert await batch(2) == ["urn:claimcheck:problem:too-many-pending"] * 2
        assert await batch(1) == ["stored"]
        assert await counts(database_url) == {"dev": 3}


async def test_a_session_does_not_pay_for_what_its_owners_cap_refuses(
    environ: dict[str, str],
) -> None:
    settings = await prepared(environ | CAP | {"CLAIMCHECK_AUTH": "keys"})
    async with running(settings) as client:
        key = await key_for(settings, "sessions:mint", "uploads:write")
        client.headers.update(key)
        session = await minted(client, destination="files", max_files=4)
        browser = bearer(session["token"])

        async def announce(headers: dict[str, str]) -> httpx.Response:
            return await client.post("/v1/uploads", json=BODY, headers=headers)

        mine = (await announce(key)).json()
        assert [(await announce(browser)).status_code for _ in range(3)] == [201, 201, 429]
        await client.delete(f"/v1/uploads/{mine['id']}")
        assert (await announce(browser)).status_code == 201


async def _complete(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.claim_completion(db, file, 5, NOW, SOON)


async def _confirm(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.mark_confirmed(db, file._replace(confirmed_at=NOW))


async def _reject(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.mark_rejected(db, file, "why", NOW)


async def _remove(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.claim_upload_removal(db, file, NOW, LATER)


async def _delete(db: asyncpg.Connection, file: File) -> File | None:
    await db.execute("DELETE FROM files WHERE id = $1", file.id)
    return file


_Move = Callable[[asyncpg.Connection, File], Awaitable[File | None]]


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        ([_complete], 1),
        ([_complete, moves.abandon_completion], 1),
        ([_complete, _confirm], 0),
        ([_complete, _reject], 0),
        ([_confirm], 0),
        ([_confirm, _confirm], 0),
        ([_reject, _remove], 0),
        ([_remove], 0),
        ([_remove, _remove], 0),
        ([_complete, _delete], 0),
        ([_confirm, _delete], 0),
    ],
)
async def test_every_move_counts_once(
    db: asyncpg.Connection, database_url: str, moves: list[_Move], left: int
) -> None:
    file = new_file(pending_cap=1)
    assert await db_files.insert_files(db, [file]) == {file.id}
    for move in moves:
        file = await move(db, file) or file
    assert await counts(database_url) == {"dev": left}
    if left:
        with pytest.raises(TooManyPending):
            await db_files.insert_files(db, [new_file(pending_cap=1)])
    else:
        assert await db_files.insert_files(db, [new_file(pending_cap=1)])


async def test_a_move_that_is_undone_gives_nothing_back(
    db: asyncpg.Connection, database_url: str
) -> None:
    file = new_file(pending_cap=1)
    await db_files.insert_files(db, [file])
    undone = db.transaction()
    await undone.start()
    assert await _confirm(db, file)
    await undone.rollback()
    assert await counts(database_url) == {"dev": 1}


async def test_a_key_that_is_taken_costs_nothing(db: asyncpg.Connection, database_url: str) -> None:
    file = new_file(pending_cap=2)
    twin = new_file(key=file.key, pending_cap=2)
    assert len(await db_files.insert_files(db, [file, twin])) == 1
    assert await db_files.insert_files(db, [twin]) == set()
    assert await counts(database_url) == {"dev": 1}


async def test_owners_of_one_name_in_two_tenants_do_not_share(db: asyncpg.Connection) -> None:
    for tenant in ("a", "b"):
        assert await db_files.insert_files(db, [new_file(tenant=tenant, pending_cap=1)])
    with pytest.raises(TooManyPending):
        await db_files.insert_files(db, [new_file(tenant="b", pending_cap=1)])


async def test_a_cap_may_come_and_go(db: asyncpg.Connection, database_url: str) -> None:
    """Uploads announced without a cap are not counted, and take nothing from the count."""
    before, counted, after = new_file(), new_file(pending_cap=1), new_file()
    for file in (before, counted, after):
        assert await db_files.insert_files(db, [file])
    for file in (before, after):
        assert await _remove(db, file)
    assert await counts(database_url) == {"dev": 1}
    assert await _remove(db, counted)
    assert await counts(database_url) == {"dev": 0}


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_wrong_cap_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="CLAIMCHECK_MAX_PENDING_UPLOADS"):
        load_settings({"CLAIMCHECK_MAX_PENDING_UPLOADS": value})
