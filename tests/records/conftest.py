"""A service with records of products, and what the tests ask beside its API."""

from collections.abc import AsyncIterator

import pytest

from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings
from tests.records.steps import RECORDS
from tests.support.service import prepared


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    return await prepared(
        environ
        | {
            f"{RECORDS}PICTURE__DESTINATION": "images",
            f"{RECORDS}MANUAL__DESTINATION": "files",
            f"{RECORDS}GALLERY__DESTINATION": "images",
            f"{RECORDS}GALLERY__MANY": "true",
            f"{RECORDS}GALLERY__MAX_FILES": "30",
            "CLAIMCHECK_RECORDS__EMPLOYEE__PHOTO__DESTINATION": "images",
            "CLAIMCHECK_DATABASE_POOL_SIZE": "25",
        }
    )


@pytest.fixture
async def res(settings: Settings) -> AsyncIterator[Resources]:
    async with open_resources(settings) as res:
        yield res
