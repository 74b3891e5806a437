"""Records: other systems' things that hold files, changed by many at once and read with links."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from app import queries, queries_records, records, removals, uploads
from app.core.ids import uuid7
from app.core.preconditions import Preconditions
from app.core.principal import Principal, Scope
from app.errors import FileInUse, FileNotFound, RecordNotFound
from app.models_records import Record
from app.records import Slot
from app.resources import Resources, open_resources
from app.settings import Settings
from app.signer import utc_now
from tests.samples import PNG
from tests.support import (
    UNKNOWN_ID,
    announced,
    confirm_all,
    owner_of_bucket,
    prepared,
    running,
    send,
    slug,
    stored,
)
from tests.test_queries import new_file

RECORDS = "CLAIMCHECK_RECORDS__PRODUCT__"
PICTURE = "/v1/records/product/42/picture"
GALLERY = "/v1/records/product/42/gallery"


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            f"{RECORDS}PICTURE__DESTINATION": "images",
            f"{RECORDS}MANUAL__DESTINATION": "files",
            f"{RECORDS}GALLERY__DESTINATION": "images",
            f"{RECORDS}GALLERY__MANY": "true",
            f"{RECORDS}GALLERY__MAX_FILES": "30",
            "CLAIMCHECK_RECORDS__EMPLOYEE__PHOTO__DESTINATION": "images",
            "CLAIMCHECK_DATABASE_POOL_SIZE": "25",
        }
    )


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res


async def images(client: httpx.AsyncClient, database_url: str, count: int) -> list[str]:
    """Ids of so many confirmed files, as if the bucket had been asked."""
    body = {"destination": "images", "filename": "a.png", "size": 1}
    answer = await client.post("/v1/uploads/batch", json={"uploads": [body] * count})
    await confirm_all(database_url)
    return [upload["id"] for upload in answer.json()["uploads"]]


async def counts(db: asyncpg.Connection) -> dict[str, int]:
    """How often each file is used; fails unless the count in its row is right."""
    rows = await db.fetch(
        """SELECT f.id, f.attachments, f.state, count(r.file_id) AS used
           FROM files f LEFT JOIN record_files r ON r.file_id = f.id GROUP BY f.id"""
    )
    for row in rows:
        assert row["attachments"] == row["used"], row
        assert row["used"] == 0 or row["state"] == "confirmed", row
    return {str(row["id"]): row["used"] for row in rows if row["used"]}


def gallery(record: dict[str, Any]) -> list[str]:
    return [file["file_id"] for file in record["fields"]["gallery"]]


async def waiting(db: asyncpg.Connection, count: int) -> None:
    """Until so many connections wait for a lock."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(6000):
        if await db.fetchval(blocked) >= count:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


