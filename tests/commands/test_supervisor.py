"""Workers are forked from a process without threads, connections or an event loop."""

import json
import os
import subprocess
import sys
from typing import Any, Final

from tests.commands.steps import DEPLOYED

# In place of gunicorn: says what there is at the moment of the first fork.
BEFORE_THE_FORK: Final = """
import asyncio, gc, json, os, socket, sys, threading
import aiohttp, asyncpg, sqlalchemy
from app.commands import supervisor
from app.core.sigv4 import Credentials
from app.runtime.resources import Resources
from app.settings.model import load_settings
from app.store.credentials import CredentialChain

ONE_PROCESS_ALONE = (
    asyncio.AbstractEventLoop, threading.Thread, socket.socket, aiohttp.ClientSession,
    asyncpg.Connection, sqlalchemy.Engine, sqlalchemy.Pool, Credentials, CredentialChain, Resources,
)

class Gunicorn:
    def __init__(self, app, settings):
        self.app = app

    def run(self):
        seen = {"frozen": gc.get_freeze_count(), "enabled": gc.isenabled()}
        gc.unfreeze()
        late = ("app.store.web", "app.store.session", "pure_magic_rs")
        seen["loaded"] = [name for name in late if name in sys.modules]
        from aioboto3 import Session
        from aiobotocore.client import AioBaseClient
        alone = (*ONE_PROCESS_ALONE, Session, AioBaseClient)
        found = [one for one in gc.get_objects() if isinstance(one, alone)]
        numbers = [int(fd) for fd in os.listdir("/proc/self/fd")][:-1]  # the last is of this list
        opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in numbers if fd > 2]
        # Its files are the metrics', which prometheus_client opens anew in each process.
        seen["opened"] = [name for name in opened if not name.startswith("/")]
        seen["found"] = [type(one).__name__ for one in found]
        seen["app"] = type(self.app).__name__
        print(json.dumps(seen))

supervisor._Supervisor = Gunicorn
EXTRA
supervisor.serve_with_workers(load_settings())
"""


def before_the_fork(extra: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_THE_FORK.replace("EXTRA", extra)],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "WEB_CONCURRENCY": "2"} | DEPLOYED,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_nothing_that_one_process_alone_may_use_is_there_before_the_fork() -> None:
    seen = before_the_fork()
    assert seen["found"] == ["_MainThread"]
    assert seen["opened"] == []
    assert seen["app"] == "_Application"
    assert seen["loaded"] == ["app.store.web", "app.store.session", "pure_magic_rs"]
    # What is shared is left alone by the collector of each worker, which works.
    assert seen["frozen"] > 100_000
    assert seen["enabled"]


def test_what_is_there_would_be_found() -> None:
    assert "socket" in before_the_fork("held = socket.socket()")["found"]
