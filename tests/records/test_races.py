"""Many change the same records and files at once."""

import asyncio
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.ids import uuid7
from app.db import records as db_records
from app.models.records import Record
from app.store.signer import utc_now
from tests.records.steps import GALLERY, PICTURE, counts, gallery, images
from tests.support.locks import waiting
from tests.support.steps import slug


class TestRaces:
    """Separate connections; what must wait does, and nothing is lost."""

    @pytest.mark.usefixtures("same_links")
    async def test_of_two_with_the_same_etag_one_is_late(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        a, b, c = await images(client, database_url, 3)
        etag = (await client.put(PICTURE, json={"file_id": a})).headers["etag"]
        other = await asyncpg.connect(database_url)
        async with other.transaction():
            await other.execute("SELECT FROM records FOR UPDATE")
            puts = [
                asyncio.create_task(
                    client.put(PICTURE, json={"file_id": file}, headers={"If-Match": etag})
                )
                for file in (b, c)
            ]
            await waiting(db, 2)
        await other.close()
        answers = await asyncio.gather(*puts)
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        [won] = [answer for answer in answers if answer.status_code == 200]
        held = await client.get("/v1/records/product/42")
        assert held.json() == won.json()
        assert await counts(db) == {held.json()["fields"]["picture"]["file_id"]: 1}

    async def test_of_many_that_would_create_one_does(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        files = await images(client, database_url, 20)
        headers = {"If-None-Match": "*"}
        answers = await asyncio.gather(
            *(client.put(PICTURE, json={"file_id": file}, headers=headers) for file in files)
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
        assert len(await counts(db)) == 1

    async def test_twenty_at_once(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        """Galleries of the same files in every order: no deadlock, and the counts are right."""
        files = await images(client, database_url, 20)
        orders = [files[n:] + files[:n] for n in range(20)]
        puts = [client.put(GALLERY, json={"file_ids": order}) for order in orders]
        puts += [
            client.put(f"/v1/records/product/{n % 7}/gallery", json={"file_ids": order[:11]})
            for n, order in enumerate(orders)
        ]
        answers = await asyncio.gather(*puts)
        assert {answer.status_code for answer in answers} == {200}
        # Each is told of its own change, whoever came after it.
        for answer, order in zip(answers, orders * 2, strict=True):
            assert gallery(answer.json()) == order[: len(gallery(answer.json()))]
        assert len({answer.headers["etag"] for answer in answers}) == 40
        assert sum((await counts(db)).values()) == 20 + 7 * 11
        forgotten = [f"/v1/records/product/{n}" for n in (42, *range(7))]
        await asyncio.gather(*(client.delete(path) for path in forgotten))
        assert await counts(db) == {}

    async def test_a_removal_waits_for_an_attachment(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        for query in ("", "?object=delete"):
            [file] = await images(client, database_url, 1)
            other = await asyncpg.connect(database_url)
            now = utc_now()
            record = Record("", "product", "7", "dev", uuid7(now, b"12345678"), now, now)
            async with other.transaction():
                record = await db_records.lock_record(other, record)
                [locked] = await db_records.lock_files(other, [UUID(file)])
                await db_records.replace_files(
                    other, record, "picture", [], [locked.id], UUID(int=8), now
                )
                removal = asyncio.create_task(client.delete(f"/v1/files/{file}{query}"))
                await waiting(db, 1)
            response = await removal
            assert (response.status_code, slug(response)) == (409, "file-in-use")
            assert await counts(db) == {file: 1}
            await other.close()
            await client.delete("/v1/records/product/7")

    async def test_an_attachment_waits_for_a_removal(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        [file] = await images(client, database_url, 1)
        other = await asyncpg.connect(database_url)
        async with other.transaction():
            await other.execute("UPDATE files SET state = 'removing', claimed_until = now()")
            put = asyncio.create_task(client.put(PICTURE, json={"file_id": file}))
            await waiting(db, 1)
        response = await put
        assert (response.status_code, slug(response)) == (404, "file-not-found")
        assert await counts(db) == {}
        await other.close()

    async def test_whoever_is_first_a_record_never_holds_a_removed_file(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        files = await images(client, database_url, 30)

        async def both(number: int, file: str) -> tuple[int, int]:
            path, query = (
                f"/v1/records/product/{number}/picture",
                ("", "?object=delete")[number % 2],
            )
            requests = [
                client.put(path, json={"file_id": file}),
                client.delete(f"/v1/files/{file}{query}"),
            ]
            if number % 3:
                requests.reverse()
            answers = await asyncio.gather(*requests)
            if number % 3:
                answers.reverse()
            return answers[0].status_code, answers[1].status_code

        outcomes = await asyncio.gather(*(both(n, file) for n, file in enumerate(files)))
        assert set(outcomes) <= {(200, 409), (404, 204)}
        assert len(await counts(db)) == sum(put == 200 for put, _ in outcomes)
