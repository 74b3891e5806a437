"""A service whose destinations are such that a sweep has every kind of work."""

from collections.abc import AsyncIterator

import pytest

from app.core.parts import MIB
from app.settings.model import Settings
from tests.support.service import owner_of_bucket
from tests.upkeep.sweep.steps import Bucket


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    prefix = "CLAIMCHECK_DESTINATIONS__"
    return environ | {
        f"{prefix}FILES__PART_SIZE": str(5 * MIB),
        f"{prefix}FILES__MULTIPART_EXPIRES_IN": "3600",
        f"{prefix}FILES__MULTIPART_THRESHOLD": str(5 * MIB),
        f"{prefix}VIDEOS__UNCONFIRMED": "delete",
        f"{prefix}IMAGES__METHOD": "put",
        f"{prefix}IMAGES__CONDITIONAL_WRITES": "true",
    }


@pytest.fixture
async def bucket(settings: Settings) -> AsyncIterator[Bucket]:
    async with owner_of_bucket(settings) as s3:
        yield Bucket(s3, settings)
