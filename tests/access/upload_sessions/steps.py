"""Steps of the tests of upload sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.service import bearer
from tests.support.steps import slug


@asynccontextmanager
async def holding(client: httpx.AsyncClient, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service, for the browser that holds this token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(client._transport.app, raise_app_exceptions=False),  # type: ignore[attr-defined]
        base_url=client.base_url,
        headers=bearer(token),
    ) as browser:
        yield browser


ANNOUNCEMENT: dict[str, Any] = {"destination": "files", "filename": "a.png", "size": 10}


async def announce(browser: httpx.AsyncClient, **changes: Any) -> str:
    response = await browser.post("/v1/uploads", json=ANNOUNCEMENT | changes)
    return "" if response.status_code == 201 else slug(response)


async def used(shop: httpx.AsyncClient, session: dict[str, Any]) -> tuple[int, int]:
    shown = (await shop.get(f"/v1/upload-sessions/{session['id']}")).json()
    return shown["used_files"], shown["used_bytes"]
