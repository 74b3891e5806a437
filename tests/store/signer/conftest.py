"""Signers with static and with refreshing credentials."""

import pytest

from app.store.signer import Signer
from tests.store.signer.steps import Clock, Provider, chained, keyed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(clock: Clock) -> Provider:
    return Provider(clock)


@pytest.fixture
def static(clock: Clock) -> Signer:
    session = keyed()
    return chained(session, clock)


@pytest.fixture
def refreshing(provider: Provider, clock: Clock) -> Signer:
    return chained(provider, clock)
