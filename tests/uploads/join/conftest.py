"""A service whose own calls go through a faulty proxy."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from app import completion
from app.settings import Settings, load_settings
from tests.support.faulty_proxy import Meddler, meddler
from tests.support.service import prepared, running
from tests.uploads.join.steps import DESTINATIONS


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS)})


@pytest.fixture
async def between(settings: Settings, environ: dict[str, str]) -> AsyncIterator[Meddler]:
    async with meddler(environ["AWS_S3_ENDPOINT_URL"]) as between:
        yield between


@pytest.fixture
def meddled(environ: dict[str, str], between: Meddler) -> dict[str, str]:
    """The environment of a service whose own calls go through the meddler; browsers' do not."""
    return environ | {
        "CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS),
        "AWS_S3_ENDPOINT_URL": between.address,
        "AWS_S3_PUBLIC_ENDPOINT_URL": environ["AWS_S3_ENDPOINT_URL"],
    }


@pytest.fixture
async def other(meddled: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service."""
    async with running(load_settings(meddled)) as client:
        yield client


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits before it tries again."""
    monkeypatch.setattr(completion, "_RETRY_DELAYS", (0.0, 0.0))
