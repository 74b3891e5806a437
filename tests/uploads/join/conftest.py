"""A service whose own calls go through a faulty proxy."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from app.settings.model import Settings, load_settings
from app.uploads import join
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.service import prepared, running
from tests.uploads.join.steps import DESTINATIONS


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS)})


@pytest.fixture
async def proxy(settings: Settings, environ: dict[str, str]) -> AsyncIterator[FaultyProxy]:
    async with faulty_proxy(environ["AWS_S3_ENDPOINT_URL"]) as proxy:
        yield proxy


@pytest.fixture
def proxied(environ: dict[str, str], proxy: FaultyProxy) -> dict[str, str]:
    """The environment of a service whose own calls, not browsers', go through the proxy."""
    return environ | {
        "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
        "AWS_S3_ENDPOINT_URL": proxy.address,
        "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
    }


@pytest.fixture
async def other(proxied: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service."""
    async with running(load_settings(proxied)) as client:
        yield client


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits before it tries again."""
    monkeypatch.setattr(join, "_RETRY_DELAYS", (0.0, 0.0))
