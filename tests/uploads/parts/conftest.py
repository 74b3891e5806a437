"""A service whose destinations take uploads in parts."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from tests.support.service import owner_of_bucket, prepared
from tests.uploads.parts.steps import DESTINATIONS


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(environ | {"CLAIMCHECK_DESTINATIONS": json.dumps(DESTINATIONS)})


@pytest.fixture
async def s3(settings: Settings) -> AsyncIterator[Any]:
    async with owner_of_bucket(settings) as s3:
        yield s3


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res
