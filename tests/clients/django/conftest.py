"""Django with a shop, in this process, and the service in another; see place.py."""

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from django.core.management import call_command
from django.test import override_settings

from tests.clients.django.place import SCOPES, Place
from tests.support.service import SESSION_SECRET, Store, key_for, own_database, prepared, served


@pytest.fixture(scope="package")
async def place(
    postgres_url: str, gate: Store, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """One service for all of these tests, on a database of its own."""
    images = {"content_types": ["image/*"]}
    destinations = {
        "images": images,
        "manuals": {"content_types": ["text/plain"]},
        "films": {},
        "scanned": {"scan": "required", "scanner": "api"},
    }
    environ = {
        **gate.environ("django"),
        "DATABASE_URL": await own_database(postgres_url),
        "CLAIMCHECK_AUTH": "keys",
        "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
        "CLAIMCHECK_DESTINATIONS": json.dumps(destinations),
        "CLAIMCHECK_RECORDS": json.dumps({"clip": {"film": {"destination": "films"}}}),
    }
    settings = await prepared(environ)
    async with served(environ, tmp_path_factory.mktemp("django") / "log") as service:

        async def key(*scopes: str) -> str:
            header = await key_for(settings, *scopes, owner="shop")
            return header["Authorization"].removeprefix("Bearer ")

        url = str(service.client.base_url).rstrip("/")
        few = await key("sessions:mint", "uploads:write", "files:read")
        yield Place(url, await key(*SCOPES), few, await key("scans:write", "files:all"))


@pytest.fixture(scope="package")
def tables() -> None:
    """Django's own tables, in memory."""
    call_command("migrate", verbosity=0)


@pytest.fixture
def shop(place: Place, tables: None) -> Iterator[Place]:
    """The shop, empty, with the service to its fields."""
    with override_settings(CLAIMCHECK={"URL": place.url, "KEY": place.key}):
        yield place
    call_command("flush", verbosity=0, interactive=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that Django makes of the service from now on."""
    requests: list[str] = []
    stream = httpx.Client.stream

    def noted(self: httpx.Client, method: str, url: str, **more: object) -> object:
        requests.append(f"{method} {httpx.URL(url).path}")
        return stream(self, method, url, **more)

    monkeypatch.setattr(httpx.Client, "stream", noted)
    return requests
