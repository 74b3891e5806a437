"""Requests with a body that nobody may read."""

from collections.abc import AsyncIterator

import httpx

BODIES: list[dict[str, str]] = [
    {"content-type": "application/json"},
    {"content-type": "application/json", "content-length": "2000000"},
    {"content-type": "application/json", "content-length": "99999999999"},
    {"content-type": "application/x-www-form-urlencoded", "content-length": "50"},
    {"content-type": "multipart/form-data; boundary=b"},
]


class Unreadable:
    """A body that says what it is, and that nobody may touch."""

    def __init__(self) -> None:
        self.reads = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.reads += 1
        yield b"["


async def unread(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> httpx.Response:
    """The answer to a request with a body, of which nothing was read."""
    body = Unreadable()
    response = await client.request(method, path, content=body, headers=headers)
    assert body.reads == 0, (method, path)
    return response
