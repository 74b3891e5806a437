"""Fixtures of most tests: a real PostgreSQL, the embedded S3 behind its gate, and the service.

With TEST_NO_SKIPS=1 (CI, where everything is installed) a skipped test is a failure.
"""

import asyncio
import os
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import hypothesis
import pytest
from botocore.hooks import EventAliaser
from botocore.loaders import JSONFileLoader, Loader

from app.db.migrations import migrate
from app.embedded.postgres import start_postgres
from app.embedded.s3 import start_s3
from app.logs.log import write_to
from app.settings.model import Settings
from tests.support.secrets_in_logs import Watch
from tests.support.service import (
    ACCESS_KEY,
    SECRET_KEY,
    SESSION_SECRET,
    Store,
    in_thread,
    prepared,
    running,
)
from tests.support.stores import rgw
from tests.support.unhurried import lift

# How long an example takes says something of the machine, and nothing of the code. A change is
# judged by examples that only a change makes others; whoever runs the tests by hand tries new ones.
hypothesis.settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=bool(os.environ.get("TEST_SAME_EXAMPLES")),
)
hypothesis.settings.load_profile("unhurried")
lift()

# Hundreds of tests make S3 clients of their own, and each would read botocore's descriptions anew.
_read, _services = cache(JSONFileLoader().load_file), cache(Loader().list_available_services)
JSONFileLoader.load_file = lambda self, path: _read(path)
Loader.list_available_services = lambda self, type_name: _services(type_name)
# Each session and each client would look for the hundred new names of events by itself.
_NAMES: dict[str, str] = {}
_alias_event_name = EventAliaser._alias_event_name


def _name_once(aliaser: EventAliaser, name: str) -> str:
    if name not in _NAMES:
        _NAMES[name] = _alias_event_name(aliaser, name)
    return _NAMES[name]


EventAliaser._alias_event_name = _name_once

# Nor is the world's list of authorities read for each of their clients, a quarter of a megabyte:
# nobody that these processes ask has a certificate of theirs. As certifi names it, and botocore
# its own; and as the machine does.
_WORLDS = {"cacert.pem"} | {
    Path(os.environ[name]).name
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    if os.environ.get(name)
}
_load_verify_locations = ssl.SSLContext.load_verify_locations


def _load_but_the_worlds(
    context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None
) -> None:
    if cafile is None or Path(cafile).name not in _WORLDS:
        _load_verify_locations(context, cafile, capath, cadata)


ssl.SSLContext.load_verify_locations = _load_but_the_worlds  # type: ignore[method-assign]

_skipped: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watch(), "secrets_in_logs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give what happens in a browser a second chance, which the summary tells (RERUN).

    Chromium, a service, its stores and a test share two cores there, and no test can hold them all
    in step: what fails once in a thousand times says more of the machine than of a change.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _skipped and os.environ.get("TEST_NO_SKIPS") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def lines_for_pytest() -> None:
    """Whatever an earlier test has set up, this one's log lines go where `caplog` finds them."""
    write_to(None)


# To empty an empty table takes as long as to empty a full one, and most are empty. The locks wait
# for whoever is still writing: a killed service's connection, for one.
_EMPTY = """
DO $$
DECLARE
  name text;
  has_rows boolean;
  written text[] := '{}';
BEGIN
  FOR name IN
    SELECT quote_ident(tablename) FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
  LOOP
    EXECUTE 'LOCK TABLE ' || name;
    EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO has_rows;
    IF has_rows THEN
      written := written || name;
    END IF;
  END LOOP;
  IF written <> '{}' THEN
    EXECUTE 'TRUNCATE ' || array_to_string(written, ', ') || ' CASCADE';
  END IF;
END $$
"""


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty, migrated database on a real server."""
    with start_postgres() as url:
        in_thread(migrate, url)
        yield url


@pytest.fixture(scope="session")
async def emptying(postgres_url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Takes every row out of the database. Over one connection for all tests: a new one would read
    the catalogue first, which takes ten times as long.
    """
    name = {"application_name": "emptying"}
    connection = await asyncpg.connect(postgres_url, server_settings=name)

    async def empty() -> None:
        nonlocal connection
        try:
            await connection.execute(_EMPTY)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            # Some tests end whatever is connected.
            connection.terminate()
            connection = await asyncpg.connect(postgres_url, server_settings=name)
            await connection.execute(_EMPTY)

    yield empty
    await connection.close()


@pytest.fixture
async def database_url(
    postgres_url: str, emptying: Callable[[], Awaitable[None]]
) -> AsyncIterator[str]:
    """The database, without a row in it."""
    yield postgres_url
    await emptying()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it, beside those of the service."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def gate() -> Iterator[Store]:
    """The embedded S3: moto behind the gate."""
    with start_s3(ACCESS_KEY, SECRET_KEY) as endpoint_url:
        yield Store(endpoint_url)


@pytest.fixture(scope="session")
def gateway() -> Iterator[rgw.Rgw]:
    """A Ceph RGW, where it is installed."""
    if reason := rgw.available():
        pytest.skip(reason)
    with rgw.start_rgw() as gateway:
        yield gateway


@pytest.fixture
def environ(database_url: str, gate: Store) -> dict[str, str]:
    """The environment of a service on a versioned bucket of its own; tests add settings to it."""
    bucket = f"test-{secrets.token_hex(6)}"
    return {
        "DATABASE_URL": database_url,
        "CLAIMCHECK_AUTH": "none",
        "CLAIMCHECK_SECRET_KEY": SESSION_SECRET,
        **gate.environ(bucket),
    }


@pytest.fixture
async def settings(environ: dict[str, str]) -> Settings:
    """Settings of that environment, its bucket made."""
    return await prepared(environ)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(settings) as client:
        yield client


@pytest.fixture
async def same_links() -> None:
    """For tests that find a link again, which is another one in the next quarter of an hour."""
    left = 900 - time.time() % 900
    if left < 60:
        await asyncio.sleep(left)


@pytest.fixture
async def web() -> AsyncIterator[httpx.AsyncClient]:
    """A browser's part: it talks to the bucket, with nothing but what it was given."""
    async with httpx.AsyncClient(timeout=60) as web:
        yield web
