"""The feed, as a back end reads it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.core.preconditions import Preconditions
from app.core.principal import Principal, Scope
from app.db import moves
from app.db.wake import Wake
from app.events.purge import purge_events
from app.http.connections import LimitedProtocol
from app.main import create_app
from app.records.writing import change_record
from app.runtime.resources import open_resources
from app.settings.model import Settings
from tests.support.rows import NOW, insert, new_file
from tests.support.service import Clock, key_for, prepared, running
from tests.support.steps import announced, rejected, send, slug, stored
from tests.support.upkeep import swept

RECORDS = {
    "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
    "CLAIMCHECK_RECORDS__PRODUCT__GALLERY": '{"destination": "files", "many": true}',
}
LINKS = ("presigned_url", "presigned_url_expires_at", "content_url")


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | RECORDS)


async def page(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    response = await client.get("/v1/events", params=asked, timeout=60)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def begun(client: httpx.AsyncClient) -> str:
    """The cursor of a feed to which somebody listens from now on."""
    return str((await page(client))["cursor"])


async def types(client: httpx.AsyncClient, after: str) -> list[str]:
    return [event["type"] for event in (await page(client, after=after))["items"]]


class TestWhatIsTold:
    async def test_a_file_is_confirmed_as_the_api_shows_it(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        after = await begun(client)
        file = await stored(client, web)
        [event] = (await page(client, after=after))["items"]
        assert (event["type"], event["tenant"]) == ("file.confirmed", "")
        assert event["created_at"] == file["confirmed_at"]
        shown = {name: value for name, value in file.items() if name not in LINKS}
        assert event["data"] == shown | {
            "owner": "dev",
            "reason": None,
            "file_request_id": None,
        }

    async def test_a_file_s_life_in_order(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        after = await begun(client)
        file = await stored(client, web)
        await client.post(f"/v1/uploads/{file['id']}/confirm")
        await client.delete(f"/v1/files/{file['id']}")
        await client.delete(f"/v1/files/{file['id']}")
        other = await stored(client, web)
        await client.delete(f"/v1/files/{other['id']}", params={"object": "delete"})
        await client.delete(f"/v1/files/{other['id']}", params={"object": "delete"})
        assert await types(client, after) == [
            *("file.confirmed", "file.released", "file.confirmed", "file.removed")
        ]

    async def test_uploads_that_become_no_files(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
    ) -> None:
        after = await begun(client)
        refused = await rejected(client, web, b"MZ" + bytes(100), filename="a.png")
        cancelled = await announced(client, b"hello")
        await client.delete(f"/v1/uploads/{cancelled['id']}")
        await client.delete(f"/v1/uploads/{refused['id']}")
        left = await announced(client, b"hello")
        await swept(settings)
        found = (await page(client, after=after))["items"]
        assert [(event["type"], event["data"]["id"]) for event in found] == [
            ("file.rejected", refused["id"]),
            ("upload.expired", cancelled["id"]),
            ("upload.expired", left["id"]),
        ]
        assert found[0]["data"]["reason"] in refused["detail"]

    async def test_a_confirm_by_the_sweep(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
    ) -> None:
        after = await begun(client)
        upload = await announced(client, b"hello")
        assert (await send(web, upload["upload"], b"hello")).is_success
        await swept(settings)
        assert await types(client, after) == ["file.confirmed"]

    async def test_records(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
    ) -> None:
        after = await begun(client)
        upload = await announced(client, b"hello")
        assert (await send(web, upload["upload"], b"hello")).is_success
        attach_to = {"type": "product", "id": "42", "field": "gallery"}
        confirmed = await client.post(
            f"/v1/uploads/{upload['id']}/confirm", json={"attach_to": attach_to}
        )
        assert confirmed.status_code == 200, confirmed.text
        [of_file, of_record] = (await page(client, after=after))["items"]
        assert (of_file["type"], of_record["type"]) == ("file.confirmed", "record.changed")
        record = (await client.get("/v1/records/product/42")).json()
        for file in record["fields"]["gallery"]:
            for name in (*LINKS, "scan"):
                file.pop(name, None)
        assert of_record["data"] == record | {"owner": "dev"}

        # Of several fields at once there is one event, of no change none, of the end one more.
        other = await stored(client, web)
        after = (await page(client, after="latest"))["cursor"]
        fields = {"picture": [other["id"]], "gallery": [other["id"], upload["id"]]}
        async with open_resources(settings) as res:
            caller = Principal("dev", scopes=frozenset(Scope))
            for _ in range(2):
                await change_record(
                    res,
                    caller,
                    "product",
                    "42",
                    {name: [UUID(one) for one in ids] for name, ids in fields.items()},
                    Preconditions(),
                )
        assert (await client.delete("/v1/records/product/42")).status_code == 204
        changed, forgotten = (await page(client, after=after))["items"]
        held = changed["data"]["fields"]
        assert held["picture"]["file_id"] == other["id"]
        assert [file["file_id"] for file in held["gallery"]] == [other["id"], upload["id"]]
        assert forgotten["type"] == "record.changed"
        assert forgotten["data"]["fields"] == {"picture": None, "gallery": []}


async def confirmed(db: asyncpg.Connection, count: int = 1, **values: Any) -> list[str]:
    """Ids of so many files that were confirmed, one after the other, without a notification."""
    ids = []
    for _ in range(count):
        file = new_file(destination="files", **values)
        await insert(db, file)
        assert await moves.mark_confirmed(db, file._replace(confirmed_at=NOW))
        ids.append(str(file.id))
    return ids


def ids_of(found: dict[str, Any]) -> list[str]:
    return [event["data"]["id"] for event in found["items"]]


class TestReading:
    async def test_from_page_to_page(
        self, client: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        after = await begun(client)
        assert after == "0"
        wanted = await confirmed(db, 7)
        read = []
        for size in (3, 3, 1, 0):
            found = await page(client, after=after, limit=3)
            assert len(found["items"]) == size
            read += ids_of(found)
            after = found["cursor"]
        assert read == wanted
        # Whoever has no cursor begins at the first, and whoever wants none of it at the end.
        assert ids_of(await page(client)) == wanted
        assert await page(client, after="latest", wait=20) == {"items": [], "cursor": after}

    async def test_some_types_alone(
        self, client: httpx.AsyncClient, db: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A page looks at so many events, and what it leaves out is not looked at again."""
        monkeypatch.setattr("app.db.events._LOOKED_AT", 2)
        await begun(client)
        await confirmed(db, 5)
        rejected = new_file()
        await insert(db, rejected)
        assert await moves.mark_rejected(db, rejected, "why", NOW)
        found = await page(client, types="file.rejected,file.removed")
        assert (found["items"], found["cursor"]) == ([], "2")
        # Whoever waits is not told of the end before they are there.
        found = await page(client, types="file.rejected,file.removed", wait=20)
        assert ids_of(found) == [str(rejected.id)]

    @pytest.mark.parametrize(
        "asked",
        [
            *({"after": "-1"}, {"after": "x"}, {"after": "9" * 19}, {"after": ""}),
            *({"types": "file"}, {"types": ""}, {"types": "file.confirmed,"}),
            *({"limit": 0}, {"limit": 501}, {"wait": 21}, {"wait": -1}, {"cursor": "1"}),
        ],
    )
    async def test_what_cannot_be_asked(
        self, client: httpx.AsyncClient, asked: dict[str, Any]
    ) -> None:
        response = await client.get("/v1/events", params=asked)
        assert (response.status_code, slug(response)) == (422, "validation-failed")

    async def test_tenants_and_owners(
        self, environ: dict[str, str], db: asyncpg.Connection
    ) -> None:
        settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
        read, everything = Scope.EVENTS_READ, (Scope.EVENTS_READ, Scope.FILES_ALL)
        keys = {
            "ann": await key_for(settings, read, tenant="acme"),
            "bob": await key_for(settings, read, owner="bob", tenant="acme"),
            "acme": await key_for(settings, *everything, owner="boss", tenant="acme"),
            "other": await key_for(settings, *everything, tenant="other"),
            "none": await key_for(settings, *everything),
        }
        async with running(settings) as client:
            for key in keys.values():
                assert (await client.get("/v1/events", headers=key)).json()["items"] == []
            [ann] = await confirmed(db, owner="ann", tenant="acme")
            [bob] = await confirmed(db, owner="bob", tenant="acme")
            [other] = await confirmed(db, owner="ann", tenant="other")
            found = {
                name: ids_of((await client.get("/v1/events?after=0", headers=key)).json())
                for name, key in keys.items()
            }
        assert found == {
            "ann": [ann],
            "bob": [bob],
            "acme": [ann, bob],
            "other": [other],
            "none": [],
        }


