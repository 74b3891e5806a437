"""Limits of owners and tenants: exactly so much, whoever ends it and how."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.principal import Principal
from app.db import files as db_files
from app.db import moves
from app.db.reserve import reserve_files, reserve_for_one
from app.db.usage import read_usage, set_quota
from app.errors import ConfigurationError, QuotaExceeded
from app.models.files import File
from app.models.usage import Level, Quota
from app.runtime.resources import open_resources
from app.settings.model import load_settings
from app.settings.quotas import Limits, QuotaSettings
from app.upkeep.adopt import Candidate, How, Outcome, Pace, adopt
from app.uploads.restore import restore_file
from tests.support.rows import LATER, NOW, SOON, new_file
from tests.support.service import bearer, key_for, owner_of_bucket, prepared, running
from tests.support.steps import announced, minted, send, slug, stored
from tests.support.upkeep import swept
from tests.support.usage import pending, switch_on
from tests.support.workers import workers

CAP = {"CLAIMCHECK_QUOTA__OWNER__PENDING": "3"}
BODY = {"destination": "files", "filename": "a.png", "size": 1}


async def test_sixty_four_at_once_on_two_workers_get_exactly_the_last_ten_places(
    environ: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    environ |= {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_QUOTA__OWNER__FILES": "20"}
    async with workers(environ, tmp_path) as port:
        settings = load_settings(environ)
        ann, bob = [
            await key_for(settings, "uploads:write", owner=owner) for owner in ("ann", "bob")
        ]
        url = f"http://127.0.0.1:{port}/v1/uploads"

        async def announce(key: dict[str, str]) -> httpx.Response:
            # A connection each, so that both workers get some.
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                return await client.post(url, json=BODY, headers=key)

        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            before = {"uploads": [BODY | {"filename": f"{n}.png"} for n in range(10)]}
            assert (await client.post(f"{url}/batch", json=before, headers=ann)).is_success
        # Bob's are stored by the same statements, and are none the worse for it.
        keys = [ann] * 64 + [bob] * 20
        answers = await asyncio.gather(*map(announce, [*keys[::2], *keys[1::2]]))
        for key, wanted in ((ann, 10), (bob, 20)):
            of_owner = [a for a in answers if a.request.headers["authorization"] in key.values()]
            good = [answer for answer in of_owner if answer.status_code == 201]
            assert len(good) == wanted
            refused = [answer for answer in of_owner if answer not in good]
            assert {(a.status_code, slug(a)) for a in refused} <= {(403, "quota-exceeded")}
            said = [[a.json()[name] for name in ("level", "quota", "limit")] for a in refused]
            assert said == [["owner", "files", 20]] * len(refused)
        assert await pending(database_url) == {"ann": 20, "bob": 20}


async def test_what_ends_gives_way(
    environ: dict[str, str], web: httpx.AsyncClient, database_url: str
) -> None:
    async with running(await prepared(environ | CAP)) as client:
        first, second, third = [await announced(client, b"hello") for _ in range(3)]

        async def next_one(status: int) -> None:
            response = await client.post("/v1/uploads", json=BODY)
            assert response.status_code == status
            if status == 403:
                assert slug(response) == "quota-exceeded"

        await next_one(403)
        # Cancelled; confirmed, twice; rejected.
        assert (await client.delete(f"/v1/uploads/{first['id']}")).is_success
        await next_one(201)
        await next_one(403)
        await send(web, second["upload"], b"hello")
        for _ in range(2):
            assert (await client.post(f"/v1/uploads/{second['id']}/confirm")).status_code == 200
        await next_one(201)
        await next_one(403)
        assert (await client.delete(f"/v1/files/{second['id']}")).is_success
        await next_one(403)
        assert await pending(database_url) == {"dev": 3}
        # Not there yet: it stays pending, and counts.
        assert (await client.post(f"/v1/uploads/{third['id']}/confirm")).status_code == 409
        await next_one(403)


@pytest.mark.parametrize("way", ["restored", "adopted"])
async def test_what_counts_whatever_the_limits_say_counts_at_once(
    environ: dict[str, str], web: httpx.AsyncClient, way: str
) -> None:
    settings = await prepared(environ | {"CLAIMCHECK_QUOTA__OWNER__FILES": "1"})
    async with running(settings) as client, open_resources(settings) as res:
        file = await stored(client, web, b"hello", "a.txt")
        assert (await client.delete(f"/v1/files/{file['id']}")).status_code == 204
        # Nothing is noted any more, and nothing used.
        await swept(settings)
        if way == "restored":
            await restore_file(res, Principal("dev"), UUID(file["id"]))
        else:
            async with owner_of_bucket(settings) as s3:
                to = settings.destinations["files"]
                await s3.put_object(Bucket=to.bucket, Key=f"{to.prefix}b.txt", Body=b"hello")
            how = How(True, False, True, asyncio.Semaphore(1), Pace(None))
            [said] = await adopt(res, [Candidate(to, f"{to.prefix}b.txt", "dev")], how)
            assert said.outcome is Outcome.ADOPTED, said
        response = await client.post("/v1/uploads", json=BODY)
        assert (response.status_code, slug(response)) == (403, "quota-exceeded")


async def test_a_sweep_gives_back_what_never_arrived(
    environ: dict[str, str], database_url: str
) -> None:
    settings = await prepared(environ | CAP)
    async with running(settings) as client:
        for _ in range(3):
            await announced(client, b"hello")
        assert (await client.post("/v1/uploads", json=BODY)).status_code == 403
        assert (await swept(settings, timedelta(days=2)))["removed"] == 3
        assert await pending(database_url) == {"dev": 0}
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

        assert await batch(4) == ["urn:claimcheck:problem:quota-exceeded"] * 4
        assert await pending(database_url) == {"dev": 0}
        assert await batch(2) == ["stored"] * 2
        assert await batch(2) == ["urn:claimcheck:problem:quota-exceeded"] * 2
        assert await batch(1) == ["stored"]
        assert await pending(database_url) == {"dev": 3}


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
        assert [(await announce(browser)).status_code for _ in range(3)] == [201, 201, 403]
        await client.delete(f"/v1/uploads/{mine['id']}")
        assert (await announce(browser)).status_code == 201


async def _complete(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.claim_completion(db, file, 5, NOW, SOON)


async def _abandon(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.abandon_completion(db, file)


async def _confirm(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.mark_confirmed(db, file._replace(confirmed_at=NOW, size=file.size or 7))


async def _reject(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.mark_rejected(db, file, "why", NOW)


async def _release(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.mark_released(db, file, NOW)


async def _restore(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.mark_restored(db, file)


async def _claim_file(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.claim_file_removal(db, file, NOW, LATER)


async def _cancel(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.claim_upload_removal(db, file, NOW, LATER)


async def _finish(db: asyncpg.Connection, file: File) -> File | None:
    return await moves.finish_removal(db, file, NOW, LATER)


_Move = Callable[[asyncpg.Connection, File], Awaitable[File | None]]
# Files, their bytes, pending uploads, and bytes reserved for them.
_PENDING, _FILE, _NOTHING = (0, 0, 1, 9), (1, 7, 0, 0), (0, 0, 0, 0)


@pytest.mark.parametrize("size", [7, None])
@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([], _PENDING),
        ([_complete], _PENDING),
        ([_complete, _abandon], _PENDING),
        ([_complete, _confirm], _FILE),
        ([_confirm], _FILE),
        ([_confirm, _confirm], _FILE),
        ([_confirm, _release], _NOTHING),
        ([_confirm, _release, _restore], _FILE),
        ([_confirm, _release, _restore, _restore], _FILE),
        ([_confirm, _claim_file], _FILE),
        ([_confirm, _claim_file, _finish], _NOTHING),
        ([_confirm, _claim_file, _finish, _finish], _NOTHING),
        ([_complete, _reject], _NOTHING),
        ([_reject], _NOTHING),
        ([_reject, _cancel], _NOTHING),
        ([_reject, _cancel, _finish], _NOTHING),
        # Its bytes are there until the bucket says that they are not.
        ([_cancel], _PENDING),
        ([_cancel, _cancel], _PENDING),
        ([_cancel, _finish], _NOTHING),
    ],
)
async def test_every_move_counts_once_at_each_level(
    db: asyncpg.Connection,
    database_url: str,
    steps: list[_Move],
    left: tuple[int, ...],
    size: int | None,
) -> None:
    await switch_on(db, *Level)
    file = new_file(owner="ann", tenant="shop", size=size, reserved=9 if size is None else None)
    await db_files.insert_files(db, [file])
    for step in steps:
        file = await step(db, file) or file
    if left == _PENDING and size is not None:
        left = (0, 0, 1, 7)
    for key, found in (await read_usage(db, [("shop", "ann"), ("shop", "")])).items():
        assert found.usage == (*key, *left)
    await pending(database_url)


async def test_a_move_that_is_undone_gives_nothing_back(
    db: asyncpg.Connection, database_url: str
) -> None:
    await switch_on(db, *Level)
    file = new_file()
    await db_files.insert_files(db, [file])
    undone = db.transaction()
    await undone.start()
    assert await _confirm(db, file)
    await undone.rollback()
    assert await pending(database_url) == {"dev": 1, "": 1}


QUOTA = QuotaSettings(owner=Limits(bytes=20, files=4, pending=2), tenant=Limits(files=5))


async def test_a_key_that_is_taken_costs_nothing(db: asyncpg.Connection, database_url: str) -> None:
    await switch_on(db, *Level)
    file = new_file()
    twin = new_file(key=file.key)
    found = await reserve_files(db, [file, twin], [], QUOTA)
    assert (len(found.stored), found.full) == (1, set())
    assert await pending(database_url) == {"dev": 1, "": 1}
    async with db.transaction():
        # The room that was given back is there for the next.
        assert await reserve_for_one(db, [new_file(key=file.key)], [], QUOTA) == set()
        assert await reserve_for_one(db, [new_file()], [], QUOTA)
        with pytest.raises(QuotaExceeded, match="2 of 2 unfinished"):
            await reserve_for_one(db, [new_file()], [], QUOTA)


@pytest.mark.parametrize(
    ("values", "quota"),
    [
        ([{"size": 21}], "bytes"),
        ([{"size": 11}, {"size": 10}], "bytes"),
        ([{"size": None, "reserved": 21}], "bytes"),
        ([{"size": 1}] * 3, "pending"),
    ],
)
async def test_of_too_much_nothing_is_stored(
    db: asyncpg.Connection, database_url: str, values: list[dict[str, int]], quota: str
) -> None:
    await switch_on(db, *Level)
    async with db.transaction():
        with pytest.raises(QuotaExceeded) as refused:
            await reserve_for_one(db, [new_file(**each) for each in values], [], QUOTA)
    assert refused.value.extensions["quota"] == quota
    assert await db.fetchval("SELECT count(*) FROM files") == 0
    assert sum((await pending(database_url)).values()) == 0


async def test_a_tenant_without_room_takes_nothing_from_its_owners(
    db: asyncpg.Connection, database_url: str
) -> None:
    await switch_on(db, *Level)
    for owner in ("ann", "bob", "cid"):
        rows = [new_file(owner=owner, tenant="shop", size=1) for _ in range(2)]
        found = await reserve_files(db, rows, [], QUOTA)
        if owner == "cid":
            assert found == (set(), {("shop", "")})
        else:
            assert len(found.stored) == 2
    # Another tenant's owners of these names share nothing with them.
    assert (await reserve_files(db, [new_file(owner="ann", tenant="b")], [], QUOTA)).stored
    assert await pending(database_url) == {"ann": 3, "bob": 2, "cid": 0, "": 5}


async def test_limits_of_ones_own(db: asyncpg.Connection) -> None:
    await switch_on(db, *Level)
    await set_quota(db, Quota("", "ann", bytes=None, files=None, pending=1))
    await set_quota(db, Quota("", "bob", bytes=50, files=None, pending=None))
    one, two = ([new_file(owner="ann", size=1) for _ in range(n)] for n in (1, 2))
    assert (await reserve_files(db, two, [], QUOTA)).full == {("", "ann")}
    assert (await reserve_files(db, one, [], QUOTA)).stored
    assert (await reserve_files(db, [new_file(owner="bob", size=50)], [], QUOTA)).stored
    async with db.transaction():
        with pytest.raises(QuotaExceeded) as refused:
            await reserve_for_one(db, [new_file(owner="bob", size=1)], [], QUOTA)
    assert refused.value.extensions == {
        "level": "owner",
        "quota": "bytes",
        "used": 0,
        "reserved": 50,
        "limit": 50,
    }


async def test_no_row_for_a_level_without_a_limit(
    db: asyncpg.Connection, database_url: str
) -> None:
    assert await db_files.insert_files(db, [new_file()])
    assert await pending(database_url) == {}
    await switch_on(db, Level.TENANT)
    assert (await reserve_files(db, [new_file()], [], QUOTA)).stored
    assert await pending(database_url) == {"": 2}


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_wrong_limit_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="CLAIMCHECK_QUOTA__OWNER__PENDING"):
        load_settings({"CLAIMCHECK_QUOTA__OWNER__PENDING": value})
