"""The worker reads the very version that was confirmed, a piece at a time, on every store."""

from collections.abc import AsyncIterator

import pytest

from app.runtime.resources import Resources, open_resources
from app.settings.model import load_settings
from app.store.reading import reading
from tests.contract.flow import Flow
from tests.contract.stores import Feature, having

DATA = bytes(range(256)) * 2000


@pytest.fixture
async def res(flow: Flow, contract_database_url: str) -> AsyncIterator[Resources]:
    store = flow.store.service.environ(flow.store.bucket)
    ours = {"DATABASE_URL": contract_database_url, "CLAIMCHECK_AUTH": "none"}
    async with open_resources(load_settings(ours | store)) as res:
        yield res


async def read(res: Resources, key: str, version_id: str | None) -> bytes | None:
    destination = next(iter(res.settings.destinations.values()))
    async with reading(res.object_at(destination, key), version_id) as found:
        if found is None:
            return None
        pieces = [piece async for piece in found.chunks]
    data = b"".join(pieces)
    assert found.size == len(data)
    assert not data or max(map(len, pieces)) <= 128 * 1024
    return data


@having()
async def test_all_of_it(flow: Flow, res: Resources) -> None:
    file = await flow.file("put", DATA)
    assert await read(res, file["key"], file["version_id"]) == DATA
    empty = await flow.file("put", b"")
    assert await read(res, empty["key"], empty["version_id"]) == b""
    assert await read(res, file["key"] + "x", None) is None


@having(Feature.VERSIONS)
async def test_the_pinned_version(flow: Flow, res: Resources) -> None:
    file = await flow.file("put", DATA)
    flow.store.owner.put_object(Bucket=flow.store.bucket, Key=file["key"], Body=b"other")
    assert await read(res, file["key"], file["version_id"]) == DATA
    assert await read(res, file["key"], None) == b"other"
