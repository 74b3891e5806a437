"""Links in pages: a path that reads one file without a bearer, until it ends."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.core.principal import Scope
from app.settings.model import Settings, load_settings
from tests.support.samples import HTML, PNG
from tests.support.service import UNKNOWN_ID, Clock, key_for, prepared, running
from tests.support.steps import slug, stored

SETTING = "CLAIMCHECK_DESTINATIONS__{}__{}".format


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    brief = {
        SETTING("FILES", "MAX_SIZE"): "1000",
        SETTING("BRIEF", "LINK_EXPIRES_IN"): "100",
        SETTING("BRIEF", "LINK_WINDOW"): "40",
    }
    return await prepared(environ | brief | {SETTING("NEVER", "CONTENT_URLS"): "false"})


@pytest.fixture
async def client(settings: Settings, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings, clock=clock) as client:
        yield client


def grant_of(url: str) -> str:
    [grant] = parse_qs(urlsplit(url).query)["grant"]
    return grant


async def test_a_page_shows_a_file_by_it(client: httpx.AsyncClient, web: httpx.AsyncClient) -> None:
    file = await stored(client, web, PNG, "a.png")
    assert file["content_url"].startswith(f"/v1/files/{file['id']}/content?grant=")
    redirect = await client.get(file["content_url"])
    assert redirect.status_code == 302
    assert redirect.headers["cache-control"] == "no-store"
    assert redirect.headers["referrer-policy"] == "no-referrer"
    read = await web.get(redirect.headers["location"])
    assert (read.content, read.headers["content-type"]) == (PNG, "image/png")
    # To be saved instead, under another name.
    saved = await client.get(f"{file['content_url']}&disposition=attachment&filename=b.png")
    read = await web.get(saved.headers["location"])
    assert read.headers["content-disposition"] == 'attachment; filename="b.png"'


async def test_it_needs_no_bearer_and_opens_nothing_else(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
    ann = await key_for(settings, *Scope, owner="ann")
    async with running(settings) as client:
        client.headers.update(ann)
        file = await stored(client, web)
        del client.headers["authorization"]
        url, grant = file["content_url"], grant_of(file["content_url"])
        for headers in ({}, await key_for(settings, owner="bob"), {"Authorization": "Bearer x"}):
            assert (await client.get(url, headers=headers)).status_code == 302
        path = f"/v1/files/{file['id']}"
        # A credential does not mend a wrong grant, nor a grant another route.
        wrong = await client.get(f"{path}/content?grant=1.x", headers=ann)
        assert (wrong.status_code, slug(wrong)) == (403, "invalid-grant")
        for method, other in (("GET", path), ("DELETE", path), ("GET", "/v1/files")):
            response = await client.request(method, f"{other}?grant={grant}")
            assert (response.status_code, slug(response)) == (401, "credential-required")
        assert (await client.get(f"{path}/content")).status_code == 401


@pytest.mark.usefixtures("same_links")
async def test_every_answer_with_a_file_has_it(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await stored(client, web)
    [listed] = (await client.get("/v1/files")).json()["items"]
    one = (await client.get(f"/v1/files/{file['id']}")).json()
    assert file["content_url"] == listed["content_url"] == one["content_url"]


async def test_it_is_the_same_within_a_window_and_ends(
    client: httpx.AsyncClient, web: httpx.AsyncClient, clock: Clock
) -> None:
    clock.stop()
    started = clock().timestamp()
    file = await stored(client, web, destination="brief")
    path, url = f"/v1/files/{file['id']}", file["content_url"]
    end = int(grant_of(url).partition(".")[0])
    assert end == datetime.fromisoformat(file["presigned_url_expires_at"]).timestamp()
    left = end - clock().timestamp()
    assert end - started >= 100
    assert left <= 140
    # In the middle of its window, and then beyond it.
    clock.ahead = timedelta(seconds=left - 120)
    assert (await client.get(path)).json()["content_url"] == url
    clock.ahead = timedelta(seconds=left - 30)
    assert (await client.get(url)).status_code == 302
    assert (await client.get(path)).json()["content_url"] != url
    clock.ahead = timedelta(seconds=left + 1)
    response = await client.get(url)
    assert (response.status_code, slug(response)) == (403, "invalid-grant")


async def test_it_is_good_for_its_own_file_alone(
    client: httpx.AsyncClient, web: httpx.AsyncClient, environ: dict[str, str]
) -> None:
    file, other = [await stored(client, web) for _ in range(2)]
    grant = grant_of(file["content_url"])
    for path in (
        f"/v1/files/{other['id']}/content?grant={grant}",
        f"/v1/files/{file['id']}/content?grant={grant[:-1]}",
        f"/v1/files/{file['id']}/content?grant=",
        f"/v1/files/{file['id']}/content?grant={int(grant[:10]) + 1}{grant[10:]}",
        # With two, neither is believed more than the other.
        f"/v1/files/{file['id']}/content?grant={grant}&grant=x",
    ):
        response = await client.get(path)
        assert (response.status_code, slug(response)) == (403, "invalid-grant"), path
    changed = environ | {"CLAIMCHECK_SECRET_KEY": "another" * 5}
    async with running(load_settings(changed)) as replica:
        assert slug(await replica.get(file["content_url"])) == "invalid-grant"
    async with running(load_settings(environ)) as replica:
        assert (await replica.get(file["content_url"])).status_code == 302


async def test_it_does_not_outlive_the_file(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    for how in ("keep", "delete"):
        file = await stored(client, web)
        gone = await client.delete(f"/v1/files/{file['id']}", params={"object": how})
        assert gone.status_code == 204
        response = await client.get(file["content_url"])
        assert (response.status_code, slug(response)) == (404, "file-not-found")


async def test_it_can_be_turned_off(
    client: httpx.AsyncClient, web: httpx.AsyncClient, environ: dict[str, str]
) -> None:
    file = await stored(client, web)
    assert (await stored(client, web, destination="never"))["content_url"] is None
    # What was given before ends with it.
    async with running(load_settings(environ | {SETTING("FILES", "CONTENT_URLS"): "0"})) as off:
        assert slug(await off.get(file["content_url"])) == "invalid-grant"
        one = (await off.get(f"/v1/files/{file['id']}")).json()
        assert one["content_url"] is None
    # Nothing is signed with less than a secret of our own.
    keyless = {name: value for name, value in environ.items() if name != "CLAIMCHECK_SECRET_KEY"}
    async with running(load_settings(keyless)) as off:
        assert slug(await off.get(file["content_url"])) == "invalid-grant"
        assert (await off.get("/v1/files")).json()["items"][0]["content_url"] is None


async def test_pages_are_downloaded_by_it_too(
    client: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    file = await stored(client, web, HTML, "a.html")
    for query in ("", "&disposition=inline"):
        redirect = await client.get(file["content_url"] + query)
        read = await web.get(redirect.headers["location"])
        assert read.headers["content-type"] == "application/octet-stream"
        assert read.headers["content-disposition"] == 'attachment; filename="a.html"'


class TestForScripts:
    """`reader=script`: a link that no element shows the file by, as JSON"""

    @pytest.mark.usefixtures("same_links")
    async def test_it_is_another_one_and_steady(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        file = await stored(client, web, PNG, "a.png")
        answer = await client.get(f"{file['content_url']}&reader=script")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        link = answer.json()
        for name in ("id", "url", "presigned_url_expires_at"):
            assert link[name] == file[name]
        redirect = await client.get(file["content_url"])
        assert link["presigned_url"] not in (file["presigned_url"], redirect.headers["location"])
        read = await web.get(link["presigned_url"])
        assert (read.content, read.headers["content-type"]) == (PNG, "image/png")
        # A bearer and POST /v1/files/presign give the very same.
        bearer = await client.get(f"/v1/files/{file['id']}/content?reader=script")
        assert bearer.json() == link
        for wanted in ({"ids": [file["id"], UNKNOWN_ID]}, {"urls": [file["url"], "x"]}):
            body = {**wanted, "reader": "script"}
            items = (await client.post("/v1/files/presign", json=body)).json()["items"]
            assert items[0] == link
            assert items[1]["problem"]["status"] == 404

    async def test_what_else_is_asked_counts_too(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        file = await stored(client, web)
        asked = f"{file['content_url']}&reader=script&disposition=attachment&filename=b.txt"
        read = await web.get((await client.get(asked)).json()["presigned_url"])
        assert read.headers["content-disposition"] == 'attachment; filename="b.txt"'
        page = await stored(client, web, HTML, "a.html")
        link = (await client.get(f"{page['content_url']}&reader=script")).json()
        read = await web.get(link["presigned_url"])
        assert read.headers["content-type"] == "application/octet-stream"
        # Without a body, and the link that it stands for is still for GET.
        head = await client.head(f"{file['content_url']}&reader=script")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == "application/json"

    async def test_it_opens_nothing_more(
        self, environ: dict[str, str], web: httpx.AsyncClient
    ) -> None:
        settings = await prepared(environ | {"CLAIMCHECK_AUTH": "keys"})
        ann = await key_for(settings, *Scope, owner="ann")
        bob = await key_for(settings, Scope.FILES_READ, owner="bob")
        async with running(settings) as client:
            client.headers.update(ann)
            file = await stored(client, web)
            client.headers.update(bob)
            path = f"/v1/files/{file['id']}/content?reader=script"
            assert slug(await client.get(path)) == "file-not-found"
            assert slug(await client.get(f"{path}&grant=1.x")) == "invalid-grant"
            del client.headers["authorization"]
            assert slug(await client.get(path)) == "credential-required"
            for reader in ("", "img", "script,script", "Script"):
                answer = await client.get(f"{file['content_url']}&reader={reader}")
                assert (answer.status_code, slug(answer)) == (422, "validation-failed")
                assert answer.json()["errors"][0]["loc"] == ["query", "reader"]

    async def test_pages_of_the_configured_origins_can_read_it(
        self, environ: dict[str, str], web: httpx.AsyncClient
    ) -> None:
        settings = await prepared(environ | {"CLAIMCHECK_CORS_ORIGINS": "http://a.example"})
        async with running(settings) as client:
            file = await stored(client, web)
            link = f"{file['content_url']}&reader=script"
            for url in (link, f"{link}~"):
                for origin, allowed in (
                    ("http://a.example", "http://a.example"),
                    ("http://b.example", None),
                    ("null", None),
                ):
                    answer = await client.get(url, headers={"Origin": origin})
                    assert answer.headers.get("access-control-allow-origin") == allowed

    async def test_a_script_of_our_own_origin_is_led_to_it(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        file = await stored(client, web)
        told = (await client.get(f"{file['content_url']}&reader=script")).json()["presigned_url"]
        for site, mode, wanted in (
            ("same-origin", "cors", told),
            ("same-origin", "no-cors", file["presigned_url"]),
            # The bucket hears from these of an origin that it does not know: what browsers keep
            # of its answer then is for no script.
            ("same-site", "cors", file["presigned_url"]),
            ("cross-site", "cors", file["presigned_url"]),
            ("none", "navigate", file["presigned_url"]),
        ):
            said = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
            redirect = await client.get(file["content_url"], headers=said)
            assert redirect.headers["location"] == wanted, said
