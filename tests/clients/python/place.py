"""Shared by the tests of the Python client: where the service is, and both clients as one."""

import asyncio
from dataclasses import dataclass
from typing import Any

from claimcheck_client import AsyncClient, Client

from app.settings.model import Settings
from tests.support.faulty_proxy import FaultyProxy

PART = 5 << 20
SCOPES = (
    *("uploads:write", "files:read", "files:delete", "records:read", "records:write"),
    *("sessions:mint", "events:read"),
)


@dataclass(frozen=True)
class Place:
    """Where clients find the service, their key, and what lies before its bucket."""

    url: str
    key: str
    proxy: FaultyProxy
    settings: Settings


class Caller:
    """One of the two clients; its methods are called by name, and awaited."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self.client = client

    async def __call__(self, name: str, *arguments: Any, **options: Any) -> Any:
        *rooms, last = name.split(".")
        owner: Any = self.client
        for room in rooms:
            owner = getattr(owner, room)
        method = getattr(owner, last)
        if isinstance(self.client, AsyncClient):
            return await method(*arguments, **options)
        return await asyncio.to_thread(method, *arguments, **options)

    async def listed(self, name: str, **options: Any) -> list[Any]:
        owner: Any = self.client
        for room in name.split("."):
            owner = getattr(owner, room)
        if isinstance(self.client, AsyncClient):
            return [item async for item in owner(**options)]
        return await asyncio.to_thread(lambda: list(owner(**options)))
