"""Signers with static and with refreshing credentials."""

import aioboto3
import pytest

from app.store.signer import Signer
from tests.store.signer.steps import Clock, Provider, chained


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(clock: Clock) -> Provider:
    return Provider(clock)


@pytest.fixture
def static(clock: Clock) -> Signer:
    session = aioboto3.Session(aws_access_key_id="key", aws_secret_access_key="secret")
    return chained(session, clock)


@pytest.fixture
def refreshing(provider: Provider, clock: Clock) -> Signer:
    return chained(provider, clock)
