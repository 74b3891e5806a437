"""Buckets that were set up, for the doctor to examine."""

import pytest

from tests.support.buckets import SetUpBucket, ceph_bucket, embedded_bucket


@pytest.fixture
async def bucket(request: pytest.FixtureRequest, database_url: str) -> SetUpBucket:
    """On the store that the parameter names."""
    if request.param == "embedded":
        return await embedded_bucket(request.getfixturevalue("gate"), database_url)
    return await ceph_bucket(request.getfixturevalue("gateway"), database_url)
