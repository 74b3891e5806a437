"""The panel's views and what can be done in them, without a browser."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from app import staff
from app.core.principal import SCOPE_DESCRIPTIONS
from app.errors import DatabaseUnavailable
from app.settings import Settings
from tests.admin.panel import CHEAP, Panel, member, said
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID, key_for, prepared, running
from tests.support.steps import announced, stored

SCOPES = ("uploads:write", "files:read", "files:delete", "records:read", "records:write")
RECORDS = {
    "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
    "CLAIMCHECK_RECORDS__PRODUCT__PAPERS__DESTINATION": "files",
    "CLAIMCHECK_RECORDS__PRODUCT__PAPERS__MANY": "true",
    "CLAIMCHECK_RECORDS__PERSON__PHOTO__DESTINATION": "images",
    "CLAIMCHECK_RECORDS__PERSON__PHOTO__SCOPES": "photos:write",
}


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "_hasher", lambda: CHEAP)


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    ours = {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_ADMIN": "true"}
    settings = await prepared(environ | ours | RECORDS)
    await member(settings, tenant="acme")
    return settings


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A back end of the tenant."""
    async with running(settings) as client:
        client.headers.update(await key_for(settings, *SCOPES, owner="shop", tenant="acme"))
        yield client


@pytest.fixture
async def browsers(client: httpx.AsyncClient) -> Callable[[], Panel]:
    """Other clients of the same service, without a key."""

    def browser() -> Panel:
        return Panel(httpx.AsyncClient(transport=client._transport, base_url="http://127.0.0.1"))

    return browser


@pytest.fixture
async def panel(browsers: Callable[[], Panel]) -> Panel:
    panel = browsers()
    await panel.sign_in()
    return panel


async def signed_in(browser: Panel, settings: Settings, name: str, **how: Any) -> Panel:
    await member(settings, name, **how)
    await browser.sign_in(name)
    return browser


def link(page: httpx.Response, label: str) -> str:
    """The address behind a link with this text, below /admin."""
    found = re.search(rf'<a[^>]*href="([^"]*)"[^>]*>{label}</a>', page.text)
    assert found, f"no link {label!r}"
    return found[1].replace("&amp;", "&").partition("/admin")[2]


async def status_of(web: httpx.AsyncClient, file: dict[str, Any]) -> int:
    return (await web.get(file["presigned_url"])).status_code


