"""The parts that every section uses: a durable PostgreSQL, an S3 store, and settings."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from app.db.migrations import migrate
from app.embedded.s3 import start_s3
from app.runtime.resources import open_session
from app.settings.model import Settings, load_settings
from app.store.setup.provision import apply
from bench.load import Case, Load, compare
from bench.peers import installed
from bench.results import Results
from bench.rows import BUCKET
from bench.servers import SERVE, Cores, Server, durable_postgres, serve, uvicorn
from tests.support.stores import rgw

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """How much to measure: `rows` are the sizes of the table, smallest first."""

    rounds: int
    seconds: int
    spells: int
    starts: int
    uploads: int
    rows: tuple[int, ...]
    large: int  # bytes
    abandoned: int  # uploads
    compared: int  # objects, with as many rows
    adopted: int  # objects


FULL = Plan(
    rounds=4,
    seconds=3,
    spells=40,
    starts=3,
    uploads=4000,
    rows=(10**4, 10**5, 10**6),
    large=1 << 30,
    abandoned=100_000,
    compared=200_000,
    adopted=200_000,
)
QUICK = Plan(
    rounds=1,
    seconds=1,
    spells=4,
    starts=1,
    uploads=1200,
    rows=(10**3, 10**4),
    large=1 << 28,
    abandoned=2000,
    compared=4000,
    adopted=4000,
)


@dataclass(frozen=True)
class Stack:
    """The running parts, and where results go."""

    plan: Plan
    cores: Cores
    results: Results
    environ: dict[str, str]
    settings: Settings
    store: str
    database_pid: int
    scratch: Path
    say: Callable[[str], None]

    @contextmanager
    def service(
        self, factory: str = "bench.service:create_app", workers: int = 1, loop: str = "auto"
    ) -> Iterator[Server]:
        """A factory of this project under uvicorn; several workers share both cores."""
        cores = {self.cores.service} if workers == 1 else {self.cores.service, self.cores.rest}
        with serve(
            uvicorn(factory, workers, loop),
            cores=cores,
            environ=self.environ,
            log=self._log(factory),
        ) as server:
            yield server

    @contextmanager
    def deployed(self, workers: int = 1) -> Iterator[Server]:
        """The service as a deployment starts it."""
        environ = {"CLAIMCHECK_AUTH": "keys", "WEB_CONCURRENCY": str(workers)}
        with serve(
            SERVE,
            cores={self.cores.service},
            environ=self.environ | environ,
            log=self._log("deployed"),
        ) as server:
            yield server

    @contextmanager
    def echo(self) -> Iterator[Server]:
        with self.service("bench.peers.echo:create_app") as server:
            yield server

    @contextmanager
    def bare(self) -> Iterator[Server]:
        with self.service("bench.peers.bare:create_app") as server:
            yield server

    @contextmanager
    def companion(self) -> Iterator[Server]:
        """Raises PeerMissing."""
        command, directory = installed.companion()
        environ = {
            "NODE_ENV": "production",
            "COMPANION_AWS_BUCKET": BUCKET,
            "COMPANION_AWS_REGION": "us-east-1",
            "COMPANION_AWS_ENDPOINT": self.environ["AWS_S3_ENDPOINT_URL"],
            "COMPANION_AWS_FORCE_PATH_STYLE": "true",
            "COMPANION_AWS_KEY": self.environ["AWS_ACCESS_KEY_ID"],
            "COMPANION_AWS_SECRET": self.environ["AWS_SECRET_ACCESS_KEY"],
            "COMPANION_AWS_EXPIRES": "3600",
            "COMPANION_DOMAIN": "127.0.0.1",
            "COMPANION_CLIENT_ORIGINS": "http://127.0.0.1:8000",
            "COMPANION_UPLOAD_URLS": self.environ["AWS_S3_ENDPOINT_URL"],
            "COMPANION_DATADIR": str(self.scratch),
            "COMPANION_SECRET": secrets.token_hex(32),
            "COMPANION_PREAUTH_SECRET": secrets.token_hex(32),
        }
        with serve(
            command,
            cores={self.cores.service},
            environ=environ,
            log=self._log("companion"),
            directory=directory,
        ) as server:
            yield server

    @contextmanager
    def django(self) -> Iterator[Server]:
        """Raises PeerMissing."""
        command, directory = installed.django()
        with serve(
            command,
            cores={self.cores.service},
            environ=self._peer_environ(),
            log=self._log("django"),
            directory=directory,
        ) as server:
            yield server

    def optional(self, stack: ExitStack, name: str, peer: Callable[[], Any]) -> Server | None:
        """The peer, started; None, with the reason noted, where it cannot run."""
        try:
            server: Server = stack.enter_context(peer())
        except installed.PeerMissing as missing:
            self.results.skipped[name] = str(missing)
            return None
        return server

    def measure(self, section: str, cases: list[Case]) -> dict[str, Load]:
        """Run the cases side by side and note their figures."""
        self.say(f"{section}: {', '.join(case.name for case in cases)}")
        loads = compare(
            cases,
            rounds=self.plan.rounds,
            seconds=self.plan.seconds,
            database_pid=self.database_pid,
        )
        self.results.add_loads(section, loads)
        return loads

    def query(self, function: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run `function` with a connection to the database."""

        async def run() -> T:
            connection = await asyncpg.connect(self.environ["DATABASE_URL"])
            try:
                return await function(connection)
            finally:
                await connection.close()

        return asyncio.run(run())

    def _peer_environ(self) -> dict[str, str]:
        return {
            "BENCH_BUCKET": BUCKET,
            "BENCH_REGION": "us-east-1",
            "BENCH_ENDPOINT": self.environ["AWS_S3_ENDPOINT_URL"],
            "BENCH_ACCESS_KEY": self.environ["AWS_ACCESS_KEY_ID"],
            "BENCH_SECRET_KEY": self.environ["AWS_SECRET_ACCESS_KEY"],
        }

    def _log(self, name: str) -> Path:
        return self.scratch / f"{name.replace(':', '.')}.log"


