"""The service as tests run it: in process or in a process of its own, and keys for it."""

import asyncio
import json
import os
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from app.access import api_keys
from app.core.principal import Principal, Scope
from app.db.migrations import migrate
from app.main import create_app
from app.runtime.resources import open_resources, open_session
from app.settings.model import Settings, load_settings
from app.store.session import open_client
from app.store.setup.config import BucketState, create_bucket, read_bucket, write_aspect
from app.store.setup.provision import (
    Outcome,
    apply,
    browser_origins,
    by_bucket,
    compare,
    receivers_of,
)
from app.store.signer import utc_now
from tests.support.secrets_in_logs import keep_secret
from tests.support.stores import free_port

ACCESS_KEY, SECRET_KEY = "TESTACCESSKEY0000001", "test/secret+key0000000000000000000000001"
# Of this run; what it signs is not to be found in any log.
SESSION_SECRET = secrets.token_urlsafe(32)
keep_secret(SESSION_SECRET)
ORIGIN = "http://127.0.0.1:8000"
UNKNOWN_ID = "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51"


@dataclass(frozen=True)
class Store:
    """An S3 server and keys that may do everything there."""

    endpoint_url: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    def __post_init__(self) -> None:
        keep_secret(self.secret_key)

    def environ(self, bucket: str) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_STORAGE_BUCKET_NAME": bucket,
        }


# How a new bucket is set, by the store's address and whether its notifications were asked for.
_new_buckets: dict[tuple[str | None, bool], BucketState] = {}


async def prepared(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment whose buckets are made here, as `claimcheck setup` makes them.

    The first one of a store is made by it. A store that took all of that is told to make the others
    so, without looks and trials (they are other tests'): ten requests instead of fifty.
    """
    settings = load_settings(environ)
    session, receivers = open_session(settings), receivers_of(settings)
    for destinations in by_bucket(settings):
        one = destinations[0]
        store = one.endpoint_url, any(receivers)
        async with open_client(session, one) as client:
            is_new = not (await read_bucket(client, one.bucket)).exists
            if is_new and store in _new_buckets:
                await create_bucket(client, one.bucket, one.region)
                origins, found = browser_origins(settings), _new_buckets[store]
                for change in compare(destinations, origins, found, receivers).changes:
                    if change.outcome is Outcome.CHANGE:
                        await write_aspect(client, one.bucket, change.aspect, change.after)
                continue
        alone = {"destinations": {each.name: each for each in destinations}}
        [done] = await apply(session, settings.model_copy(update=alone))
        if is_new and all(c.outcome in (Outcome.SAME, Outcome.CHANGED) for c in done.changes):
            found = {change.aspect: change.before for change in done.changes}
            _new_buckets[store] = BucketState(done.kind, None, found)
    return settings


class Clock:
    """The present, moved on by tests."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._stopped: datetime | None = None

    def stop(self) -> None:
        """From now on it is moved by nothing but `ahead`, however long the machine takes."""
        self._stopped = utc_now()

    def __call__(self) -> datetime:
        return (self._stopped or utc_now()) + self.ahead


@asynccontextmanager
async def running(
    settings: Settings, *, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator[httpx.AsyncClient]:
    """The application as it is served, with every middleware, and a client on loopback."""
    app = create_app(settings, clock=clock)
    # Unexpected failures are to be answered, not to reach the test.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield client


@asynccontextmanager
async def owner_of_bucket(settings: Settings) -> AsyncIterator[Any]:
    """An S3 client with every right, for what no client of the service can do."""
    destination = next(iter(settings.destinations.values()))
    async with open_client(open_session(settings), destination) as s3:
        yield s3


@dataclass(frozen=True)
class Service:
    """`claimcheck dev` in a process of its own, and a client of it."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient

    def resident_memory(self) -> int:
        """Bytes that the process holds in memory (proc(5), VmRSS)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    async def stop(self) -> None:
        """SIGTERM: what is under way is finished, its line in the log too."""
        self.process.terminate()
        await self.process.wait()

    async def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is tidied up."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


def as_set(environ: dict[str, str]) -> dict[str, str]:
    """The environment of a process of its own, with no settings but these."""
    ours = ("AWS_", "BUCKETEER_", "CLAIMCHECK_", "DATABASE_URL")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | environ


@asynccontextmanager
async def served(environ: dict[str, str], log: Path) -> AsyncIterator[Service]:
    """The service on a free port, killed at the end; what it logs is added to the file.

    It gives up nothing that it waits for: neither a bucket whose answer is held, nor a database on
    a machine that stands still.
    """
    port = free_port()
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.unhurried", "dev"),
            env=as_set(environ | {"PORT": str(port)}),
            stdout=output,
            stderr=output,
        )
    base_url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base_url, timeout=60, trust_env=False) as client:
        service = Service(process, client)
        try:
            for _ in range(2400):
                try:
                    await client.get("/livez")
                    break
                except httpx.TransportError:
                    assert process.returncode is None, f"it did not start, see {log}"
                    await asyncio.sleep(0.05)
            yield service
        finally:
            await service.kill()


async def assert_limited(url: str) -> None:
    """See that headers are limited there, whatever serves it."""
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        for size, status in ((60 * 1024, 200), (64 * 1024, 431)):
            answer = await client.get("/livez", headers={"X-Large": "x" * size})
            assert answer.status_code == status


async def key_for(
    settings: Settings,
    *scopes: str,
    owner: str = "ann",
    tenant: str = "",
    lifetime: timedelta | None = None,
) -> dict[str, str]:
    """The header of a new API key with these scopes."""
    maker = Principal("maker", tenant, frozenset({*scopes, Scope.FILES_ALL}))
    async with open_resources(settings) as res:
        _, token = await api_keys.create(
            res, maker, name="test", owner=owner, scopes=scopes, lifetime=lifetime
        )
    return bearer(token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, Any]]:
    """The fields of each line that `claimcheck.<logger>` has logged."""
    name = f"claimcheck.{logger}"
    return [json.loads(r.getMessage()) for r in caplog.records if r.name == name]


def logged(log: Path) -> list[dict[str, Any]]:
    """The lines' fields of what a process of its own has logged to the file."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


async def own_database(url: str) -> str:
    """A further migrated database on that server, which other tests do not empty."""
    name = f"own_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    own = urlsplit(url)._replace(path=f"/{name}").geturl()
    in_thread(migrate, own)
    return own


def in_thread(function: Callable[..., object], *arguments: object) -> None:
    """Run what starts an event loop of its own, where one may be running already."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            function(*arguments)
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
