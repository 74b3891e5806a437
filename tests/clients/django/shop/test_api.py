"""The shop's API as scripts use it: those who may change products, and those who may not."""

import asyncio
from typing import Any

import httpx
import pytest
from claimcheck_client import Client

from tests.clients.django.shop.place import API, Shop, bytes_at

ANN, BOB = ("ann", "-"), ("bob", "-")
LAMP = {"name": "Lamp of a script", "price": "12.50"}


async def session(shop: Shop, auth: Any, field: str = "image") -> httpx.Response:
    return await shop.web.post(f"{API}upload-session/{field}/", auth=auth)


async def sent(shop: Shop, auth: Any, body: bytes, field: str = "image") -> str:
    """The id of a file that they have uploaded with a session for the field."""
    made = (await session(shop, auth, field)).raise_for_status().json()

    def upload() -> str:
        with Client(made["endpoint"], made["token"], cache=None) as client:
            return client.upload(body, made["destination"], filename="lamp.png")["id"]

    return await asyncio.to_thread(upload)


async def test_a_script_uploads_and_makes_a_product(shop: Shop, picture: bytes) -> None:
    image = await sent(shop, ANN, picture)
    made = await shop.web.post(API, json={**LAMP, "image": image}, auth=ANN)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["image"], told["video"]) == (image, None)
    assert await bytes_at(told["presigned_image"]) == picture
    # What was read can be written.
    where = f"{API}{told['id']}/"
    assert (await shop.web.put(where, json=told, auth=ANN)).status_code == 200
    emptied = await shop.web.patch(where, json={"image": None}, auth=ANN)
    assert emptied.json()["presigned_image"] is None
    assert await shop.has_object(image)


@pytest.mark.parametrize("auth", [None, BOB])
async def test_who_may_not_change_products_may_not_upload(shop: Shop, auth: Any) -> None:
    assert (await session(shop, auth)).status_code in (401, 403)
    assert (await shop.web.post(API, json=LAMP, auth=auth)).status_code in (401, 403)
    assert (await session(shop, ANN, "name")).status_code == 404


async def test_files_of_others_and_of_other_fields_are_refused(shop: Shop, picture: bytes) -> None:
    theirs = await sent(shop, ("eve", "-"), picture)
    for image in (theirs, "nonsense", 1, "https://example.com/a.png"):
        answer = await shop.web.post(API, json={**LAMP, "image": image}, auth=ANN)
        assert (answer.status_code, list(answer.json())) == (400, ["image"])
    ours = await sent(shop, ANN, picture)
    answer = await shop.web.post(API, json={**LAMP, "video": ours}, auth=ANN)
    assert (answer.status_code, list(answer.json())) == (400, ["video"])
