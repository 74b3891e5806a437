"""A service that believes an issuer on loopback."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.issuer import Issuer, running_issuer
from tests.support.service import Clock, prepared, running


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(
    environ: dict[str, str], issuer: Issuer, clock: Clock
) -> AsyncIterator[httpx.AsyncClient]:
    settings = await prepared(environ | issuer.environ())
    async with running(settings, clock=clock) as client:
        yield client
