"""Links to files: whose they are, what they open, and how long they live."""

import json
import urllib.parse
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from app.core.narrowing import Narrowing
from app.core.principal import DEV, Principal
from app.core.sigv4 import UrlSigner
from app.errors import ConfigurationError, FileNotFound, InvalidCursor, UploadNotFound
from app.files.reading import find_by_ids, get_file, list_files, readable_by_ids, readable_by_urls
from app.runtime.resources import open_resources
from app.settings.model import Settings, load_settings
from app.store.signer import utc_now
from app.uploads.announce import renew_upload
from app.uploads.confirm import confirm_key, confirm_upload, confirm_url
from app.uploads.lookup import get_upload
from app.uploads.remove import cancel_upload, release_file, remove_file
from tests.support.service import UNKNOWN_ID, bearer, prepared, running
from tests.support.steps import announced, minted, send, slug, stored


def query_of(link: str) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query, strict_parsing=True))


class TestPresign:
    """POST /v1/files/presign"""

    async def test_a_thousand_in_order(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        made = [await stored(client, web, data) for data in (b"one", b"two")]
        pending = await announced(client, b"x")
        for kind, known, unknown in (
            ("ids", [f["id"] for f in made], [UNKNOWN_ID, pending["id"]]),
            ("urls", [f["url"] for f in made], ["http://evil.example/a/b", pending["url"], ""]),
        ):
            wanted = [*known, *unknown, *reversed(known)]
            wanted += [known[0]] * (1000 - len(wanted))
            response = await client.post("/v1/files/presign", json={kind: wanted})
            assert response.status_code == 200
            items = response.json()["items"]
            for asked, item in zip(wanted, items, strict=True):
                if asked in unknown:
                    assert item["problem"]["type"].endswith(":file-not-found")
                    assert set(item) == {"problem"}
                else:
                    assert item[kind.removesuffix("s")] == asked
            assert (await web.get(items[1]["presigned_url"])).content == b"two"
            assert items[1]["presigned_url_expires_at"] > made[1]["confirmed_at"]

    async def test_details_are_the_files_with_their_owners(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        session = await minted(client, owner="bob")
        bob = bearer(session["token"])
        body = {"destination": "files", "filename": "a.txt", "size": 5}
        upload = (await client.post("/v1/uploads", json=body, headers=bob)).json()
        await send(web, upload["upload"], b"bob's")
        confirmed = await client.post(f"/v1/uploads/{upload['id']}/confirm", headers=bob)
        assert confirmed.status_code == 200
        files = [await stored(client, web, b"one"), confirmed.json()]
        for kind, unknown in (("ids", UNKNOWN_ID), ("urls", "http://evil.example/a/b")):
            of = kind.removesuffix("s")
            wanted = [files[1][of], unknown, files[0][of], files[1][of]]
            body = {kind: wanted, "details": True}
            items = (await client.post("/v1/files/presign", json=body)).json()["items"]
            assert items[1]["problem"]["type"].endswith(":file-not-found")
            owners = [items[at].pop("owner") for at in (2, 3)]
            assert owners == ["dev", "bob"]
            for file, item in zip(files, (items[2], items[3]), strict=True):
                assert (await client.get(f"/v1/files/{file['id']}")).json().keys() == item.keys()
                assert {n: item[n] for n in ("id", "size")} == {n: file[n] for n in ("id", "size")}
                assert (await web.get(item["presigned_url"])).is_success
        # A browser's token reads nothing here.
        refused = await client.post("/v1/files/presign", json=body, headers=bob)
        assert (refused.status_code, slug(refused)) == (403, "insufficient-scope")

    async def test_bodies_that_do_not_fit(self, client: httpx.AsyncClient) -> None:
        for body in (
            {},
            {"ids": []},
            {"ids": [UNKNOWN_ID], "urls": ["x"]},
            {"ids": [UNKNOWN_ID] * 1001},
            {"urls": ["x"] * 1001},
            {"ids": ["x"]},
            {"ids": [UNKNOWN_ID], "details": 1},
            {"ids": [UNKNOWN_ID], "details": True, "reader": "script"},
        ):
            response = await client.post("/v1/files/presign", json=body)
            assert (response.status_code, slug(response)) == (422, "validation-failed"), body


class TestContent:
    """GET /v1/files/{id}/content, and what every link says of the answer's headers"""

    @pytest.mark.usefixtures("same_links")
    async def test_a_text_is_shown_or_saved(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        file = await stored(client, web, filename="Grüße.txt")
        path = f"/v1/files/{file['id']}/content"
        for query, disposition in (
            ({}, "inline"),
            ({"disposition": "inline"}, "inline"),
            ({"disposition": "attachment"}, "attachment"),
        ):
            redirect = await client.get(path, params=query)
            assert redirect.status_code == 302
            assert redirect.headers["cache-control"] == "no-store"
            read = await web.get(redirect.headers["location"])
            assert (read.status_code, read.content) == (200, b"hello")
            assert read.headers["content-type"] == "text/plain; charset=utf-8"
            assert read.headers["content-disposition"] == (
                f"{disposition}; filename=\"Gr__e.txt\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.txt"
            )
            # One and the same for browsers to cache.
            same = redirect.headers["location"] == file["presigned_url"]
            assert same is (disposition == "inline")

    @pytest.mark.usefixtures("same_links")
    async def test_a_destination_whose_objects_are_downloads(
        self, environ: dict[str, str], web: httpx.AsyncClient
    ) -> None:
        name = "CLAIMCHECK_DESTINATIONS__{}__CONTENT_DISPOSITION".format
        more = {name("DOWNLOADS"): "attachment; filename=x.txt", name("SHOWN"): "Inline"}
        async with running(await prepared(environ | more)) as client:
            for destination, usual in (("downloads", "attachment"), ("shown", "inline")):
                file = await stored(client, web, destination=destination)
                path = f"/v1/files/{file['id']}/content"
                for query, disposition in (
                    ("", usual),
                    ("?filename=a.txt", usual),
                    ("?disposition=inline", "inline"),
                    ("?disposition=attachment", "attachment"),
                ):
                    link = (await client.get(f"{path}{query}")).headers["location"]
                    read = await web.get(link)
                    shown = f'{disposition}; filename="a.txt"'
                    assert read.headers["content-disposition"] == shown
                    assert query or link == file["presigned_url"]

    async def test_a_name_to_save_under(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient
    ) -> None:
        file = await stored(client, web)
        path = f"/v1/files/{file['id']}/content"
        for name, fallback in (
            ('a"; filename="b.exe', "a_; filename=_b.exe"),
            ("../../etc/passwd", "passwd"),
            ("100%.png", "100_.png"),
            ("a\r\nSet-Cookie: b=c", "a Set-Cookie: b=c"),
        ):
            redirect = await client.get(path, params={"filename": name})
            read = await web.get(redirect.headers["location"])
            assert read.headers["content-disposition"].startswith(f'inline; filename="{fallback}"')
        for name in ("a\x1f", "\0", "..", ""):
            response = await client.get(path, params={"filename": name})
            assert (response.status_code, slug(response)) == (422, "invalid-filename"), name
        response = await client.get(path, params={"disposition": "form-data"})
        assert response.json()["errors"][0]["loc"] == ["query", "disposition"]

    async def test_what_a_browser_could_run_is_downloaded_whatever_is_asked(
        self, client: httpx.AsyncClient, web: httpx.AsyncClient, database_url: str
    ) -> None:
        for content_type in (
            "image/svg+xml",
            "IMAGE/SVG+XML",
            "text/html",
            "text/html; charset=utf-8",
            "application/xhtml+xml",
            "text/xml",
            "application/pdf",
            "text/javascript",
            "application/x-unknown",
            # Nobody would run this, but for what it is.
            "text/plain",
        ):
            data = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
            if content_type == "application/pdf":
                data = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
            file = await stored(client, web, data, "a.own", content_type=content_type)
            path = f"/v1/files/{file['id']}/content"
            links = [
                file["presigned_url"],
                (await client.get(path)).headers["location"],
                (await client.get(path, params={"disposition": "inline"})).headers["location"],
            ]
            for link in links:
                read = await web.get(link)
                assert read.content == data
                assert read.headers["content-type"] == "application/octet-stream", content_type
                assert read.headers["content-disposition"] == 'attachment; filename="a.own"'
            # The overrides are signed: without them the link is worth nothing.
            bare = httpx.URL(links[0]).copy_remove_param("response-content-disposition")
            assert (await web.get(bare)).status_code == 403

    async def test_there_is_none_before_confirm(self, client: httpx.AsyncClient) -> None:
        upload = await announced(client, b"x")
        for file_id in (upload["id"], UNKNOWN_ID):
            for path in (f"/v1/files/{file_id}", f"/v1/files/{file_id}/content"):
                response = await client.get(path)
                assert (response.status_code, slug(response)) == (404, "file-not-found")


async def test_another_owner_finds_nothing(
    client: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    file, upload = await stored(client, web), await announced(client, b"x")
    await send(web, upload["upload"], b"x")
    mallory, none = Principal("mallory"), Narrowing()
    async with open_resources(settings) as res:
        for made in (file, upload):
            made_id = UUID(made["id"])
            for use_case in (get_upload, renew_upload, confirm_upload):
                with pytest.raises(UploadNotFound):
                    await use_case(res, mallory, made_id)
            with pytest.raises(UploadNotFound):
                await cancel_upload(res, mallory, made_id)
            for use_case in (get_file, release_file, remove_file):
                with pytest.raises(FileNotFound):
                    await use_case(res, mallory, made_id)
            with pytest.raises(UploadNotFound):
                await confirm_url(res, mallory, made["url"])
            with pytest.raises(UploadNotFound):
                await confirm_key(res, mallory, "files", made["key"])
            assert await find_by_ids(res, mallory, [made_id]) == [None]
            assert await readable_by_ids(res, mallory, [made_id]) == [None]
            assert await readable_by_urls(res, mallory, [made["url"]]) == [None]
        assert await list_files(res, mallory, none, cursor=None, limit=10) == ([], None)
        # A cursor tells nothing and opens nothing to whom it was not given.
        await confirm_upload(res, DEV, UUID(upload["id"]))
        _, cursor = await list_files(res, DEV, none, cursor=None, limit=1)
        with pytest.raises(InvalidCursor):
            await list_files(res, mallory, none, cursor=cursor, limit=1)
    assert (await client.get(f"/v1/files/{file['id']}")).status_code == 200


async def test_links_live_as_long_as_the_destination_says(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    environ = environ | {
        "CLAIMCHECK_DESTINATIONS__FILES__UPLOAD_EXPIRES_IN": "604800",
        "CLAIMCHECK_DESTINATIONS__FILES__LINK_EXPIRES_IN": "1",
    }
    now = utc_now()
    settings = await prepared(environ)
    async with running(settings, clock=lambda: now) as client:
        file = await stored(client, web)
        upload = await announced(client, b"x")
    ends = datetime.fromisoformat(upload["upload"]["expires_at"])
    assert ends == now.replace(microsecond=0) + timedelta(days=7)
    assert query_of(file["presigned_url"])["X-Amz-Expires"] == "1"
    now -= timedelta(seconds=2)
    async with running(settings, clock=lambda: now) as client:
        link = (await client.get(f"/v1/files/{file['id']}")).json()
    assert datetime.fromisoformat(link["presigned_url_expires_at"]) < utc_now()
    assert (await web.get(link["presigned_url"])).status_code == 403


async def test_nothing_outlives_the_credentials(
    environ: dict[str, str],
    web: httpx.AsyncClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await prepared(environ)
    # Temporary credentials as a role has them, through botocore's own chain.
    ends = utc_now().replace(microsecond=0) + timedelta(minutes=30)
    (tmp_path / "credentials.json").write_text(
        json.dumps(
            {
                "Version": 1,
                "AccessKeyId": environ.pop("AWS_ACCESS_KEY_ID"),
                "SecretAccessKey": environ.pop("AWS_SECRET_ACCESS_KEY"),
                "Expiration": ends.isoformat(),
            }
        )
    )
    config = f"[default]\ncredential_process = cat {tmp_path}/credentials.json\n"
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)

    async with running(load_settings(environ)) as client:
        upload = await announced(client, b"hello")
        renewed = (await client.post(f"/v1/uploads/{upload['id']}/renew")).json()
        assert (await send(web, upload["upload"], b"hello")).is_success
        file = (await client.post(f"/v1/uploads/{upload['id']}/confirm")).json()
        listed = (await client.get("/v1/files")).json()["items"][0]
        signed = await client.post("/v1/files/presign", json={"ids": [file["id"]]})
        link = signed.json()["items"][0]
        content = (await client.get(f"/v1/files/{file['id']}/content")).headers["location"]
    for told in (
        upload["expires_at"],
        upload["upload"]["expires_at"],
        renewed["upload"]["expires_at"],
        file["presigned_url_expires_at"],
        listed["presigned_url_expires_at"],
        link["presigned_url_expires_at"],
    ):
        assert datetime.fromisoformat(told) == ends
    for url in (file["presigned_url"], listed["presigned_url"], link["presigned_url"], content):
        query = query_of(url)
        start = datetime.strptime(query["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        assert start + timedelta(seconds=int(query["X-Amz-Expires"])) == ends


async def test_links_are_the_same_within_a_window(
    environ: dict[str, str], web: httpx.AsyncClient
) -> None:
    name = "CLAIMCHECK_DESTINATIONS__{}__{}".format
    more = {
        name("STEADY", "LINK_EXPIRES_IN"): "3600",
        name("ANEW", "LINK_EXPIRES_IN"): "3600",
        name("ANEW", "LINK_WINDOW"): "0",
    }
    # A window's first moment, and so late that what is signed then works for long yet.
    now = utc_now()
    start = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    moment = [start]
    settings = await prepared(environ | more)
    async with running(settings, clock=lambda: moment[0]) as client:
        for destination, same in (("steady", True), ("anew", False)):
            moment[0] = start
            file = await stored(client, web, destination=destination)
            links = []
            for minutes in (0, 14.9, 15):
                moment[0] = start + timedelta(minutes=minutes)
                answer = (await client.get(f"/v1/files/{file['id']}")).json()
                ends = datetime.fromisoformat(answer["presigned_url_expires_at"])
                assert timedelta(hours=1) <= ends - moment[0] <= timedelta(hours=1.25)
                links.append(answer["presigned_url"])
            assert (links[0] == links[1]) is same
            assert links[1] != links[2]
            assert (await web.get(links[0])).content == b"hello"


def test_a_window_and_an_expiry_fit_into_seven_days() -> None:
    name = "CLAIMCHECK_DESTINATIONS__LONG__{}".format
    assert load_settings({name("LINK_EXPIRES_IN"): "604800"}).destinations["long"].window == 0
    with pytest.raises(ConfigurationError, match="link_window"):
        load_settings({name("LINK_EXPIRES_IN"): "604000", name("LINK_WINDOW"): "900"})


@pytest.mark.usefixtures("same_links")
async def test_a_link_is_signed_once_in_its_window(
    client: httpx.AsyncClient, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [await stored(client, web, filename=name) for name in ("a.txt", "b.txt")]
    saved = f"/v1/files/{files[0]['id']}/content?disposition=attachment"

    async def links() -> list[str]:
        listed = [file["presigned_url"] for file in (await client.get("/v1/files")).json()["items"]]
        return [*listed, (await client.get(saved)).headers["location"]]

    first, signed = await links(), UrlSigner.url_with
    assert len(set(first)) == 3
    made: list[str] = []

    def noted(self: UrlSigner, key: str, parameters: str) -> str:
        made.append(signed(self, key, parameters))
        return made[-1]

    monkeypatch.setattr(UrlSigner, "url_with", noted)
    assert await links() == first
    assert made == []
    # Names that are asked for would crowd out those of files.
    for _ in range(2):
        named = await client.get(f"{saved}&filename=x.txt")
        assert named.headers["location"] == made[-1]
    assert len(made) == 2