@contextmanager
def open_stack(
    plan: Plan, cores: Cores, results: Results, say: Callable[[str], None]
) -> Iterator[Stack]:
    """Start the database and the store, migrate, make the bucket; all of it goes at the end."""
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="claimcheck-bench-"))
        say("starting PostgreSQL, durable")
        dsn, database_pid = stack.enter_context(durable_postgres())
        migrate(dsn)
        store, s3 = _start_store(stack, say, results)
        environ = {
            "DATABASE_URL": dsn,
            "CLAIMCHECK_AUTH": "none",
            "CLAIMCHECK_SECRET_KEY": secrets.token_hex(32),
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "CLAIMCHECK_RECORDS__PRODUCT__PICTURE__DESTINATION": "images",
            **s3,
        }
        settings = load_settings(environ)
        asyncio.run(apply(open_session(settings), settings))
        yield Stack(
            plan=plan,
            cores=cores,
            results=results,
            environ=environ,
            settings=settings,
            store=store,
            database_pid=database_pid,
            scratch=Path(scratch),
            say=say,
        )


def _start_store(
    stack: ExitStack, say: Callable[[str], None], results: Results
) -> tuple[str, dict[str, str]]:
    missing = rgw.available()
    if missing is None:
        say("starting Ceph RGW")
        server = stack.enter_context(rgw.start_rgw())
        name, endpoint, keys = "Ceph RGW", server.endpoint_url, server.owner
        access_key, secret_key = keys.access_key, keys.secret_key
    else:
        results.skipped["Ceph RGW"] = f"{missing}; the embedded S3 stands in"
        access_key, secret_key = f"BENCH{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        endpoint = stack.enter_context(start_s3(access_key, secret_key))
        name = "the embedded S3"
    return name, {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_S3_ENDPOINT_URL": endpoint,
    }
