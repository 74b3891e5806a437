"""Forms that the field sends, and forms that it never sent: what the server makes of them."""

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest

from app.admin.upload_field.seal import seal, unseal
from app.admin.upload_field.service import ClaimcheckService
from tests.admin.shop import Shop
from tests.support.samples import PNG
from tests.support.service import UNKNOWN_ID
from tests.support.steps import announced, send

FORM = "/admin/product/create"
ALBUM = "/staff/album/create"
NO_SUCH_FILE = "The upload service has no such file for this field. Choose the file again."


class Staff:
    """Somebody with a browser's cookies, who sends forms as they please."""

    def __init__(self, web: httpx.AsyncClient) -> None:
        self.web = web

    async def post(self, form: str, **fields: str | list[str]) -> httpx.Response:
        await self.web.get(form)
        token = self.web.cookies["starlette_admin_csrftoken"]
        return await self.web.post(form, data={**fields, "csrftoken": token})

    async def refused(self, form: str, **fields: str | list[str]) -> str:
        """The message of the page that is shown again."""
        answer = await self.post(form, **fields)
        assert answer.status_code == 422, answer.text
        [said] = re.findall(r'class="invalid-feedback"[^>]*>(.*?)</div>', answer.text, re.DOTALL)
        return unescape(said)


@pytest.fixture
async def staff(shop: Shop) -> AsyncIterator[Staff]:
    async with httpx.AsyncClient(base_url=shop.url, trust_env=False, timeout=30) as web:
        staff = Staff(web)
        signed_in = await staff.post("/staff/login", username="ann", password="-")
        assert signed_in.status_code == 303
        yield staff


async def upload(
    shop: Shop, web: httpx.AsyncClient, destination: str = "images", **headers: str
) -> dict[str, str]:
    """A confirmed file of the shop's, or of whoever the headers are of."""
    api = shop.api
    body = {"destination": destination, "filename": "a.png", "size": len(PNG)}
    told = (await api.post("/v1/uploads", json=body, headers=headers)).raise_for_status().json()
    assert (await send(web, told["upload"], PNG)).is_success
    confirm = f"/v1/uploads/{told['id']}/confirm"
    file: dict[str, str] = (await api.post(confirm, headers=headers)).raise_for_status().json()
    return file


def secret_of(shop: Shop) -> bytes:
    key = shop.key["Authorization"].removeprefix("Bearer ")
    return ClaimcheckService(shop.service, key).secret


async def test_an_id_is_resolved_to_the_url(
    shop: Shop, staff: Staff, web: httpx.AsyncClient
) -> None:
    file = await upload(shop, web)
    assert (await staff.post(FORM, name="By id", image=file["id"])).status_code == 303
    assert shop.image_of("By id") == file["url"]


async def test_what_is_no_file_of_the_shops_for_this_field_is_refused(
    shop: Shop, staff: Staff, web: httpx.AsyncClient
) -> None:
    ours = await upload(shop, web)
    theirs = await upload(shop, web, **shop.others)
    elsewhere = await upload(shop, web, destination="papers")
    pending = await announced(shop.api, PNG, "a.png", destination="images")
    secret = b"not the shop's"
    known = secret_of(shop)
    for value in (
        theirs["id"],
        theirs["url"],
        ours["url"],
        elsewhere["id"],
        pending["id"],
        UNKNOWN_ID,
        ours["id"].upper(),
        f" {ours['id']}",
        f"../uploads/{ours['id']}",
        "kept",
        "kept::",
        f"kept::{ours['url']}",
        seal(secret, "image", ours["url"]),
        # Sealed for a field of this name and nothing else: another model may have one, too.
        seal(known, "image", ours["url"]),
        seal(known, "\0".join(("held", "album", "image", "images")), ours["url"]),
        seal(known, "shown", ours["url"]),
        "\0",
        "javascript:alert(1)",
    ):
        assert await staff.refused(FORM, name="Tampered", image=value) == NO_SUCH_FILE, value
    assert "Tampered" not in [name for name, _ in shop.rows()]


async def test_more_files_than_fit_and_a_form_without_the_field_are_refused(
    shop: Shop, staff: Staff, web: httpx.AsyncClient
) -> None:
    ids = [(await upload(shop, web))["id"] for _ in range(2)]
    assert await staff.refused(FORM, name="Two", image=ids) == "Only one file can go here."
    assert "without this field" in await staff.refused(FORM, name="None")
    paper = (await upload(shop, web, destination="papers"))["id"]
    said = await staff.refused(ALBUM, name="Four", pictures=ids * 2, paper=paper)
    assert said == "At most 3 files can go here."
    assert await staff.refused(ALBUM, name="No paper", pictures="", paper="") == (
        "This field is required."
    )


async def test_a_form_that_is_shown_again_still_has_its_files(
    shop: Shop, staff: Staff, web: httpx.AsyncClient
) -> None:
    picture, paper = await upload(shop, web), await upload(shop, web, destination="papers")
    answer = await staff.post(ALBUM, name="", pictures=[picture["id"], "x"], paper=paper["id"])
    assert answer.status_code == 422
    for file in (picture, paper):
        assert f'value="{file["id"]}"' in answer.text
    assert 'data-filename="a.png"' in answer.text


