"""Steps of the tests of requests for files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.service import bearer

NOTE = "The pictures of the harbour, please.\nAnn"


async def asked(shop: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """A new request: the answer's JSON, with the token of its link as `token`."""
    answer = await shop.post("/v1/requests", json={"destination": "files", "note": NOTE} | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    path, _, token = made["link"].partition("#")
    assert path == "/r"
    return made | {"token": token}


@asynccontextmanager
async def holding(client: httpx.AsyncClient, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service, for the browser that holds this token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(client._transport.app, raise_app_exceptions=False),  # type: ignore[attr-defined]
        base_url=client.base_url,
        headers=bearer(token),
    ) as browser:
        yield browser


@asynccontextmanager
async def sending(
    client: httpx.AsyncClient, request: dict[str, Any], **sender: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client for a browser that has opened a session with the request's link."""
    answer = await client.post(
        "/v1/requests/open", json=sender or None, headers=bearer(request["token"])
    )
    assert answer.status_code == 201, answer.text
    async with holding(client, answer.json()["token"]) as browser:
        yield browser


def file(size: int = 10, filename: str = "a.txt", **more: Any) -> dict[str, Any]:
    """An announcement."""
    return {"destination": "files", "filename": filename, "size": size} | more
