"""The panel's records, without a browser."""

import re

import httpx

from tests.admin.panel import Panel, member, said
from tests.admin.views.steps import link
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID, prepared, running
from tests.support.steps import stored


async def uploaded(panel: Panel, web: httpx.AsyncClient, field: str, name: str) -> str:
    """Upload as the field does; the file's id."""
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
    """A mistake in one field leaves no other one changed, and is mended by saving again."""
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
