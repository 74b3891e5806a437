"""Who may change records: scopes, fields' own scopes, and upload sessions that are bound to one."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.core.principal import Scope
from app.errors import ConfigurationError
from app.settings.model import Settings, load_settings
from tests.records.steps import acting
from tests.support.service import bearer, key_for, prepared, running
from tests.support.steps import announced, minted, send, slug, stored

PRICE, PICTURE = "/v1/records/product/42/price-list", "/v1/records/product/42/picture"
PATH = {"type": "product", "id": "42", "field": "picture"}
PLAIN = (Scope.UPLOADS_WRITE, Scope.FILES_READ, Scope.RECORDS_READ, Scope.RECORDS_WRITE)


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
            "CLAIMCHECK_RECORDS__PRODUCT__PRICE-LIST__DESTINATION": "files",
            "CLAIMCHECK_RECORDS__PRODUCT__PRICE-LIST__SCOPES": "sales, prices:write",
            "CLAIMCHECK_RECORDS__PRODUCT__GALLERY": '{"destination": "images", "many": true}',
            "CLAIMCHECK_RECORDS__PAGE__PICTURE__DESTINATION": "files",
        }
    )


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A back end with all scopes but that for its whole tenant."""
    scopes = [*(set(Scope) - {Scope.FILES_ALL}), "sales", "prices:write"]
    async with running(settings) as client:
        client.headers.update(await key_for(settings, *scopes, owner="shop", tenant="acme"))
        yield client


