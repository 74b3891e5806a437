"""The panel as a browser without scripts sees it."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import argon2
import httpx

from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from app.staff import accounts as staff

NAME, PASSWORD = "ann@example.com", "correct horse battery"
CSRF = "starlette_admin_csrftoken"
# Good for tests alone: the real ones take a moment and 64 MiB each.
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res


async def member(
    settings: Settings,
    name: str = NAME,
    tenant: str = "",
    scopes: list[str] | None = None,
) -> None:
    async with open_resources(settings) as res:
        assert await staff.create(res, name, PASSWORD, tenant=tenant, scopes=scopes)


class Panel:
    """One browser's client of the panel."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str = "", **how: Any) -> httpx.Response:
        return await self.client.get(f"/admin{path}", **how)

    async def page(self, path: str = "") -> str:
        """The text of a page, once redirects are followed."""
        response = await self.get(path, follow_redirects=True)
        assert response.status_code == 200, response.text
        return said(response)

    async def token(self) -> str:
        await self.get("/login")
        return self.client.cookies[CSRF]

    async def post(
        self, path: str, data: dict[str, Any] | None = None, **how: Any
    ) -> httpx.Response:
        return await self.client.post(
            f"/admin{path}", data={"csrftoken": await self.token(), **(data or {})}, **how
        )

    async def act(self, path: str, data: dict[str, Any] | None = None) -> str:
        """Post a form; what the page that it leads to says."""
        response = await self.post(path, data, follow_redirects=True)
        assert response.status_code == 200, response.text
        return said(response)

    async def sign_in(
        self, name: str = NAME, password: str = PASSWORD, path: str = "/login", **how: Any
    ) -> httpx.Response:
        return await self.post(path, {"username": name, "password": password}, **how)

    @property
    def session(self) -> str | None:
        """The cookie of the session, if there is one."""
        names = [one for one in self.client.cookies if one.startswith("claimcheck_admin_")]
        return self.client.cookies[names[0]] if names else None


def said(response: httpx.Response) -> str:
    """The text of a page, white space made single."""
    text = response.text.replace("<wbr>", "")
    text = re.sub(r"<(script|style).*?</\1>", " ", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