class TestPut:
    """PUT /v1/records/{type}/{id}/{field}"""

    async def test_the_file_is_read_back_with_a_link(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        file = await stored(client, web, PNG, "a.png", destination="images")
        response = await client.put(PICTURE, json={"file_id": file["id"]})
        assert response.status_code == 200, response.text
        record = response.json()
        link = record["fields"]["picture"]
        assert (await web.get(link["presigned_url"])).content == PNG
        assert record == {
            "type": "product",
            "id": "42",
            "etag": response.headers["etag"],
            "fields": {
                "picture": {
                    "file_id": file["id"],
                    **{
                        name: file[name]
                        for name in ("url", "filename", "content_type", "size", "presigned_url")
                    },
                    "presigned_url_expires_at": file["presigned_url_expires_at"],
                },
                "gallery": [],
                "manual": None,
            },
        }
        again = await client.get("/v1/records/product/42")
        assert again.json() == record
        assert again.headers["etag"] == record["etag"]
        assert await counts(db) == {file["id"]: 1}

    async def test_a_file_is_put_by_its_url(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        file = await stored(client, web, PNG, "a.png", destination="images")
        response = await client.put(PICTURE, json={"url": file["url"]})
        assert response.json()["fields"]["picture"]["file_id"] == file["id"]
        for url in (file["url"] + "x", "https://elsewhere.example.com/a/b", "", "x"):
            response = await client.put(PICTURE, json={"url": url})
            assert (response.status_code, slug(response)) == (404, "file-not-found"), url

    async def test_what_was_there_stays_a_file(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        old, new = await images(client, database_url, 2)
        first = await client.put(PICTURE, json={"file_id": old})
        second = await client.put(PICTURE, json={"file_id": new})
        assert second.json()["fields"]["picture"]["file_id"] == new
        assert first.headers["etag"] != second.headers["etag"]
        assert (await client.get(f"/v1/files/{old}")).status_code == 200
        assert await counts(db) == {new: 1}
        repeated = await client.put(PICTURE, json={"file_id": new})
        assert repeated.headers["etag"] == second.headers["etag"]

    async def test_a_gallery_keeps_its_order(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        a, b, c, d = await images(client, database_url, 4)
        etags = set()
        for ids in ([a, b, c], [c, b, a], [d, a], [d], [], [b, d]):
            response = await client.put(GALLERY, json={"file_ids": ids})
            assert gallery(response.json()) == ids
            assert gallery((await client.get("/v1/records/product/42")).json()) == ids
            assert await counts(db) == dict.fromkeys(ids, 1)
            etags.add(response.headers["etag"])
        assert len(etags) == 6
        one = await client.put(GALLERY, json={"file_id": a})
        assert gallery(one.json()) == [a]

    async def test_a_file_may_stand_in_many_places(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        [file] = await images(client, database_url, 1)
        paths = [PICTURE, GALLERY, "/v1/records/product/43/picture", "/v1/records/employee/1/photo"]
        for path in paths:
            assert (await client.put(path, json={"file_id": file})).status_code == 200
        assert await counts(db) == {file: 4}
        for path in paths:
            assert slug(await client.delete(f"/v1/files/{file}")) == "file-in-use"
            assert (await client.delete(path)).status_code == 204
        assert await counts(db) == {}
        assert (await client.delete(f"/v1/files/{file}")).status_code == 204

    async def test_what_may_not_be_put(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, database_url: str, db: Any
    ) -> None:
        ids = await images(client, database_url, 31)
        document = await stored(client, web)
        pending = await announced(client, b"x", "x.png", destination="images")
        before = await client.put(GALLERY, json={"file_ids": ids[:2]})
        for path, body, expected in (
            (PICTURE, {"file_id": UNKNOWN_ID}, (404, "file-not-found")),
            (PICTURE, {"file_id": pending["id"]}, (404, "file-not-found")),
            (PICTURE, {"url": pending["url"]}, (404, "file-not-found")),
            (GALLERY, {"file_ids": [ids[5], UNKNOWN_ID]}, (404, "file-not-found")),
            (PICTURE, {"file_id": document["id"]}, (422, "wrong-destination")),
            (PICTURE, {"url": document["url"]}, (422, "wrong-destination")),
            (GALLERY, {"file_ids": [ids[5], document["id"]]}, (422, "wrong-destination")),
            (GALLERY, {"file_ids": ids}, (422, "too-many-files")),
            (PICTURE, {"file_ids": ids[:2]}, (422, "too-many-files")),
            (GALLERY, {"file_ids": [ids[5]] * 2}, (422, "validation-failed")),
            (GALLERY, {"file_ids": [UNKNOWN_ID] * 101}, (422, "validation-failed")),
            (GALLERY, {"file_ids": ["1"]}, (422, "validation-failed")),
            (PICTURE, {}, (422, "validation-failed")),
            (PICTURE, {"file_id": None}, (422, "validation-failed")),
            (PICTURE, {"file_id": ids[0], "url": "x"}, (422, "validation-failed")),
            (PICTURE, {"file_id": ids[0], "owner": "x"}, (422, "validation-failed")),
            (PICTURE, {"url": "x" * 8193}, (422, "validation-failed")),
            ("/v1/records/product/42/film", {"file_id": ids[0]}, (404, "unknown-record-field")),
            ("/v1/records/film/42/picture", {"file_id": ids[0]}, (404, "unknown-record-field")),
        ):
            response = await client.put(path, json=body)
            assert (response.status_code, slug(response)) == expected, (path, body)
        after = await client.get("/v1/records/product/42")
        assert after.json() == before.json()
        assert await counts(db) == dict.fromkeys(ids[:2], 1)
        missing = await client.put(GALLERY, json={"file_ids": [ids[0], pending["id"], UNKNOWN_ID]})
        assert missing.json()["file_ids"] == [pending["id"], UNKNOWN_ID]
        # A change that is refused makes no record either.
        await client.put("/v1/records/product/43/picture", json={"file_id": UNKNOWN_ID})
        assert await db.fetchval("SELECT count(*) FROM records") == 1

    async def test_released_and_removed_files_are_none(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        for query in ({}, {"object": "delete"}):
            file = await stored(client, web, PNG, "a.png", destination="images")
            assert (await client.delete(f"/v1/files/{file['id']}", params=query)).is_success
            for body in ({"file_id": file["id"]}, {"url": file["url"]}):
                assert slug(await client.put(PICTURE, json=body)) == "file-not-found"

    async def test_ids(self, client: httpx.AsyncClient, database_url: str) -> None:
        [file] = await images(client, database_url, 1)
        good = [
            "1",
            "x" * 200,
            "a:b",
            "a@b.c",
            "%25",
            "a%2Bb",
            "%3F%23",
            "'\"",
        ]
        for name in good:
            path = f"/v1/records/product/{name}/picture"
            assert (await client.put(path, json={"file_id": file})).status_code == 200, name
        assert (await client.get("/v1/records/product/%25")).json()["id"] == "%"
        bad = ["x" * 201, "a%20b", "a,b", "%00", "%0a", "é", "%ff", "a%2C", "%2e%2e", "%2e"]
        for name in bad:
            for method, path in (
                ("PUT", f"/v1/records/product/{name}/picture"),
                ("DELETE", f"/v1/records/product/{name}/picture"),
                ("GET", f"/v1/records/product/{name}"),
                ("DELETE", f"/v1/records/product/{name}"),
            ):
                body = {"file_id": file} if method == "PUT" else None
                response = await client.request(method, path, json=body)
                assert response.status_code in {404, 405, 422}, path
                assert slug(response) != "record-not-found", path
        for path in ("/v1/records/product/a%2Fb", "/v1/records/product/", "/v1/records//1"):
            response = await client.get(path)
            assert response.status_code in {404, 405, 422}, path
        assert slug(await client.get("/v1/records/product%00/1")) == "unknown-record-field"


class TestConditions:
    """If-Match and If-None-Match (RFC 9110)"""

    async def test_a_stale_etag_changes_nothing(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        a, b, c = await images(client, database_url, 3)
        stale = (await client.put(PICTURE, json={"file_id": a})).headers["etag"]
        # Any field's change makes the record another.
        fresh = (await client.put(GALLERY, json={"file_id": b})).headers["etag"]
        for condition in (stale, f"W/{fresh}", '"x"', f'{stale}, "y"'):
            headers = {"If-Match": condition}
            for method, path, body in (
                ("PUT", PICTURE, {"file_id": c}),
                ("DELETE", PICTURE, None),
                ("DELETE", "/v1/records/product/42", None),
            ):
                response = await client.request(method, path, json=body, headers=headers)
                assert (response.status_code, slug(response)) == (412, "precondition-failed"), path
        assert await counts(db) == {a: 1, b: 1}
        headers = {"If-Match": f"{stale}, {fresh}"}
        put = await client.put(PICTURE, json={"file_id": c}, headers=headers)
        assert put.status_code == 200
        cleared = await client.delete(PICTURE, headers={"If-Match": put.headers["etag"]})
        assert cleared.status_code == 204
        now = await client.get("/v1/records/product/42")
        assert cleared.headers["etag"] == now.headers["etag"] != put.headers["etag"]
        headers = {"If-Match": now.headers["etag"]}
        assert (await client.delete("/v1/records/product/42", headers=headers)).status_code == 204

    async def test_only_where_there_is_none(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        a, b = await images(client, database_url, 2)
        first, second = {"file_id": a}, {"file_id": b}
        empty, filled = {"If-None-Match": "*"}, {"If-Match": "*"}
        assert slug(await client.put(PICTURE, json=first, headers=filled)) == "precondition-failed"
        headers = {"If-Match": '"x"'}
        assert slug(await client.put(PICTURE, json=first, headers=headers)) == "precondition-failed"
        assert await db.fetchval("SELECT count(*) FROM records") == 0
        assert (await client.put(PICTURE, json=first, headers=empty)).status_code == 200
        assert slug(await client.put(PICTURE, json=second, headers=empty)) == "precondition-failed"
        # The record is there, another field of it is empty.
        assert (await client.put(GALLERY, json=second, headers=empty)).status_code == 200
        assert (await client.put(PICTURE, json=second, headers=filled)).status_code == 200
        assert (await client.delete(PICTURE, headers=filled)).status_code == 204
        assert slug(await client.delete(PICTURE, headers=filled)) == "precondition-failed"

    async def test_an_etag_never_comes_again(
        self, client: httpx.AsyncClient, database_url: str
    ) -> None:
        [file] = await images(client, database_url, 1)
        etag = (await client.put(PICTURE, json={"file_id": file})).headers["etag"]
        assert (await client.delete("/v1/records/product/42")).status_code == 204
        again = await client.put(PICTURE, json={"file_id": file})
        assert again.headers["etag"] != etag
        response = await client.delete(PICTURE, headers={"If-Match": etag})
        assert response.status_code == 412

    async def test_headers_that_are_no_conditions(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        [file] = await images(client, database_url, 1)
        for value in ("x", '"x', "", "*, *", '"' * 5000, UNKNOWN_ID):
            for name in ("If-Match", "If-None-Match"):
                response = await client.put(PICTURE, json={"file_id": file}, headers={name: value})
                assert (response.status_code, slug(response)) == (422, "validation-failed"), value
        assert await counts(db) == {}


class TestRead:
    """GET /v1/records/{type}/{id} and /v1/records/{type}"""

    async def test_many_in_the_order_asked_for(
        self, client: httpx.AsyncClient, database_url: str
    ) -> None:
        files = await images(client, database_url, 3)
        for name, file in zip("abc", files, strict=True):
            await client.put(f"/v1/records/product/{name}/picture", json={"file_id": file})
            await client.put(f"/v1/records/product/{name}/gallery", json={"file_ids": files})
        await client.put("/v1/records/employee/a/photo", json={"file_id": files[0]})
        response = await client.get("/v1/records/product", params={"ids": "c,none,a,nobody,c"})
        found = response.json()
        assert [record["id"] for record in found["items"]] == ["c", "a"]
        assert found["missing"] == ["none", "nobody"]
        for record in found["items"]:
            assert record == (await client.get(f"/v1/records/product/{record['id']}")).json()
            assert gallery(record) == files
        for fields, names in (
            ("picture", ["picture"]),
            ("manual,picture,manual", ["manual", "picture"]),
        ):
            query = {"ids": "a", "fields": fields}
            [record] = (await client.get("/v1/records/product", params=query)).json()["items"]
            assert list(record["fields"]) == names
        empty = await client.get("/v1/records/product", params={"ids": "none"})
        assert empty.json() == {"items": [], "missing": ["none"]}

    async def test_what_may_not_be_asked(self, client: httpx.AsyncClient) -> None:
        many = ",".join(map(str, range(201)))
        for path, query, expected in (
            ("product", {}, (422, "validation-failed")),
            ("product", {"ids": ""}, (422, "validation-failed")),
            ("product", {"ids": "1,"}, (422, "validation-failed")),
            ("product", {"ids": "1, 2"}, (422, "validation-failed")),
            ("product", {"ids": "1/2"}, (422, "validation-failed")),
            ("product", {"ids": "\0"}, (422, "validation-failed")),
            ("product", {"ids": many}, (422, "validation-failed")),
            ("product", {"ids": "1" * 50_000}, (422, "validation-failed")),
            ("product", {"ids": "1", "fields": "film"}, (404, "unknown-record-field")),
            ("product", {"ids": "1", "fields": ""}, (404, "unknown-record-field")),
            ("film", {"ids": "1"}, (404, "unknown-record-field")),
            ("film/1", {}, (404, "unknown-record-field")),
            ("product/1", {}, (404, "record-not-found")),
        ):
            response = await client.get(f"/v1/records/{path}", params=query)
            assert (response.status_code, slug(response)) == expected, (path, query)
        query = {"ids": ",".join(map(str, range(200)))}
        assert len((await client.get("/v1/records/product", params=query)).json()["missing"]) == 200

    async def test_an_emptied_record_stays(
        self, client: httpx.AsyncClient, database_url: str
    ) -> None:
        [file] = await images(client, database_url, 1)
        await client.put(PICTURE, json={"file_id": file})
        for _ in range(2):
            assert (await client.delete(PICTURE)).status_code == 204
        fields = (await client.get("/v1/records/product/42")).json()["fields"]
        assert fields == {"picture": None, "gallery": [], "manual": None}

    async def test_a_field_that_is_no_longer_declared_keeps_its_file(
        self, client: httpx.AsyncClient, database_url: str, environ: dict[str, str], db: Any
    ) -> None:
        [file] = await images(client, database_url, 1)
        await client.put(PICTURE, json={"file_id": file})
        await db.execute("UPDATE record_files SET field = 'retired'")
        record = await client.get("/v1/records/product/42")
        assert record.json()["fields"]["picture"] is None
        refused = await client.delete(f"/v1/files/{file}")
        assert refused.json()["records"] == [{"type": "product", "id": "42", "field": "retired"}]
        assert (await client.delete("/v1/records/product/42")).status_code == 204
        assert await counts(db) == {}


class TestClear:
    """DELETE /v1/records/{type}/{id}/{field} and /v1/records/{type}/{id}"""

    async def test_the_object_stays(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        file = await stored(client, web, PNG, "a.png", destination="images")
        for path in (PICTURE, "/v1/records/product/42"):
            await client.put(PICTURE, json={"file_id": file["id"]})
            assert (await client.delete(path)).status_code == 204
            assert await counts(db) == {}
            kept = (await client.get(f"/v1/files/{file['id']}")).json()
            assert (await web.get(kept["presigned_url"])).content == PNG
        assert slug(await client.get("/v1/records/product/42")) == "record-not-found"

    async def test_forgetting_lets_go_of_everything(
        self, client: httpx.AsyncClient, database_url: str, db: asyncpg.Connection
    ) -> None:
        a, b = await images(client, database_url, 2)
        await client.put(PICTURE, json={"file_id": a})
        await client.put(GALLERY, json={"file_ids": [b, a]})
        await client.put("/v1/records/product/43/picture", json={"file_id": a})
        assert await counts(db) == {a: 3, b: 1}
        assert (await client.delete("/v1/records/product/42")).status_code == 204
        assert await counts(db) == {a: 1}

    async def test_what_is_not_there(self, client: httpx.AsyncClient, db: Any) -> None:
        for path, name in (
            (PICTURE, "record-not-found"),
            ("/v1/records/product/42", "record-not-found"),
            ("/v1/records/product/42/film", "unknown-record-field"),
            ("/v1/records/film/42", "unknown-record-field"),
        ):
            response = await client.delete(path)
            assert (response.status_code, slug(response)) == (404, name), path
        assert await db.fetchval("SELECT count(*) FROM records") == 0


class TestFilesInUse:
    """What a record holds is neither removed nor released; what none holds can be listed."""

    async def test_a_file_in_use_stays(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        file = await stored(client, web, PNG, "a.png", destination="images")
        await client.put(PICTURE, json={"file_id": file["id"]})
        for query in ({}, {"object": "keep"}, {"object": "delete"}):
            response = await client.delete(f"/v1/files/{file['id']}", params=query)
            assert (response.status_code, slug(response)) == (409, "file-in-use")
            assert response.json()["records"] == [
                {"type": "product", "id": "42", "field": "picture"}
            ]
        assert (await web.get(file["presigned_url"])).content == PNG
        await client.delete(PICTURE)
        path = f"/v1/files/{file['id']}?object=delete"
        assert (await client.delete(path)).status_code == 204
        assert (await web.get(file["presigned_url"])).status_code == 404

    async def test_the_loose_ones_are_listed(
        self, client: httpx.AsyncClient, database_url: str
    ) -> None:
        files = await images(client, database_url, 6)
        await client.put(GALLERY, json={"file_ids": [files[1], files[4]]})
        loose = [files[n] for n in (5, 3, 2, 0)]
        query: dict[str, Any] = {"attached": "false", "limit": 3}
        first = await client.get("/v1/files", params=query)
        second = await client.get(first.links["next"]["url"])
        assert [[f["id"] for f in page.json()["items"]] for page in (first, second)] == [
            loose[:3],
            loose[3:],
        ]
        cursor = first.json()["next_cursor"]
        other = await client.get("/v1/files", params={"cursor": cursor, "limit": 3})
        assert slug(other) == "invalid-cursor"
        for narrowed, count in (({"destination": "images"}, 4), ({"content_type": "text/*"}, 0)):
            page = await client.get("/v1/files", params={"attached": "false", **narrowed})
            assert len(page.json()["items"]) == count
        for value in ("true", "1", "", "False"):
            response = await client.get("/v1/files", params={"attached": value})
            assert (response.status_code, slug(response)) == (422, "validation-failed"), value


SLOT_JSON = {"type": "product", "id": "42", "field": "picture"}


class TestAttach:
    """`attach_to` in the confirm call"""

    async def confirm(
        self, client: httpx.AsyncClient, upload: dict[str, Any], **change: Any
    ) -> httpx.Response:
        body = {"attach_to": SLOT_JSON | change}
        return await client.post(f"/v1/uploads/{upload['id']}/confirm", json=body)

    async def sent(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, **body: Any
    ) -> dict[str, Any]:
        upload = await announced(client, PNG, "a.png", **({"destination": "images"} | body))
        assert (await send(web, upload["upload"], PNG)).is_success
        return upload

    async def test_a_file_is_confirmed_where_it_belongs(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        first, second = [await self.sent(client, web) for _ in range(2)]
        for upload in (first, second):
            etags = set()
            for _ in range(3):
                response = await self.confirm(client, upload)
                assert response.status_code == 200, response.text
                assert response.json()["id"] == upload["id"]
                record = await client.get("/v1/records/product/42")
                assert record.json()["fields"]["picture"]["file_id"] == upload["id"]
                etags.add(record.headers["etag"])
            assert len(etags) == 1
            assert await counts(db) == {upload["id"]: 1}

    async def test_also_by_url_and_by_key(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        for names in (["url"], ["key", "destination"]):
            upload = await self.sent(client, web)
            body = {name: upload[name] for name in names} | {"attach_to": SLOT_JSON}
            assert (await client.post("/v1/files", json=body)).status_code == 200
            assert await counts(db) == {upload["id"]: 1}

    async def test_a_gallery_grows_at_its_end(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        sent = [await self.sent(client, web) for _ in range(3)]
        for upload in [*sent, sent[0]]:
            assert (await self.confirm(client, upload, field="gallery")).status_code == 200
        record = (await client.get("/v1/records/product/42")).json()
        assert gallery(record) == [upload["id"] for upload in sent]

    async def test_repeating_it_undoes_nothing_that_was_done_since(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        """An answer that was lost comes to a retry hours later."""
        first, second = await self.sent(client, web), await self.sent(client, web)
        for upload in (first, second):
            assert (await self.confirm(client, upload)).status_code == 200
        for change in ("replaced", "emptied", "forgotten"):
            assert (await self.confirm(client, first)).json()["id"] == first["id"], change
            assert await counts(db) == ({second["id"]: 1} if change == "replaced" else {}), change
            path = "/v1/records/product/42" + ("/picture" if change == "replaced" else "")
            assert (await client.delete(path)).status_code in {204, 404}
        assert await db.fetchval("SELECT count(*) FROM records") == 0
        # What was confirmed without goes there by PUT.
        file = await stored(client, web, PNG, "a.png", destination="images")
        assert (await self.confirm(client, file)).status_code == 200
        assert await counts(db) == {}
        assert (await client.put(PICTURE, json={"file_id": file["id"]})).status_code == 200

    async def test_what_is_refused_is_not_confirmed_either(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, database_url: str, db: Any
    ) -> None:
        full = await images(client, database_url, 30)
        await client.put(GALLERY, json={"file_ids": full})
        upload, document = (
            await self.sent(client, web),
            await self.sent(client, web, destination="files"),
        )
        for given, change, expected in (
            (upload, {"field": "film"}, (404, "unknown-record-field")),
            (upload, {"type": "film"}, (404, "unknown-record-field")),
            (upload, {"field": "manual"}, (422, "wrong-destination")),
            (document, {}, (422, "wrong-destination")),
            (upload, {"field": "gallery"}, (422, "too-many-files")),
            (upload, {"id": "a/b"}, (422, "validation-failed")),
            (upload, {"id": ".."}, (422, "validation-failed")),
            (upload, {"id": ""}, (422, "validation-failed")),
            (upload, {"id": 42}, (422, "validation-failed")),
            (upload, {"id": None}, (422, "validation-failed")),
            (upload, {"file": "x"}, (422, "validation-failed")),
        ):
            response = await self.confirm(client, given, **change)
            assert (response.status_code, slug(response)) == expected, change
            found = await client.get(f"/v1/uploads/{given['id']}")
            assert found.json()["state"] == "pending", change
        assert await counts(db) == dict.fromkeys(full, 1)
        assert (await self.confirm(client, upload)).status_code == 200
        plain = await client.post(f"/v1/uploads/{document['id']}/confirm", json={})
        assert plain.status_code == 200

    async def test_what_does_not_become_a_file_is_attached_to_nothing(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: Any, settings: Settings
    ) -> None:
        missing = await announced(client, PNG, "a.png", destination="images")
        response = await self.confirm(client, missing)
        assert (response.status_code, slug(response)) == (409, "upload-not-arrived")
        false = await self.sent(client, web)
        async with owner_of_bucket(settings) as s3:
            bucket = settings.destinations["images"].bucket
            await s3.put_object(Bucket=bucket, Key=false["key"], Body=b"y")
        for _ in range(2):
            response = await self.confirm(client, false)
            assert (response.status_code, slug(response)) == (422, "upload-rejected")
        gone = await stored(client, web, PNG, "a.png", destination="images")
        await client.delete(f"/v1/files/{gone['id']}")
        for upload in (gone, {"id": UNKNOWN_ID}):
            response = await self.confirm(client, upload)
            assert (response.status_code, slug(response)) == (404, "upload-not-found")
        assert await db.fetchval("SELECT count(*) FROM records") == 0

    async def test_the_parts_of_a_large_file_are_joined_where_it_belongs(
        self, environ: dict[str, str], web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        settings = await prepared(
            environ
            | {
                f"{RECORDS}PICTURE__DESTINATION": "images",
                f"{RECORDS}MANUAL__DESTINATION": "files",
                f"{RECORDS}GALLERY": '{"destination": "images", "many": true, "max_files": 1}',
                "CLAIMCHECK_DESTINATIONS__IMAGES__METHOD": "multipart",
            }
        )
        async with running(settings) as client:
            upload = await announced(client, PNG, "a.png", destination="images")
            refused = await self.confirm(client, upload, field="manual")
            assert slug(refused) == "wrong-destination"
            [part] = upload["upload"]["parts"]
            assert (await web.put(part["url"], content=PNG)).status_code == 200
            assert (await self.confirm(client, upload, field="gallery")).status_code == 200
            assert await counts(db) == {upload["id"]: 1}

            # Refused once the parts are joined: the file is confirmed by the next call, without.
            late = await announced(client, PNG, "a.png", destination="images")
            [part] = late["upload"]["parts"]
            assert (await web.put(part["url"], content=PNG)).status_code == 200
            refused = await self.confirm(client, late, field="gallery")
            assert (refused.status_code, slug(refused)) == (422, "too-many-files")
            assert slug(await client.get(f"/v1/files/{late['id']}")) == "file-not-found"
            assert (await self.confirm(client, late)).status_code == 200
            assert await counts(db) == {upload["id"]: 1, late["id"]: 1}

    async def test_a_foreign_record_takes_no_file_and_keeps_it_unconfirmed(
        self, res: Resources, client: httpx.AsyncClient, web: httpx.AsyncClient, db: Any
    ) -> None:
        await db.execute(
            """INSERT INTO records VALUES
               (gen_random_uuid(), '', 'ann', 'product', '42', gen_random_uuid(), now(), now())"""
        )
        upload = await self.sent(client, web)
        caller = Principal("dev")
        for _ in range(2):
            with pytest.raises(RecordNotFound):
                await uploads.confirm(res, caller, UUID(upload["id"]), attach_to=SLOT)
            state = await db.fetchval("SELECT state FROM files WHERE id = $1", UUID(upload["id"]))
            assert state == "pending"
        file = await uploads.confirm(res, caller, UUID(upload["id"]))
        assert file == await uploads.confirm(res, caller, file.id, attach_to=SLOT)
        assert await counts(db) == {}

    async def test_twenty_at_once_lose_nothing(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, db: asyncpg.Connection
    ) -> None:
        many = [await self.sent(client, web) for _ in range(20)]
        answers = await asyncio.gather(
            *(self.confirm(client, upload, field="gallery") for upload in many)
        )
        assert {answer.status_code for answer in answers} == {200}
        record = (await client.get("/v1/records/product/42")).json()
        assert sorted(gallery(record)) == sorted(upload["id"] for upload in many)
        # One file in the same field, twenty times at once.
        one = await self.sent(client, web)
        answers = await asyncio.gather(*(self.confirm(client, one) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        # Twenty files, of which one is the last.
        others = [await self.sent(client, web) for _ in range(20)]
        answers = await asyncio.gather(*(self.confirm(client, upload) for upload in others))
        assert {answer.status_code for answer in answers} == {200}
        assert sum((await counts(db)).values()) == 21

    async def test_a_commit_that_fails_confirms_nothing(
        self,
        client: httpx.AsyncClient,
        web: httpx.AsyncClient,
        db: asyncpg.Connection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        upload = await self.sent(client, web)

        async def lost(*_: Any) -> None:
            raise ConnectionResetError

        with monkeypatch.context() as patch:
            patch.setattr(queries_records, "replace_files", lost)
            response = await self.confirm(client, upload)
            assert (response.status_code, slug(response)) == (503, "database-unavailable")
        found = await client.get(f"/v1/uploads/{upload['id']}")
        assert found.json()["state"] == "pending"
        assert (await self.confirm(client, upload)).status_code == 200
        assert await counts(db) == {upload["id"]: 1}


ANN, BOB = Principal("ann", "one"), Principal("bob", "one")
OTHER_ANN = Principal("ann", "two")
STAFF = Principal("staff", "one", frozenset({Scope.FILES_ALL}))
OTHER_STAFF = Principal("staff", "two", frozenset({Scope.FILES_ALL}))
SLOT = Slot("product", "42", "picture")


class TestOwners:
    """A record belongs to whoever made it, and to those who see the whole tenant."""

    async def file_of(self, res: Resources, caller: Principal) -> UUID:
        file = new_file(confirmed_at=utc_now())._replace(
            id=res.new_id(utc_now()),
            state="confirmed",
            owner=caller.owner,
            tenant=caller.tenant,
            bucket=res.settings.destinations["images"].bucket,
        )
        async with res.db.connection() as db:
            await queries.insert_files(db, [file])
        return file.id

    async def test_a_foreign_record_is_none(self, res: Resources) -> None:
        file = await self.file_of(res, ANN)
        await records.put_files(res, ANN, SLOT, [file])
        for stranger in (BOB, OTHER_ANN, OTHER_STAFF):
            with pytest.raises(RecordNotFound):
                await records.get_record(res, stranger, "product", "42")
            assert await records.get_records(res, stranger, "product", ["42"]) == {}
            with pytest.raises(RecordNotFound):
                await records.clear(res, stranger, SLOT)
            with pytest.raises(RecordNotFound):
                await records.forget(res, stranger, "product", "42")
        theirs = await self.file_of(res, BOB)
        with pytest.raises(RecordNotFound):
            await records.put_files(res, BOB, SLOT, [theirs])
        held = await records.get_record(res, ANN, "product", "42")
        assert [file.id for file in held.files["picture"]] == [file]

    async def test_the_same_name_in_another_tenant_is_another_record(self, res: Resources) -> None:
        for caller in (ANN, OTHER_ANN):
            file = await self.file_of(res, caller)
            await records.put_files(res, caller, SLOT, [file])
            held = await records.get_record(res, caller, "product", "42")
            assert [file.id for file in held.files["picture"]] == [file]

    async def test_a_foreign_file_is_none(self, res: Resources) -> None:
        for stranger in (BOB, OTHER_ANN):
            file = await self.file_of(res, stranger)
            with pytest.raises(FileNotFound):
                await records.put_files(res, ANN, SLOT, [file])
        foreign = await self.file_of(res, OTHER_ANN)
        with pytest.raises(FileNotFound):
            await records.put_files(res, STAFF, SLOT, [foreign])

    async def test_staff_act_for_the_whole_tenant(self, res: Resources) -> None:
        file, of_bob = await self.file_of(res, ANN), await self.file_of(res, BOB)
        await records.put_files(res, ANN, SLOT, [file])
        seen = await records.get_record(res, STAFF, "product", "42")
        etag = records.etag_of(seen.record)
        await records.put_files(res, STAFF, SLOT, [of_bob], Preconditions(frozenset({etag})))
        # It stays Ann's, and shows her what was put there for her.
        held = await records.get_record(res, ANN, "product", "42")
        assert held.record.owner == "ann"
        assert [file.id for file in held.files["picture"]] == [of_bob]
        # Bob cannot remove what others show, and is not told who does.
        with pytest.raises(FileInUse) as refused:
            await removals.remove_file(res, BOB, of_bob)
        assert refused.value.extensions == {"records": []}
        with pytest.raises(FileInUse) as refused:
            await removals.release_file(res, STAFF, of_bob)
        assert len(refused.value.extensions["records"]) == 1
        await records.forget(res, STAFF, "product", "42")
        await removals.release_file(res, BOB, of_bob)


class TestRaces:
    """Separate connections; what must wait does, and nothing is lost."""

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
            record = Record(
                uuid7(now, b"12345678"), "", "dev", "product", "7", UUID(int=7), now, now
            )
            async with other.transaction():
                record = await queries_records.hold_record(other, record)
                [locked] = await queries_records.lock_files(other, [UUID(file)])
                await queries_records.replace_files(
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
