"""Fixtures of tests of webhooks: open resources, with a clock of their own."""

from collections.abc import AsyncIterator

import pytest

from app.runtime.resources import Resources, open_resources
from app.settings.model import Settings, load_settings
from tests.support.service import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quick_settings(environ: dict[str, str]) -> Settings:
    """Without a bucket: nothing here asks for one."""
    return load_settings(environ)


@pytest.fixture
async def res(quick_settings: Settings, clock: Clock) -> AsyncIterator[Resources]:
    async with open_resources(quick_settings, clock=clock) as res:
        yield res