async def test_files_are_found(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    picture = await stored(client, web, PNG, "Été <b>.png", destination="images")
    notes = await stored(client, web, b"hello", "notes.txt", content_type="text/plain")
    page = await panel.page("/files")
    assert "2 files" in page
    assert "Été <b>.png" in page
    assert "image/png 33 bytes shop Confirmed" in page
    # A thumbnail, and a link to copy; text is no picture.
    html = (await panel.get("/files")).text
    assert "image/<wbr>png" in html
    [thumbnail] = re.findall(r'<img src="(http[^"]+)"', html)
    assert (await web.get(thumbnail.replace("&amp;", "&"))).status_code == 200
    assert html.count("data-copy=") == 2

    today = notes["created_at"][:10]
    for query, found in (
        ("q=NOT", "notes.txt"),
        ("q=x", None),
        ("destination=images", "Été <b>.png"),
        ("destination=nosuch", None),
        ("owner=shop&type=text/plain", "notes.txt"),
        ("owner=eve", None),
        ("type=image", "Été <b>.png"),
        ("type=image/*", "Été <b>.png"),
        ("state=rejected", None),
        (f"since={today}&until={today}&q=notes", "notes.txt"),
        ("since=2999-01-01", None),
        ("until=1999-01-01", None),
        ("loose=1&q=notes", "notes.txt"),
    ):
        page = await panel.page(f"/files?{query}")
        assert ("1 file " in page) is (found is not None), query
        assert found is None or found in page
    for nonsense in ("state=x", "since=x", "until=9999-99-99", "after=x", "q=%00", "x=y"):
        assert "2 files" in await panel.page(f"/files?{nonsense}")

    page = await panel.page(f"/files/{picture['id']}")
    assert picture["key"] in page
    assert "In records none" in page
    opened = await panel.get(f"/files/{picture['id']}/open")
    assert opened.status_code == 302
    assert (await web.get(opened.headers["location"])).content == PNG


async def test_files_page_by_page(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.files.PAGE", 2)
    for number in range(5):
        await stored(client, web, b"hello", f"n{number}.txt")
    page = await panel.get("/files?owner=shop")
    seen = [re.findall(r"n\d\.txt(?=</bdi>)", page.text)]
    while ">Next</a>" in page.text:
        page = await panel.get(link(page, "Next"))
        seen.append(re.findall(r"n\d\.txt(?=</bdi>)", page.text))
    assert seen == [["n4.txt", "n3.txt"], ["n2.txt", "n1.txt"], ["n0.txt"]]
    page = await panel.get(link(page, "Previous"))
    assert re.findall(r"n\d\.txt(?=</bdi>)", page.text) == ["n2.txt", "n1.txt"]
    page = await panel.get(link(page, "First"))
    assert "n4.txt" in page.text
    assert "5 files" in said(page)


async def test_forgetting_a_file_leaves_the_object(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    file = await stored(client, web)
    asked = await panel.get(f"/files/{file['id']}/release")
    assert "Forget the file, and keep its object?" in said(asked)
    assert "1 file" in await panel.page("/files")
    page = await panel.act(f"/files/{file['id']}/release")
    assert "a.txt is forgotten. Its object is still in the bucket." in page
    assert "No files yet" in page
    assert await status_of(web, file) == 200
    assert (await client.get(f"/v1/files/{file['id']}")).status_code == 404
    assert "1 file" in await panel.page("/files?state=released")


async def test_deleting_takes_the_object_too(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    file = await stored(client, web)
    assert "Delete the file and its object?" in await panel.page(f"/files/{file['id']}/delete")
    page = await panel.act(f"/files/{file['id']}/delete")
    assert "a.txt is deleted, and its object with it." in page
    assert await status_of(web, file) == 404


@pytest.mark.parametrize("way", ["release", "delete"])
async def test_what_a_record_holds_stays(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel, way: str
) -> None:
    file = await stored(client, web)
    await client.put("/v1/records/product/42/papers", json={"file_ids": [file["id"]]})
    page = await panel.act(f"/files/{file['id']}/{way}")
    assert "Records hold the file: take it out of them first." in page
    assert "They are: product 42 (papers)." in page
    assert "In records product 42 (papers)" in page
    assert await status_of(web, file) == 200


async def test_others_files_are_not_there(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    panel: Panel,
    browsers: Callable[[], Panel],
    settings: Settings,
) -> None:
    file = await stored(client, web)
    upload = await announced(client, b"x", "pending.txt")
    await client.put("/v1/records/product/42/papers", json={"file_ids": [file["id"]]})
    key = (await key_for(settings, *SCOPES, owner="other", tenant="acme"))["Authorization"]
    stranger = await signed_in(browsers(), settings, "eve", tenant="other")
    assert "No files yet" in await stranger.page("/files")
    assert "None" in await stranger.page("/uploads")
    assert "No records yet" in await stranger.page("/records/product")
    assert "No keys yet" in await stranger.page("/keys")
    for path in (f"/files/{file['id']}", "/records/product/of/42", f"/files/{UNKNOWN_ID}"):
        assert (await stranger.get(path)).status_code == 404
    for path in ("release", "delete"):
        assert (await stranger.post(f"/files/{file['id']}/{path}")).status_code == 404
    assert (await stranger.post(f"/uploads/{upload['id']}/abort")).status_code == 404
    assert (await stranger.post("/records/product/of/42/forget")).status_code == 404
    put = {"record-id": "7", "field-papers": file["id"]}
    refused = await stranger.post("/records/product/new", put)
    assert "No confirmed file of yours has the id" in said(refused)
    assert (await client.get(f"/v1/files/{file['id']}")).status_code == 200
    assert (await client.get("/v1/files", headers={"Authorization": key})).status_code == 200
    listed = re.findall(r"/keys/([0-9a-f-]{36})/revoke", (await panel.get("/keys")).text)
    assert len(listed) == 2
    await stranger.post(f"/keys/{listed[0]}/revoke")
    assert (await client.get("/v1/files", headers={"Authorization": key})).status_code == 200


async def test_scopes_are_what_one_may_do(
    client: httpx.AsyncClient,
    web: httpx.AsyncClient,
    browsers: Callable[[], Panel],
    settings: Settings,
) -> None:
    file = await stored(client, web)
    reader = await signed_in(browsers(), settings, "bob", tenant="acme", scopes=["files:read"])
    page = await reader.get("/files", follow_redirects=True)
    assert "a.txt" in page.text
    for other in ("API keys", "Uploads", "Records"):
        assert other not in said(page)
    assert "Delete record" not in await reader.page(f"/files/{file['id']}")
    for path in ("/keys", "/uploads", "/records", f"/files/{file['id']}/delete"):
        assert (await reader.get(path)).status_code == 403
    for path in (
        "/keys/new",
        f"/keys/{UNKNOWN_ID}/revoke",
        f"/uploads/{file['id']}/abort",
        f"/files/{file['id']}/delete",
        f"/files/{file['id']}/release",
        "/records/product/new",
        "/records/product/fields/papers/session",
    ):
        assert (await reader.post(path)).status_code == 403
    assert await status_of(web, file) == 200

    # He may read records, and not write them.
    looker = await signed_in(
        browsers(), settings, "carl", tenant="acme", scopes=["records:read", "uploads:write"]
    )
    await client.put("/v1/records/product/42/papers", json={"file_ids": [file["id"]]})
    page = await looker.page("/records/product/of/42")
    assert "Save" not in page
    refused = await looker.post("/records/product/of/42", {"field-papers": ""})
    assert "takes the scope records:write" in said(refused)
    assert (await looker.post("/records/product/fields/papers/session")).status_code == 403
    # And a field may ask for more than that.
    writer = await signed_in(browsers(), settings, "dora", tenant="acme", scopes=list(SCOPES))
    refused = await writer.post(
        "/records/person/new", {"record-id": "1", "field-photo": file["id"]}
    )
    assert "takes the scope photos:write" in said(refused)


async def test_uploads_in_flight_are_aborted(
    client: httpx.AsyncClient, panel: Panel, database_url: str
) -> None:
    upload = await announced(client, b"x", "one.txt")
    other = await announced(client, b"x", "two.txt")
    page = await panel.page("/uploads")
    assert "2 uploads" in page
    assert "two.txt files POST 1 byte shop" in page
    assert "Abort the upload?" in await panel.page(f"/uploads/{upload['id']}/abort")
    page = await panel.act(f"/uploads/{upload['id']}/abort")
    assert "The upload of one.txt is aborted." in page
    assert "1 upload" in page
    assert (await client.post(f"/v1/uploads/{upload['id']}/confirm")).status_code == 404
    assert (await panel.get(f"/uploads/{upload['id']}/abort")).status_code == 404

    db = await asyncpg.connect(database_url)
    await db.execute(
        "UPDATE files SET state = 'rejected', reason = 'a page' WHERE filename = 'two.txt'"
    )
    await db.close()
    assert "two.txt a page" in await panel.page("/uploads?state=rejected")
    await panel.act(f"/uploads/{other['id']}/abort")
    assert "None" in await panel.page("/uploads?state=rejected")
    assert "0 uploads" in await panel.page("/uploads?state=nosuch")


async def test_keys_are_made_shown_once_and_revoked(
    client: httpx.AsyncClient, panel: Panel
) -> None:
    data = {
        "name": "cron <i>",
        "owner": "bob",
        "scopes": ["files:read", "uploads:write"],
        "days": "3",
    }
    made = await panel.post("/keys/new", data)
    assert made.status_code == 200
    [token] = re.findall(r"<code id=\"token\">(claimcheck_key_[\w-]{43})<", made.text)
    bearer = {"Authorization": f"Bearer {token}"}
    upload = await announced(client, b"x", destination="files")
    assert (await client.get("/v1/files", headers=bearer)).status_code == 200
    assert (await client.get(f"/v1/uploads/{upload['id']}", headers=bearer)).status_code == 404
    page = await panel.get("/keys")
    assert token not in page.text
    assert "cron <i> for bob files:read uploads:write" in said(page)
    [key] = re.findall(r"/keys/([0-9a-f-]{36})/revoke\" aria-label=\"Revoke cron", page.text)
    asked = await panel.page(f"/keys/{key}/revoke?name=another+one")
    assert "Revoke the key?" in asked
    assert "cron <i>" in asked
    assert "another one" not in asked
    assert (await panel.get(f"/keys/{UNKNOWN_ID}/revoke")).status_code == 404
    assert "The key is revoked." in await panel.act(f"/keys/{key}/revoke")
    assert (await client.get("/v1/files", headers=bearer)).status_code == 401
    gone = await panel.act(f"/keys/{UNKNOWN_ID}/revoke")
    assert "Your tenant has no API key with this id." in gone


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": " "}, "Give the key a name"),
        ({"owner": "a\0b"}, "Give the key a name"),
        ({"scopes": []}, "Choose at least one thing"),
        ({"scopes": ["nosuch"]}, "Your credential does not hold nosuch itself."),
        ({"days": "9999999999"}, "A key works for 1 to 3650 days"),
        ({"days": "-1"}, "A key works for 1 to 3650 days"),
    ],
)
async def test_a_key_that_cannot_be(panel: Panel, changes: dict[str, Any], words: str) -> None:
    data = {"name": "a", "owner": "", "scopes": ["files:read"], "days": "3"} | changes
    response = await panel.post("/keys/new", data)
    assert response.status_code in {403, 422}
    assert words in said(response)
    assert "claimcheck_key_" not in response.text


async def test_the_form_says_what_each_scope_lets_a_key_do(
    panel: Panel, browsers: Callable[[], Panel], settings: Settings
) -> None:
    page = await panel.page("/keys")
    for scope, lets in SCOPE_DESCRIPTIONS.items():
        assert f"{scope} {lets}" in page
    assert "photos:write put files into the field photo of person" in page
    # Nobody gives more than he has.
    other = await signed_in(browsers(), settings, "bob", tenant="acme", scopes=["admin"])
    page = await other.page("/keys")
    assert f"admin {SCOPE_DESCRIPTIONS['admin']}" in page
    assert "photos:write" not in page


async def test_keys_page_by_page(
    client: httpx.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.admin.keys.PAGE", 1)
    await panel.post("/keys/new", {"name": "newest", "scopes": "files:read", "days": "0"})
    page = await panel.get("/keys")
    assert "newest" in said(page)
    older = await panel.get(link(page, "Next"))
    assert "newest" not in said(older)
    assert "for shop" in said(older)
    assert "newest" in said(await panel.get("/keys?cursor=nonsense"))


async def test_destinations_are_shown(panel: Panel, settings: Settings) -> None:
    page = await panel.page("/destinations")
    assert "images image/*" in page
    assert "videos/" in page
    assert settings.destinations["files"].bucket in page


async def uploaded(panel: Panel, web: httpx.AsyncClient, field: str, name: str) -> str:
    """What the upload field does; the file's id."""
    client = panel.client
    answer = await client.post(
        f"/admin/records/product/fields/{field}/session",
        headers={"X-CSRFToken": await panel.token()},
    )
    assert answer.status_code == 200, answer.text
    session = answer.json()
    assert session["endpoint"] == "http://127.0.0.1/"
    async with httpx.AsyncClient(
        transport=client._transport,
        base_url=session["endpoint"],
        headers={"Authorization": f"Bearer {session['token']}"},
    ) as browser:
        file = await stored(browser, web, PNG, name, destination=session["destination"])
    return str(file["id"])


async def test_a_record_is_made_changed_and_forgotten(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    """By the ids of uploads, as the field gives them; nothing is ever lost in the bucket."""
    assert "No records yet" in await panel.page("/records/product")
    picture = await uploaded(panel, web, "picture", "one.png")
    paper = await uploaded(panel, web, "papers", "paper.png")
    name = "42#?%&+~"
    data = {"record-id": name, "owner": "shop", "field-picture": picture, "field-papers": paper}
    page = await panel.act("/records/product/new", data)
    assert f"Product {name} is saved." in page
    record = (await client.get("/v1/records/product/42%23%3F%25&+~")).json()
    assert record["fields"]["picture"]["file_id"] == picture
    assert [file["file_id"] for file in record["fields"]["papers"]] == [paper]
    page = await panel.page("/records/product?q=42")
    assert f"{name} " in page
    assert "one.png" in page
    assert "1 file shop" in page

    path = link(await panel.get("/records/product"), re.escape(name.replace("&", "&amp;")))
    form = await panel.get(path)
    assert f'value="{picture}" data-filename="one.png"' in form.text
    [etag] = re.findall(r'name="etag" value="&#34;([^&]+)&#34;"', form.text)
    etag = f'"{etag}"'
    other = await uploaded(panel, web, "picture", "two.png")
    data = {
        "etag": etag,
        "field-picture": other,
        "field-papers": [paper, await uploaded(panel, web, "papers", "more.png")],
    }
    assert "is saved" in await panel.act(path, data)
    record = (await client.get("/v1/records/product/42%23%3F%25&+~")).json()
    assert record["fields"]["picture"]["file_id"] == other
    assert len(record["fields"]["papers"]) == 2
    # The file that was there is a file still.
    assert "one.png" in await panel.page("/files?loose=1")

    # Whoever has the form of before that may not undo it unseen.
    stale = await panel.post(path, {"etag": etag, "field-picture": "", "field-papers": ""})
    assert stale.status_code == 422
    assert "Somebody else has changed this record" in said(stale)
    form = await panel.get(path)
    [etag] = re.findall(r'name="etag" value="&#34;([^&]+)&#34;"', form.text)
    cleared = await panel.act(path, {"etag": f'"{etag}"', "field-picture": "", "field-papers": ""})
    assert "is saved" in cleared
    record = (await client.get("/v1/records/product/42%23%3F%25&+~")).json()
    assert record["fields"] == {"picture": None, "papers": []}
    assert "4 files" in await panel.page("/files")

    assert "Forget the record?" in await panel.page(f"{path}/forget")
    assert "is forgotten. Its files are still there." in await panel.act(f"{path}/forget")
    assert (await client.get("/v1/records/product/42%23%3F%25&+~")).status_code == 404
    assert (await panel.post(path, {"field-picture": other})).status_code == 404


async def test_records_that_cannot_be(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    file = await stored(client, web, PNG, "a.png", destination="images")
    await client.put("/v1/records/product/42/picture", json={"file_id": file["id"]})
    good = {"record-id": "7", "field-picture": file["id"]}
    for changes, words in (
        ({"record-id": "a/b"}, "The id must be 1 to 200 visible ASCII characters"),
        ({"record-id": ""}, "The id must be 1 to 200 visible ASCII characters"),
        ({"owner": "\0"}, "The owner must be printable"),
        ({"field-picture": ""}, "Choose at least one file"),
        ({"field-picture": UNKNOWN_ID}, "No confirmed file of yours has the id"),
        ({"field-picture": "", "field-papers": file["id"]}, "takes files of destination files"),
        ({"field-picture": [file["id"], UNKNOWN_ID]}, "takes 1 file(s) at most"),
        ({"record-id": "42"}, "there is one with this id already"),
    ):
        response = await panel.post("/records/product/new", good | changes)
        assert response.status_code == 422, changes
        assert words in said(response)
    assert (
        await panel.post("/records/product/new", good | {"field-picture": "x"})
    ).status_code == 400
    assert (await panel.get("/records/nosuch")).status_code == 404
    assert (await panel.get("/records/product/of/nosuch")).status_code == 404
    answer = await panel.post("/records/product/fields/nosuch/session")
    assert answer.status_code == 404
    assert "have no field 'nosuch'" in answer.json()["detail"]
    assert "1 file" in await panel.page("/files")


async def test_a_record_is_saved_whole_or_not_at_all(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    """What is wrong with one field leaves no other one changed, and is mended by saving again."""
    picture = await uploaded(panel, web, "picture", "one.png")
    paper = await uploaded(panel, web, "papers", "paper.png")
    data = {"record-id": "7", "owner": "shop", "field-picture": picture}
    data |= {"field-papers": [paper, picture]}
    refused = await panel.post("/records/product/new", data)
    assert refused.status_code == 422
    assert "takes files of destination files" in said(refused)
    assert (await client.get("/v1/records/product/7")).status_code == 404
    assert "is saved" in await panel.act("/records/product/new", data | {"field-papers": paper})
    record = (await client.get("/v1/records/product/7")).json()
    assert record["fields"]["picture"]["file_id"] == picture

    form = await panel.get("/records/product/of/7")
    [etag] = re.findall(r'name="etag" value="&#34;([^&]+)&#34;"', form.text)
    data = {"etag": f'"{etag}"', "field-picture": "", "field-papers": [paper, picture]}
    assert (await panel.post("/records/product/of/7", data)).status_code == 422
    record = (await client.get("/v1/records/product/7")).json()
    assert record["fields"]["picture"]["file_id"] == picture
    assert "is saved" in await panel.act("/records/product/of/7", data | {"field-papers": paper})


async def test_the_upload_fields_token_opens_nothing_else(panel: Panel) -> None:
    answer = await panel.client.post(
        "/admin/records/product/fields/picture/session",
        headers={"X-CSRFToken": await panel.token()},
    )
    browser = {"Authorization": f"Bearer {answer.json()['token']}"}
    for path in ("/v1/files", "/v1/api-keys", "/v1/records/product/42"):
        assert (await panel.client.get(path, headers=browser)).status_code == 403
    elsewhere = {"destination": "files", "filename": "a", "size": 1}
    refused = await panel.client.post("/v1/uploads", json=elsewhere, headers=browser)
    assert refused.status_code == 403


async def test_with_no_types_of_records_the_page_says_how_to_have_some(
    environ: dict[str, str],
) -> None:
    settings = await prepared(environ | {"CLAIMCHECK_ADMIN": "true"})
    await member(settings)
    async with running(settings) as client:
        panel = Panel(client)
        await panel.sign_in()
        assert "No type of records is declared" in await panel.page("/records")


async def test_a_database_that_is_away_is_said_in_words(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **how: Any) -> None:
        raise DatabaseUnavailable("The database did not answer; try again in a moment.")

    monkeypatch.setattr("app.admin.files.search_files", away)
    response = await panel.get("/files")
    assert response.status_code == 503
    assert "The database did not answer" in said(response)
