"""Files are put into records' fields, and taken out again."""

from typing import Any

import asyncpg
import httpx
import pytest

from tests.records.steps import GALLERY, PICTURE, counts, gallery, images
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID
from tests.support.steps import announced, slug, stored


class TestPut:
    """PUT /v1/records/{type}/{id}/{field}"""

    @pytest.mark.usefixtures("same_links")
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
                    "scan": None,
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

    @pytest.mark.usefixtures("same_links")
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
        for value in ("x", '"x', "", "*, *", '"' * 4096, UNKNOWN_ID):
            for name in ("If-Match", "If-None-Match"):
                response = await client.put(PICTURE, json={"file_id": file}, headers={name: value})
                assert (response.status_code, slug(response)) == (422, "validation-failed"), value
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
