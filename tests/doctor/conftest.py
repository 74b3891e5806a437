"""Buckets that were set up, for the doctor to examine."""

import pytest

from tests.support.buckets import Ward, ceph_ward, embedded_ward


@pytest.fixture
async def ward(request: pytest.FixtureRequest, database_url: str) -> Ward:
    """On the store that the parameter names."""
    if request.param == "embedded":
        return await embedded_ward(request.getfixturevalue("gate"), database_url)
    return await ceph_ward(request.getfixturevalue("gateway"), database_url)
