"""Requests for files in the panel, without a browser."""

import re
from collections.abc import Callable

import httpx
import pytest

from app.settings.model import Settings
from app.staff import accounts as staff
from app.staff.accounts import set_password
from tests.admin.panel import NAME, PASSWORD, Panel, resources, said
from tests.admin.views.steps import signed_in
from tests.support.service import UNKNOWN_ID, bearer
from tests.support.steps import slug, stored

FORM = {
    "note": "Pictures of <the> harbour",
    "target": "files",
    "max_files": "2",
    "max_size": "1",
    "days": "3",
}


async def made(panel: Panel, **changes: str) -> tuple[str, str]:
    """The token of a new request's link, and the request's page."""
    page = await panel.post("/requests", FORM | changes)
    assert page.status_code == 200, page.text
    [link] = re.findall(r"<code id=\"token\">([^<]*)<", page.text)
    [path] = re.findall(r"(/requests/[0-9a-f-]{36})/close", page.text)
    address, _, token = link.partition("#")
    assert address == "http://127.0.0.1/r"
    return token, path


async def test_a_request_is_made_followed_and_closed(
    client: httpx.AsyncClient, web: httpx.AsyncClient, panel: Panel
) -> None:
    token, path = await made(panel)
    link = bearer(token)
    seen = (await client.get("/v1/requests/open", headers=link)).json()
    assert seen["note"] == FORM["note"]
    assert (seen["files_left"], seen["destination"]["max_size"]) == (2, 1 << 20)
    sender = {"name": "Bob <b>", "email": "bob@example.com"}
    session = (await client.post("/v1/requests/open", json=sender, headers=link)).json()
    key = client.headers["authorization"]
    client.headers.update(bearer(session["token"]))
    await stored(client, web, b"hello", "harbour.txt")
    client.headers["authorization"] = key

    page = await panel.get(path)
    assert token not in page.text
    assert "harbour.txt Bob <b> bob@example.com browser" in said(page)
    assert "1 of 2, each up to 1 MiB" in said(page)
    listed = await panel.page("/requests")
    assert "Pictures of <the> harbour files, by staff:ann@example.com 1 of 2 Open" in listed

    assert "Close the request?" in await panel.page(f"{path}/close")
    assert (await client.get("/v1/requests/open", headers=link)).status_code == 200
    assert "The request is closed." in await panel.act(f"{path}/close")
    assert slug(await client.get("/v1/requests/open", headers=link)) == "invalid-token"
    assert "Closed" in await panel.page("/requests")


async def test_it_may_go_into_the_field_of_a_record(
    client: httpx.AsyncClient, panel: Panel
) -> None:
    token, path = await made(panel, target="product.papers", record="42")
    seen = await client.get("/v1/requests/open", headers=bearer(token))
    assert seen.json()["destination"]["name"] == "files"
    assert "files: product 42, papers" in await panel.page(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"note": " "}, "Note: Value error, must be text"),
        ({"max_files": "many"}, "Files, MiB and days are whole numbers."),
        ({"max_files": "0"}, "Max files: Input should be greater than or equal to 1."),
        ({"days": "91"}, "Expires in: "),
        ({"target": "nowhere"}, "There is no destination"),
        ({"target": "product.papers", "record": ""}, "Id: "),
        ({"target": "person.photo", "record": "1"}, ""),
    ],
)
async def test_what_is_wrong_is_said_and_the_form_kept(
    panel: Panel, changes: dict[str, str], words: str
) -> None:
    page = await panel.post("/requests", FORM | changes)
    if not words:
        assert page.status_code == 200
        return
    assert page.status_code == 422
    assert words in said(page)
    assert "No requests yet" in said(page)
    if "note" not in changes:
        assert "Pictures of <the> harbour" in said(page)


async def test_it_takes_the_scope(
    panel: Panel, browsers: Callable[[], Panel], settings: Settings
) -> None:
    _, path = await made(panel)
    other = await signed_in(browsers(), settings, "bob", tenant="acme", scopes=["files:read"])
    assert "Requests" not in await other.page("/files")
    for page in ("/requests", path, f"{path}/close"):
        assert (await other.get(page)).status_code == 403
    assert (await other.post("/requests", FORM)).status_code == 403
    assert (await other.post(f"{path}/close")).status_code == 403
    # Nor is it another tenant's.
    stranger = await signed_in(browsers(), settings, "eve", tenant="other")
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.post(f"{path}/close")).status_code == 404
    assert (await panel.get(f"/requests/{UNKNOWN_ID}")).status_code == 404
    assert "Open" in await panel.page(path)


async def test_links_outlive_a_password_and_end_with_the_account(
    client: httpx.AsyncClient, panel: Panel, settings: Settings
) -> None:
    token, _ = await made(panel)
    link = bearer(token)
    async with resources(settings) as res:
        assert await set_password(res, NAME, PASSWORD) is not None
        opened = await client.post("/v1/requests/open", headers=link)
        assert opened.status_code == 201
        disabled = await staff.disable(res, NAME)
        assert disabled is not None
        assert (len(disabled.requests), len(disabled.sessions)) == (1, 1)
    assert slug(await client.post("/v1/requests/open", headers=link)) == "upload-session-exhausted"