async def test_reading_and_writing_are_scopes_of_their_own(
    shop: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    file = await stored(shop, web)
    assert (await shop.put(PICTURE, json={"file_id": file["id"]})).status_code == 200
    for held, wanted in (
        (Scope.RECORDS_READ, Scope.RECORDS_WRITE),
        (Scope.RECORDS_WRITE, Scope.RECORDS_READ),
    ):
        headers = await key_for(settings, held, owner="shop", tenant="acme")
        for method, path in (
            ("GET", "/v1/records/product/42"),
            ("GET", "/v1/records/product?ids=42"),
            ("PUT", PICTURE),
            ("DELETE", PICTURE),
            ("DELETE", "/v1/records/product/42"),
        ):
            if (method == "GET") is (wanted == Scope.RECORDS_READ):
                body = {"file_id": file["id"]} if method == "PUT" else None
                response = await shop.request(method, path, json=body, headers=headers)
                assert (response.status_code, slug(response)) == (403, "insufficient-scope")
                assert response.json()["scope"] == wanted
    assert (await shop.get("/v1/records/product/42")).json()["fields"]["picture"] is not None


async def test_a_field_may_ask_for_more(
    shop: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    file = await stored(shop, web)
    body = {"file_id": file["id"]}
    for path in (PRICE, PICTURE):
        assert (await shop.put(path, json=body)).status_code == 200
    for more, lacks in (
        ((), "prices:write"),
        (("sales",), "prices:write"),
        (("x",), "prices:write"),
    ):
        headers = await key_for(settings, *PLAIN, *more, owner="shop", tenant="acme")
        async with acting(shop, headers) as clerk:
            upload = await announced(clerk, b"x")
            assert (await send(web, upload["upload"], b"x")).is_success
            confirm = f"/v1/uploads/{upload['id']}/confirm"
            for response in (
                await clerk.put(PRICE, json=body),
                await clerk.delete(PRICE),
                await clerk.delete("/v1/records/product/42"),
                await clerk.post(confirm, json={"attach_to": PATH | {"field": "price-list"}}),
            ):
                assert (response.status_code, slug(response)) == (403, "insufficient-scope")
                assert response.json()["scope"] == lacks
            # The other field is open to them, and reading is.
            assert (await clerk.post(confirm, json={"attach_to": PATH})).status_code == 200
            fields = (await clerk.get("/v1/records/product/42")).json()["fields"]
            assert fields["price-list"]["file_id"] == file["id"]
            assert fields["picture"]["file_id"] == upload["id"]
    assert (await shop.delete("/v1/records/product/42")).status_code == 204


@pytest.mark.parametrize("scopes", ["two words", "ünïcode", 'quo"te', "x" * 101])
def test_what_is_no_scope(scopes: str) -> None:
    name = "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__"
    environ = {f"{name}DESTINATION": "images", f"{name}SCOPES": scopes}
    with pytest.raises(ConfigurationError, match=r"records\.product\.picture\.scopes.*scope"):
        load_settings(environ)


async def test_a_session_puts_what_it_confirms_into_its_record(
    shop: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    session = await minted(shop, owner="ann", max_files=3, attach_to=PATH)
    assert session["attach_to"] == PATH
    async with acting(shop, bearer(session["token"])) as browser:
        first = await stored(browser, web)
        # The browser says nothing of it, and cannot say anything else.
        upload = await announced(browser, b"x")
        assert (await send(web, upload["upload"], b"x")).is_success
        confirm = f"/v1/uploads/{upload['id']}/confirm"
        for path in (PATH, PATH | {"id": "43"}):
            response = await browser.post(confirm, json={"attach_to": path})
            assert slug(response) == "insufficient-scope"
        for _ in range(2):
            assert (await browser.post(confirm)).status_code == 200
        for response in (
            await browser.get("/v1/records/product/42"),
            await browser.put(PICTURE, json={"file_id": first["id"]}),
            await browser.delete(PICTURE),
        ):
            assert slug(response) == "insufficient-scope"
        # Nor does it choose among what it confirmed before.
        assert (await browser.post(f"/v1/uploads/{first['id']}/confirm")).status_code == 200
    # The record is the back end's, the file is Ann's.
    record = (await shop.get("/v1/records/product/42")).json()
    assert record["fields"]["picture"]["file_id"] == upload["id"]
    assert (await shop.get(f"/v1/files/{upload['id']}")).status_code == 404
    assert (await shop.delete(PICTURE)).status_code == 204
    shown = (await shop.get(f"/v1/upload-sessions/{session['id']}")).json()
    assert shown["attach_to"] == PATH
    assert "owner" not in shown["attach_to"]


async def test_a_session_is_bound_by_its_makers_right(
    shop: httpx.AsyncClient, web: httpx.AsyncClient, settings: Settings
) -> None:
    file = await stored(shop, web)
    assert (await shop.put(PICTURE, json={"file_id": file["id"]})).status_code == 200
    minting = (Scope.SESSIONS_MINT, Scope.UPLOADS_WRITE, Scope.FILES_READ, Scope.RECORDS_READ)

    async def refusal(*scopes: str, tenant: str = "acme", **change: Any) -> tuple[int, str]:
        headers = await key_for(settings, *minting, *scopes, owner="rival", tenant=tenant)
        body = {"destination": "files", "attach_to": PATH | change}
        response = await shop.post("/v1/upload-sessions", json=body, headers=headers)
        return response.status_code, response.is_error and slug(response)

    write = Scope.RECORDS_WRITE
    assert await refusal() == (403, "insufficient-scope")
    assert await refusal(write) == (404, "record-not-found")
    assert await refusal(write, field="film") == (404, "unknown-record-field")
    assert await refusal(write, type="film") == (404, "unknown-record-field")
    assert await refusal(write, field="gallery") == (422, "wrong-destination")
    assert await refusal(write, id="43", field="price-list") == (403, "insufficient-scope")
    assert await refusal(write, id="a/b") == (422, "validation-failed")
    assert await refusal(write, id="43") == (201, False)
    # Another tenant's record of this name is another record.
    assert await refusal(write, tenant="other") == (201, False)

    staff = await key_for(settings, *minting, write, Scope.FILES_ALL, owner="staff", tenant="acme")
    async with acting(shop, staff) as desk:
        session = await minted(desk, owner="bob", attach_to=PATH)
    async with acting(shop, bearer(session["token"])) as browser:
        upload = await stored(browser, web)
    held = (await shop.get("/v1/records/product/42")).json()
    assert held["fields"]["picture"]["file_id"] == upload["id"]

    # A record that somebody else has made in the meantime is not the session's any more.
    session = await minted(shop, attach_to=PATH)
    assert (await shop.delete("/v1/records/product/42")).status_code == 204
    other = await key_for(settings, *PLAIN, owner="rival", tenant="acme")
    async with acting(shop, other) as rival:
        theirs = await stored(rival, web)
        assert (await rival.put(PICTURE, json={"file_id": theirs["id"]})).status_code == 200
    async with acting(shop, bearer(session["token"])) as browser:
        upload = await announced(browser, b"x")
        assert (await send(web, upload["upload"], b"x")).is_success
        for _ in range(2):
            response = await browser.post(f"/v1/uploads/{upload['id']}/confirm")
            assert (response.status_code, slug(response)) == (404, "record-not-found")
        shown = await browser.get(f"/v1/uploads/{upload['id']}")
        assert shown.json()["state"] == "pending"
