"""Steps of the tests of completion."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.core.parts import MIB
from app.settings.model import Settings
from app.uploads.confirm import confirm_upload
from tests.support.faulty_proxy import Rule
from tests.support.steps import announced, send

DATA = bytes(range(256)) * (5 * MIB // 256) + b"the end"
DESTINATIONS = {"large": {"method": "multipart", "part_size": 5 * MIB}}


async def confirm_impatiently(client: httpx.AsyncClient, upload: dict[str, Any]) -> httpx.Response:
    """Confirm, with a service that waits for no more than a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(confirm_upload.__kwdefaults__, "wait_seconds", 0.2)
        return await confirm(client, upload)


async def begin(client: httpx.AsyncClient, upload: dict[str, Any], complete: Rule) -> None:
    """Confirm, and go away once the bucket has been asked: the work goes on."""
    request = asyncio.create_task(confirm(client, upload))
    await asyncio.wait_for(complete.asked.wait(), 120)
    request.cancel()
    await asyncio.wait({request})


async def sent(client: httpx.AsyncClient, web: httpx.AsyncClient) -> dict[str, Any]:
    """An upload whose bytes are all there."""
    upload = await announced(client, DATA, "a.bin", destination="large")
    assert (await send(web, upload["upload"], DATA)).status_code == 200
    return upload


async def confirm(client: httpx.AsyncClient, upload: dict[str, Any]) -> httpx.Response:
    return await client.post(f"/v1/uploads/{upload['id']}/confirm")


async def state(client: httpx.AsyncClient, upload: dict[str, Any]) -> str:
    return str((await client.get(f"/v1/uploads/{upload['id']}")).json()["state"])


async def is_the_file(response: httpx.Response, web: httpx.AsyncClient) -> None:
    assert response.status_code == 200, response.text
    assert (await web.get(response.json()["presigned_url"])).content == DATA


async def until(done: Callable[[], Any]) -> None:
    """Wait for what another does."""
    for _ in range(3000):
        if await done():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not come to pass")


async def is_confirmed(client: httpx.AsyncClient, upload: dict[str, Any]) -> bool:
    return await state(client, upload) == "confirmed"


async def sent_again(
    client: httpx.AsyncClient, upload: dict[str, Any], web: httpx.AsyncClient
) -> dict[str, Any]:
    renewed = (await client.post(f"/v1/uploads/{upload['id']}/renew")).json()
    assert (await send(web, renewed["upload"], DATA)).status_code == 200
    return renewed


async def uploads_of(s3: Any, settings: Settings) -> list[str]:
    said = await s3.list_multipart_uploads(Bucket=settings.destinations["large"].bucket)
    return [upload["UploadId"] for upload in said.get("Uploads", [])]


async def not_uploads_of(s3: Any, settings: Settings) -> bool:
    return not await uploads_of(s3, settings)
