"""Lists of files: page by page, narrowed, newest first."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.runtime.resources import open_resources
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from tests.support.service import running
from tests.support.steps import announced, confirm_all, send, slug


class TestList:
    """GET /v1/files"""

    @pytest.fixture
    async def listed(self, settings: Settings, database_url: str) -> list[dict[str, Any]]:
        """Seven files a minute apart, newest first: images 0, 2, 4, 6 and videos 1, 3, 5."""
        start = utc_now().replace(microsecond=0)
        now, made = start, []
        async with running(settings, clock=lambda: now) as client:
            for n in range(7):
                now = start - timedelta(minutes=n)
                kind = ("images", f"{n}.png") if n % 2 == 0 else ("videos", f"{n}.mp4")
                made.append(await announced(client, b"x", kind[1], destination=kind[0]))
        await confirm_all(database_url)
        return made

    async def names(self, client: httpx.AsyncClient, **query: Any) -> str:
        response = await client.get("/v1/files", params=query)
        assert response.status_code == 200, response.text
        return "".join(item["filename"][0] for item in response.json()["items"])

    async def test_pages(
        self, listed: list[Any], client: httpx.AsyncClient, database_url: str
    ) -> None:
        assert await self.names(client) == "0123456"
        first = await client.get("/v1/files", params={"limit": 3})
        assert first.headers["cache-control"] == "no-store"
        assert all(item["presigned_url"] for item in first.json()["items"])
        # A file that comes in between shifts nothing.
        await announced(client, b"x", "new.png")
        await confirm_all(database_url)
        cursor = first.json()["next_cursor"]
        second = await client.get("/v1/files", params={"limit": 3, "cursor": cursor})
        last = await client.get(second.links["next"]["url"])
        pages = [
            [item["filename"][0] for item in page.json()["items"]] for page in (first, second, last)
        ]
        assert pages == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
        assert last.json()["next_cursor"] is None
        assert "link" not in last.headers
        exact = await client.get("/v1/files", params={"limit": 8})
        assert (exact.json()["next_cursor"], "link" in exact.headers) == (None, False)

    async def test_filters(self, listed: list[Any], client: httpx.AsyncClient) -> None:
        assert await self.names(client, destination="videos") == "135"
        assert await self.names(client, destination="nowhere") == ""
        assert await self.names(client, content_type="image/png") == "0246"
        assert await self.names(client, content_type="video/*") == "135"
        assert await self.names(client, content_type="image/jpeg") == ""
        assert await self.names(client, content_type="video/*", destination="images") == ""
        moments = [upload["id"] for upload in listed]
        assert moments == sorted(moments, reverse=True)
        third = (await client.get(f"/v1/files/{listed[3]['id']}")).json()["created_at"]
        assert await self.names(client, created_after=third) == "0123"
        assert await self.names(client, created_before=third) == "456"
        assert await self.names(client, created_after=third, content_type="image/*") == "02"
        elsewhere = datetime.fromisoformat(third) + timedelta(hours=2)
        text = elsewhere.replace(tzinfo=None).isoformat() + "+02:00"
        assert await self.names(client, created_after=text) == "0123"

    async def test_the_link_header_keeps_the_filters(
        self, listed: list[Any], client: httpx.AsyncClient
    ) -> None:
        query = {"limit": 2, "content_type": "image/*", "created_before": "2999-01-01T00:00:00Z"}
        first = await client.get("/v1/files", params=query)
        second = await client.get(first.links["next"]["url"])
        assert [item["filename"] for item in second.json()["items"]] == ["4.png", "6.png"]

    async def test_a_cursor_is_good_for_its_own_list_alone(
        self, listed: list[Any], client: httpx.AsyncClient, environ: dict[str, str]
    ) -> None:
        page = (await client.get("/v1/files", params={"limit": 2})).json()
        cursor = page["next_cursor"]
        changed = cursor[:20] + ("A" if cursor[20] != "A" else "B") + cursor[21:]
        for query in (
            {"cursor": changed},
            {"cursor": cursor[:-2]},
            {"cursor": cursor, "destination": "images"},
            {"cursor": cursor, "content_type": "image/*"},
            {"cursor": cursor, "created_after": "2020-01-01T00:00:00Z"},
            {"cursor": ""},
            {"cursor": "😀"},
            {"cursor": page["items"][1]["id"]},
        ):
            response = await client.get("/v1/files", params=query)
            assert (response.status_code, slug(response)) == (400, "invalid-cursor"), query
        other_secret = load_settings(environ | {"CLAIMCHECK_SECRET_KEY": "another" * 5})
        async with running(other_secret) as other:
            assert slug(await other.get("/v1/files", params={"cursor": cursor})) == "invalid-cursor"

    async def test_a_cursor_is_no_quick_way_to_the_databases_password(
        self, environ: dict[str, str]
    ) -> None:
        """Without a key of its own the service signs them with what it makes of the URL."""
        del environ["CLAIMCHECK_SECRET_KEY"]
        settings = load_settings(environ)
        assert settings.database_url is not None
        url = settings.database_url.get_secret_value().encode()
        costs = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26, "dklen": 32}
        for _ in range(2):  # replicas
            async with open_resources(settings) as res:
                assert res.cursor_secret == hashlib.scrypt(url, salt=b"claimcheck cursor", **costs)

    async def test_queries_that_do_not_fit(self, client: httpx.AsyncClient) -> None:
        for name, value in (
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "ten"),
            ("destination", "\0"),
            ("content_type", "image"),
            ("created_after", "yesterday"),
            ("created_after", "0001-01-01T00:00:00Z"),
            ("created_before", "1969-12-31T23:59:59Z"),
            ("created_before", "9999-12-31T23:59:59-23:59"),
            ("created_before", "-1"),
            ("cursor", "x" * 201),
            ("page", "2"),
        ):
            response = await client.get("/v1/files", params={name: value})
            assert (response.status_code, slug(response)) == (422, "validation-failed"), name
            assert response.json()["errors"][0]["loc"] == ["query", name]
        for limit in (1, 100):
            assert (await client.get("/v1/files", params={"limit": limit})).status_code == 200


async def test_files_of_one_batch_are_listed_newest_first(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    names = [f"{number}.txt" for number in range(20)]
    body = {"uploads": [{"destination": "files", "filename": n, "size": 1} for n in names]}
    uploads = (await client.post("/v1/uploads/batch", json=body)).json()["uploads"]
    for upload in reversed(uploads):
        await send(web, upload["upload"], b"x")
        assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 200
    listed = (await client.get("/v1/files")).json()["items"]
    assert [file["filename"] for file in listed] == names[::-1]