class TestWaiting:
    @pytest.mark.parametrize("pooling", ["false", "true"])
    async def test_until_there_is_one(
        self, environ: dict[str, str], web: httpx.AsyncClient, pooling: str
    ) -> None:
        """Three wait at once without holding the one connection that there is."""
        environ |= {
            "CLAIMCHECK_DATABASE_POOL_SIZE": "1",
            "CLAIMCHECK_DATABASE_TRANSACTION_POOLING": pooling,
        }
        async with running(await prepared(environ)) as client:
            after = await begun(client)
            waiting = [asyncio.create_task(page(client, after=after, wait=20)) for _ in range(3)]
            file = await stored(client, web)
            for found in await asyncio.gather(*waiting):
                assert ids_of(found) == [file["id"]]

    async def test_a_process_is_woken_by_another_one(
        self, client: httpx.AsyncClient, settings: Settings
    ) -> None:
        await begun(client)
        async with open_resources(settings) as writer, open_resources(settings) as reader:
            listening = reader.wake.next()
            await reader.wake.wait(listening)
            await asyncio.wait_for(listening.wait(), 60)
            woken = reader.wake.next()
            async with writer.db.connection() as db:
                await confirmed(db)
            await asyncio.wait_for(woken.wait(), 60)

    @pytest.mark.parametrize("heard", [True, False])
    async def test_nobody_is_woken_where_nobody_listens(
        self, settings: Settings, client: httpx.AsyncClient, heard: bool
    ) -> None:
        if heard:
            await begun(client)
        async with open_resources(settings) as res:
            async with res.db.connection() as db:
                await confirmed(db)
                assert not res.db.told.is_set()  # before it is given back
            assert res.db.told.is_set() == heard

    async def test_also_where_no_notification_came(
        self, client: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        """As of a process that was killed between its commit and its notification."""
        after = await begun(client)
        waiting = asyncio.create_task(page(client, after=after, wait=20))
        await asyncio.sleep(0.1)
        [wanted] = await confirmed(db)
        assert ids_of(await waiting) == [wanted]

    async def test_in_vain(self, client: httpx.AsyncClient) -> None:
        after = await begun(client)
        assert await page(client, after=after, wait=1) == {"items": [], "cursor": after}

    async def test_those_who_have_gone_are_not_waited_for(self, settings: Settings) -> None:
        app, sent = create_app(settings), []
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/events",
            "raw_path": b"/v1/events",
            "query_string": b"after=0&wait=20",
            "http_version": "1.1",
            "scheme": "http",
            "headers": [(b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1),
            "state": {},
            "server": ("127.0.0.1", 80),
            "root_path": "",
        }
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            return messages.pop() if messages else {"type": "http.disconnect"}

        async def keep(message: Any) -> None:
            sent.append(message)

        async with app.router.lifespan_context(app):
            await app(scope, receive, keep)
        assert sent[0]["status"] == 400

    async def test_a_server_that_stops_keeps_nobody(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        after = await begun(client)

        async def waited(*_: Any) -> None:
            raise AssertionError

        monkeypatch.setattr(Wake, "wait", waited)
        monkeypatch.setattr(LimitedProtocol, "stopping", True)
        assert await page(client, after=after, wait=20) == {"items": [], "cursor": after}


class TestKeeping:
    async def test_what_is_too_old_is_purged_and_its_readers_are_told(
        self, settings: Settings, db: asyncpg.Connection
    ) -> None:
        clock = Clock()
        async with running(settings, clock=clock) as client:
            after = await begun(client)
            await confirmed(db, 3)
            behind = (await page(client, limit=1))["cursor"]
            end = (await page(client, after="latest"))["cursor"]
            await swept(settings)  # the first of them is of March
            assert await db.fetchval("SELECT count(*) FROM events") == 0
            for cursor in (after, behind, str(int(end) + 1)):
                response = await client.get("/v1/events", params={"after": cursor})
                assert (response.status_code, slug(response)) == (410, "cursor-expired")
            # Whoever has read all that there was has missed nothing.
            [wanted] = await confirmed(db)
            assert ids_of(await page(client, after=end)) == [wanted]
            assert ids_of(await page(client)) == [wanted]

    async def test_what_is_kept(self, settings: Settings, db: asyncpg.Connection) -> None:
        async with open_resources(settings) as res, running(settings) as client:
            await begun(client)
            await confirmed(db, 2)
            await db.execute("UPDATE events SET created_at = now() - '29 days'::interval")
            await purge_events(res)
            assert len((await page(client))["items"]) == 2

    async def test_a_feed_that_nobody_reads_is_written_no_more(
        self, settings: Settings, db: asyncpg.Connection
    ) -> None:
        clock = Clock()
        async with (
            open_resources(settings, clock=clock) as res,
            running(settings, clock=clock) as client,
        ):
            after = await begun(client)
            # Up to an hour is not noted.
            clock.ahead = timedelta(days=30)
            await purge_events(res)
            assert await confirmed(db) == ids_of(await page(client, after=after))
            after = (await page(client, after="latest"))["cursor"]
            clock.ahead += timedelta(days=30, hours=1)
            await purge_events(res)
            await confirmed(db)
            assert await db.fetchval("SELECT count(*) FROM events WHERE position IS NULL") == 0
            # They have missed one.
            response = await client.get("/v1/events", params={"after": after})
            assert (response.status_code, slug(response)) == (410, "cursor-expired")
            after = await begun(client)
            assert await confirmed(db) == ids_of(await page(client, after=after))
