"""Workers are forked from a process without threads, connections or an event loop."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any, Final

import pytest

from tests.commands.steps import DEPLOYED
from tests.support.late import imported_late

# In place of the first fork: says what there is at that moment. By names, so that nothing is loaded
# for it.
BEFORE_THE_FORK: Final = """
import gc, json, os, signal, sys
from app.commands import supervisor
from app.settings.model import load_settings

ONE_PROCESS_ALONE = {
    "asyncio.events.AbstractEventLoop", "threading.Thread",
    "socket.socket", "_socket.socket", "ssl.SSLContext", "ssl.SSLObject", "ssl.SSLSocket",
    "aiohttp.client.ClientSession", "aiohttp.connector.BaseConnector",
    "asyncpg.connection.Connection", "sqlalchemy.engine.base.Engine", "sqlalchemy.pool.base.Pool",
    "redis.asyncio.client.Redis", "redis.asyncio.connection.ConnectionPool",
    "redis.asyncio.connection.AbstractConnection",
    "app.core.sigv4.Credentials", "app.store.credentials.CredentialChain",
    "app.runtime.resources.Resources", "app.jwt.tokens.WebTokens",
    "app.runtime.shared_counts.SharedCounts",
    "aioboto3.session.Session", "aiobotocore.client.AioBaseClient", "botocore.session.Session",
    "botocore.client.BaseClient", "botocore.credentials.Credentials",
    "botocore.credentials.CredentialResolver",
}

def names(one):
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(one).__mro__}

def left(app):
    # What the first requests would still have to make, and the lists that are made.
    from app.db import lists, statements
    from app.http.lean_route import LeanRoute

    return {
        "statements": sum(not one.written.cache_info().currsize for one in statements._all),
        "lists": lists._list_statement.cache_info().currsize,
        "routes": [r.path for r in app.routes
                   if isinstance(r, LeanRoute) and r.is_lean
                   and not r._short_way.cache_info().currsize],
        "middleware": app.middleware_stack is None,
    }

def fork():
    seen = {"frozen": gc.get_freeze_count(), "enabled": gc.isenabled()}
    seen["children_are_told"] = signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    gc.unfreeze()
    seen["loaded"] = [*filter(sys.modules.get, sys.modules)]
    found = [one for one in gc.get_objects() if names(one) & ONE_PROCESS_ALONE]
    numbers = [int(fd) for fd in os.listdir("/proc/self/fd")][:-1]  # the last is of this list
    opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in numbers if fd > 2]
    # Its files are the metrics', which prometheus_client opens anew in each process.
    seen["opened"] = [name.partition(":")[0] for name in opened if not name.startswith("/")]
    seen["found"] = [type(one).__name__ for one in found]
    [app] = [one for one in gc.get_objects() if type(one).__name__ == "_Application"]
    seen["left"] = left(app)
    print(json.dumps(seen))
    sys.exit()

os.fork = fork
EXTRA
supervisor.serve_with_workers(load_settings())
"""
# With all that a deployment may use.
EVERYTHING: Final = {
    "CLAIMCHECK_AUTH": "keys,jwt",
    "CLAIMCHECK_JWT__ISSUER": "https://issuer.example",
    "CLAIMCHECK_JWT__AUDIENCE": "files",
    "CLAIMCHECK_JWT__SECRET": "s" * 40,
    "CLAIMCHECK_RATE_LIMIT": "10/hour",
    "CLAIMCHECK_RATE_LIMIT_STORAGE_URL": "redis://127.0.0.1:1",
    "CLAIMCHECK_SECRET_KEY": "s" * 40,
    "CLAIMCHECK_QUOTA__OWNER__FILES": "10",
    "CLAIMCHECK_DESTINATIONS": json.dumps({"images": {"max_pixels": 1000}}),
    "AWS_PROFILE": "team",
}
# What one process loads late, and workers share.
ALWAYS: Final = {
    *("aiobotocore.session", "aiohttp", "app.store.session", "app.store.web", "botocore.utils"),
    *("botocore.httpsession", "pure_magic_rs", "resource", "yarl"),
}
# As far as the settings use it.
WHERE_SET: Final = {
    *("app.db.reserve", "app.jwt.tokens", "app.runtime.shared_counts"),
    *("app.uploads.examine", "app.usage.levels"),
}
# With the panel, an extra.
PANEL: Final = {"app.admin.panel", "argon2", "argon2.exceptions"}
HAS_PANEL: Final = find_spec("app.admin") is not None
# It is asked by few, and takes a tenth of a second.
IN_NO_WORKER: Final = {"app.doctor.examine"}
# aiohttp makes two when it is imported. They have no connections, and nothing of a process.
CONTEXTS: Final = ["SSLContext", "SSLContext"]


def before_the_fork(extra: str = "", **settings: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_THE_FORK.replace("EXTRA", extra)],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "WEB_CONCURRENCY": "2"} | DEPLOYED | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.parametrize(
    ("settings", "late"),
    [
        ({}, ALWAYS),
        (EVERYTHING, ALWAYS | WHERE_SET),
        *(
            [({**EVERYTHING, "CLAIMCHECK_ADMIN": "true"}, ALWAYS | WHERE_SET | PANEL)]
            if HAS_PANEL
            else []
        ),
    ],
)
def test_what_workers_share_is_there_before_the_fork_and_nothing_of_one_process(
    settings: dict[str, str], late: set[str]
) -> None:
    seen = before_the_fork(**settings)
    assert sorted(seen["found"]) == [*CONTEXTS, "_MainThread", "socket"]
    # The port's, and the pipe by which workers say that they live.
    assert sorted(seen["opened"]) == ["pipe", "pipe", "socket"]
    # What is shared is left alone by the collector of each worker, which works.
    assert seen["frozen"] > 100_000
    assert seen["enabled"]
    assert seen["left"] == {"statements": 0, "lists": 4, "routes": [], "middleware": False}
    assert {*seen["loaded"]} & (ALWAYS | WHERE_SET | PANEL | IN_NO_WORKER) == late


def test_all_that_comes_late_is_known() -> None:
    assert {late.module for late in imported_late()} == (ALWAYS | WHERE_SET | PANEL | IN_NO_WORKER)


def test_the_end_of_a_worker_is_told_whoever_ignored_it() -> None:
    ignored = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    assert before_the_fork(ignored)["children_are_told"]


def test_what_is_there_would_be_found() -> None:
    held = "import socket; from aiobotocore.session import AioSession; held = AioSession(), "
    found = before_the_fork(held + "socket.socket()")["found"]
    assert {"AioSession", "socket"} <= {*found}
