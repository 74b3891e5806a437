"""A back end that asks people for files."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.core.principal import Scope
from app.settings.model import Settings
from tests.support.service import Clock, key_for, prepared, running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            "CLAIMCHECK_AUTH": "keys",
            "CLAIMCHECK_DATABASE_POOL_SIZE": "10",
            "CLAIMCHECK_DESTINATIONS__VIDEOS__ALLOW_CLIENT_KEYS": "true",
            "CLAIMCHECK_DESTINATIONS__IMAGES__SCOPES": "studio",
            "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "files",
        }
    )


@pytest.fixture
async def shop(settings: Settings, clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    """The back end, which acts for itself alone."""
    async with running(settings, clock=clock) as client:
        mine = [scope for scope in Scope if scope != Scope.FILES_ALL]
        client.headers.update(await key_for(settings, *mine, owner="shop", tenant="acme"))
        yield client
