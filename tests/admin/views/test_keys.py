"""Scopes and API keys in the panel, without a browser."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.core.principal import SCOPE_DESCRIPTIONS
from app.settings.model import Settings
from tests.admin.panel import Panel, said
from tests.admin.views.steps import SCOPES, link, signed_in, status_of
from tests.support.service import UNKNOWN_ID
from tests.support.steps import announced, stored


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
    for path in ("/keys", "/uploads", "/records"):
        refused = await reader.get(path)
        assert refused.status_code == 403
        assert "ask whoever makes the accounts" in refused.text
    refused = await reader.get(f"/files/{file['id']}/delete")
    assert refused.status_code == 403
    assert "This takes the scope files:delete" in refused.text
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

    # They may read records, and not write them.
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


async def test_the_keys_that_a_key_made_are_shown_and_go_with_it_on_demand(
    client: httpx.AsyncClient, panel: Panel
) -> None:
    async def made(name: str) -> dict[str, str]:
        data = {"name": name, "scopes": ["admin", "files:read"], "days": "3"}
        page = await panel.post("/keys/new", data)
        [token] = re.findall(r"<code id=\"token\">(claimcheck_key_[\w-]{43})<", page.text)
        return {"Authorization": f"Bearer {token}"}

    async def works(headers: dict[str, str]) -> bool:
        return (await client.get("/v1/files", headers=headers)).status_code == 200

    for choice, still_works in ({}, True), ({"made": "revoke"}, False):
        maker = await made(f"maker {still_works}")
        [key, *_] = (await client.get("/v1/api-keys", headers=maker)).json()["items"]
        assert key["made_with"].startswith("staff:")
        assert "made with it" not in await panel.page(f"/keys/{key['id']}/revoke")
        body = {"name": "child <i>", "scopes": ["files:read"]}
        child = (await client.post("/v1/api-keys", json=body, headers=maker)).json()
        asked = await panel.page(f"/keys/{key['id']}/revoke")
        assert "Revoke the keys that were made with it, too child <i>" in asked
        said = await panel.act(f"/keys/{key['id']}/revoke", choice)
        assert "The key is revoked" in said
        assert ("with it the keys" in said) is not still_works
        assert not await works(maker)
        assert await works({"Authorization": f"Bearer {child['token']}"}) is still_works


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": " "}, "Give the key a name"),
        ({"owner": "a\0b"}, "Give the key a name"),
        ({"scopes": []}, "Choose at least one thing"),
        ({"scopes": ["nosuch"]}, "Your credential does not hold nosuch itself."),
        ({"days": "9999999999"}, "A key works for 1 to 3650 days"),
        ({"days": "-1"}, "A key works for 1 to 3650 days"),
        ({"days": "²"}, "A key works for 1 to 3650 days"),
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
    # Nobody gives more than they have.
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


async def test_whoever_has_to_sign_in_again_comes_back_to_the_form(
    browsers: Callable[[], Panel], panel: Panel
) -> None:
    fresh = browsers()
    sent_away = await fresh.post("/keys/new", {"name": "x"})
    back = await fresh.sign_in(path=sent_away.headers["location"].partition("/admin")[2])
    assert back.headers["location"].endswith("/keys/new")
    answer = await fresh.client.get(back.headers["location"], follow_redirects=True)
    assert answer.status_code == 200
    assert str(answer.url).endswith("/admin/keys")