async def test_a_list_keeps_its_order_and_a_field_may_keep_ids(
    shop: Shop, staff: Staff, web: httpx.AsyncClient
) -> None:
    files = [await upload(shop, web) for _ in range(3)]
    paper = await upload(shop, web, destination="papers")
    ids = [file["id"] for file in files]
    assert (await staff.post(ALBUM, name="A", pictures=ids, paper=paper["id"])).is_redirect
    [(pk, pictures, kept)] = shop.rows("id, pictures, paper", "albums")
    assert pictures == str([file["url"] for file in files]).replace("'", '"')
    assert kept == paper["id"]
    # The form gives back what it holds, sealed; in another order, and one of them gone.
    form = f"/staff/album/edit?pk={pk}"
    page = (await staff.web.get(form)).text
    held = [unescape(value) for value in re.findall(r'name="pictures"\s+value="([^"]+)"', page)]
    [sealed] = re.findall(r'name="paper"\s+value="([^"]+)"', page)
    assert len(held) == 3
    fields = {"name": "A", "pictures": [held[2], held[0]], "paper": unescape(sealed)}
    assert (await staff.post(form, **fields)).is_redirect
    [(pictures, kept)] = shop.rows("pictures, paper", "albums")
    assert pictures == str([files[2]["url"], files[0]["url"]]).replace("'", '"')
    assert kept == paper["id"]
    # What was sealed for one field is nothing in another.
    assert await staff.refused(form, name="A", pictures="", paper=held[0]) == NO_SUCH_FILE
    assert (await staff.post(form, name="A", pictures="", paper=unescape(sealed))).is_redirect
    assert shop.rows("pictures", "albums") == [("[]",)]


async def test_a_url_that_the_service_does_not_know_stays_until_it_is_taken_out(
    shop: Shop, staff: Staff
) -> None:
    old = "https://elsewhere.example.com/media/products/old%20one.jpg"
    pk = shop.insert("Before", old)
    form = f"/admin/product/edit?pk={pk}"
    page = (await staff.web.get(form)).text
    assert 'data-filename="old one.jpg"' in page
    [sealed] = re.findall(r'name="image"\s+value="([^"]+)"', page)
    purpose = "\0".join(("held", "product", "image", "images"))
    assert unescape(sealed) == seal(secret_of(shop), purpose, old)
    assert (await staff.post(form, name="After", image=unescape(sealed))).is_redirect
    assert shop.image_of("After") == old
    # Its link is one that the admin has shown, and leads nowhere.
    shown = (await staff.web.get(f"/admin/product/detail?pk={pk}")).text
    [href] = re.findall(r'href="([^"]+/file\?of=[^"]+)"', shown)
    assert (await staff.web.get(unescape(href))).status_code == 404
    assert (await staff.post(form, name="After", image="")).is_redirect
    assert shop.image_of("After") is None


async def test_links_lead_to_what_the_admin_has_shown_and_to_nothing_else(
    shop: Shop, staff: Staff, web: httpx.AsyncClient
) -> None:
    file = await upload(shop, web)
    assert (await staff.post(FORM, name="Shown", image=file["id"])).is_redirect
    [pk] = [pk for pk, name in shop.rows("id, name") if name == "Shown"]
    shown = (await staff.web.get(f"/admin/product/detail?pk={pk}")).text
    [href] = re.findall(r'href="([^"]+/file\?of=[^"]+)"', shown)
    answer = await staff.web.get(unescape(href))
    assert (await web.get(answer.headers["location"])).content == PNG
    for of in (file["url"], file["id"], seal(b"?", "shown", file["url"]), ""):
        answer = await staff.web.get("/admin/plugins/claimcheck/file", params={"of": of})
        assert answer.status_code == 404


async def test_a_session_is_for_who_may_change_a_field_with_this_destination(
    shop: Shop, staff: Staff
) -> None:
    start = "/staff/plugins/claimcheck/session"
    await staff.web.get("/staff/album/list")
    token = {"X-CSRFToken": staff.web.cookies["starlette_admin_csrftoken"]}
    answer = await staff.web.post(f"{start}/papers", headers=token)
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"token", "endpoint", "destination"}
    assert answer.json()["token"].startswith("claimcheck_upload_")
    for destination in ("elsewhere", "files"):
        answer = await staff.web.post(f"{start}/{destination}", headers=token)
        assert answer.status_code == 403
        assert answer.json()["title"] == "Not allowed"
    assert (await staff.web.post(f"{start}/papers")).status_code == 403  # forged
    staff.web.cookies.delete("staff")
    answer = await staff.web.post(f"{start}/papers", headers=token)
    assert answer.status_code == 303  # to the log-in


def test_a_seal_is_for_one_purpose_and_of_one_secret() -> None:
    for value in ("", "a", "a:b:c", "https://example.com/ü?x=1", "\0"):
        sealed = seal(b"1", "image", value)
        assert unseal(b"1", "image", sealed) == value
        assert unseal(b"2", "image", sealed) is None
        assert unseal(b"1", "picture", sealed) is None
        assert unseal(b"1", "image", f"{sealed}x") is None
        assert unseal(b"1", "image", sealed[:-1]) is None
    assert unseal(b"1", "image", "kept:ü:a") is None
