"""A tenant's back end, and staff at the panel."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from app.settings.model import Settings
from app.staff import accounts as staff
from tests.admin.panel import CHEAP, Panel, member
from tests.admin.views.steps import RECORDS, SCOPES
from tests.support.service import key_for, prepared, running


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff, "_hasher", lambda: CHEAP)


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    ours = {"CLAIMCHECK_AUTH": "keys", "CLAIMCHECK_ADMIN": "true"}
    settings = await prepared(environ | ours | RECORDS)
    await member(settings, tenant="acme")
    return settings


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A back end of the tenant."""
    async with running(settings) as client:
        client.headers.update(await key_for(settings, *SCOPES, owner="shop", tenant="acme"))
        yield client


@pytest.fixture
async def browsers(client: httpx.AsyncClient) -> Callable[[], Panel]:
    """Other clients of the same service, without a key."""

    def browser() -> Panel:
        return Panel(httpx.AsyncClient(transport=client._transport, base_url="http://127.0.0.1"))

    return browser


@pytest.fixture
async def panel(browsers: Callable[[], Panel]) -> Panel:
    panel = browsers()
    await panel.sign_in()
    return panel
