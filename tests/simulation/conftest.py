"""A PostgreSQL for the worlds of these tests, one after the other."""

from collections.abc import Iterator

import pytest

from app.settings.model import Settings, load_settings
from tests.simulation.database import Server, simulated_server
from tests.simulation.loop import SimLoop
from tests.support.unhurried import as_served


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    loop = SimLoop()
    with simulated_server(loop) as server:
        yield server
    loop.close()


@pytest.fixture(autouse=True)
def _as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of time are part of what is simulated, and cost nothing of the machine's."""
    as_served(monkeypatch)


@pytest.fixture
def settings(server: Server) -> Settings:
    return load_settings(
        {
            "DATABASE_URL": server.dsn,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_SECRET_KEY": "x" * 40,
            "AWS_ACCESS_KEY_ID": "TESTACCESSKEY0000001",
            "AWS_SECRET_ACCESS_KEY": "test/secret+key0000000000000000000000001",
            "AWS_STORAGE_BUCKET_NAME": "bucket",
            "AWS_S3_ENDPOINT_URL": "http://127.0.0.1:9",
        }
    )
