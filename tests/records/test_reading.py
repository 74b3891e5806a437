"""Records are read with links to their files, which stay while a record holds them."""

from typing import Any

import httpx
import pytest

from tests.records.steps import GALLERY, PICTURE, counts, gallery, images
from tests.support.samples import PNG
from tests.support.steps import slug, stored


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
            ("product", {"ids": "1" * 10_000}, (422, "validation-failed")),
            ("product", {"ids": "1", "fields": "film"}, (404, "unknown-record-field")),
            ("product", {"ids": "1", "fields": ""}, (404, "unknown-record-field")),
            ("film", {"ids": "1"}, (404, "unknown-record-field")),
            ("film/1", {}, (404, "unknown-record-field")),
            ("product/1", {}, (404, "record-not-found")),
        ):
            response = await client.get(f"/v1/records/{path}", params=query)
            assert (response.status_code, slug(response)) == expected, (path, query)
            if expected[0] == 422:
                assert response.json()["errors"][0]["loc"] == ["query", "ids"]
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


class TestFilesInUse:
    """A file that a record holds is neither removed nor released; the others can be listed."""

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


async def test_an_answer_has_so_many_links_and_no_more(
    client: httpx.AsyncClient, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.routers.records.MAX_LINKS", 3)
    ids = await images(client, database_url, 2)
    for record in ("1", "2"):
        path = f"/v1/records/product/{record}/gallery"
        assert (await client.put(path, json={"file_ids": ids})).status_code == 200
    refused = await client.get("/v1/records/product", params={"ids": "1,2"})
    assert (refused.status_code, slug(refused)) == (422, "validation-failed")
    assert "4 files" in refused.json()["detail"]
    for asked in ({"ids": "1"}, {"ids": "1,2", "fields": "picture"}):
        assert (await client.get("/v1/records/product", params=asked)).status_code == 200
