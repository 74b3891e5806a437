"""The service on each store of the table in turn, on a database of this suite's own."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from app.core.parts import MIB
from app.doctor.examine import examine
from app.settings.model import load_settings
from tests.contract.flow import DRESS, Clock, Flow
from tests.contract.stores import Feature, Kind
from tests.support.service import SESSION_SECRET, own_database, running

DESTINATIONS = {
    "post": {"method": "post"},
    "multipart": {"method": "multipart", "part_size": 5 * MIB},
    "dressed-post": {"method": "post", **DRESS},
    "dressed-put": {"method": "put", **DRESS},
    "dressed-multipart": {"method": "multipart", **DRESS},
    "once-put": {"method": "put", "allow_existence_optimization": True},
    "once-inline": {"method": "put", "allow_existence_optimization": True, **DRESS},
    "once-multipart": {"method": "multipart", "allow_existence_optimization": True},
    "examined": {"method": "put", "max_pixels": 1_000_000, "archives": {"max_entries": 200}},
    "md5-post": {"method": "post", "integrity": "md5"},
    "md5-multipart": {"method": "multipart", "part_size": 5 * MIB, "integrity": "md5"},
    "chosen": {"allow_client_keys": True, "unsized_parts": False, "min_size": 3, "max_size": 6},
}
# Files of either destination that the tests of links put into records.
RECORDS = {
    f"of-{name}": {"files": {"destination": name, "many": True}}
    for name in ("once-put", "once-inline")
}


@pytest.fixture(scope="session")
async def contract_database_url(postgres_url: str) -> str:
    """Apart from the other tests' database: here files stay while a store is open."""
    return await own_database(postgres_url)


@pytest.fixture(scope="session")
async def flow_on(
    contract_database_url: str,
) -> AsyncIterator[Callable[[Kind], Awaitable[Flow]]]:
    """Opens each store once, when it is first wanted, for the whole session."""
    flows: dict[str, Flow | None] = {}
    async with AsyncExitStack() as stack:

        async def flow_on(kind: Kind) -> Flow:
            if kind.name not in flows:
                flows[kind.name] = None
                opening = _opened(kind, contract_database_url)
                flows[kind.name] = await stack.enter_async_context(opening)
            flow = flows[kind.name]
            assert flow, f"{kind.name} did not open: the first test that wanted it says why"
            return flow

        yield flow_on


@pytest.fixture
async def flow(request: pytest.FixtureRequest, flow_on: Callable[[Kind], Awaitable[Flow]]) -> Flow:
    """The store that `having`, `lacking` or `sending` chose."""
    return await flow_on(request.param)


@asynccontextmanager
async def _opened(kind: Kind, database_url: str) -> AsyncIterator[Flow]:
    clock = Clock()
    async with kind.open() as store:
        destinations = {
            **DESTINATIONS,
            **{
                name: {
                    "method": "put",
                    "conditional_writes": kind.has(Feature.CONDITIONAL_WRITES),
                    "integrity": integrity,
                }
                for name, integrity in (("put", "off"), ("md5-put", "md5"))
            },
        }
        settings = load_settings(
            {
                "DATABASE_URL": database_url,
                "CLAIMCHECK_AUTH": "none",
                "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
                "CLAIMCHECK_RECORDS": json.dumps(RECORDS),
                "CLAIMCHECK_DESTINATIONS": json.dumps(destinations),
                **store.service.environ(store.bucket),
            }
        )
        # What seals a file is what the doctor has proved, by one destination for all of the bucket.
        alone = {"md5-put": settings.destinations["md5-put"]}
        await examine(settings.model_copy(update={"destinations": alone}), {})
        async with running(settings, clock=clock) as api, httpx.AsyncClient(timeout=30) as web:
            yield Flow(kind, store, api, web, clock)
