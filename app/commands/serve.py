"""`claimcheck serve`: the web process, or as many as `WEB_CONCURRENCY` says on one port."""

import argparse
import os
import signal
import sys
from typing import Final

from app.commands.parser import Subparsers, add_command
from app.commands.server import host_of, refuse_busy_address, serve_alone
from app.logs.log import get_logger
from app.runtime.process import configure_logging
from app.settings.model import load_settings, require_deployed

# In the environment of a worker that a watch has started, and nobody else's.
WATCHED: Final = "_CLAIMCHECK_WATCHED"

_log: Final = get_logger("serve")


def add(commands: Subparsers) -> None:
    purpose = "start the service with the database and the buckets that are set"
    add_command(commands, "serve", _serve, purpose)


def _serve(_: argparse.Namespace) -> None:
    # uvicorn raises the signal again after its shutdown: the status is 0 then. Until uvicorn
    # listens for it this handler does, as the kernel keeps a signal without one from process 1 of
    # a container (pid_namespaces(7)).
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = load_settings(check=require_deployed)
    if (given := os.environ.pop(WATCHED, None)) is not None:
        from app.commands.supervisor import serve_for_watch

        configure_logging()
        serve_for_watch(settings, given)
    refuse_busy_address(host_of(settings), settings.port)
    configure_logging()
    if settings.web_concurrency > 1 and sys.platform == "linux":
        # Imported here: one process needs no supervisor.
        from app.commands.supervisor import serve_with_workers

        serve_with_workers(settings)
    if settings.web_concurrency > 1:
        # Forking a process that has loaded the system's frameworks is not safe on macOS, and
        # Windows has no fork.
        _log.warning("one_process", asked=settings.web_concurrency, platform=sys.platform)
    serve_alone(settings)
