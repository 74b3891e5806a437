"""Several web processes on one port: workers, forked from a loaded application.

The application is loaded once, before the fork, so that workers share its pages until they write to
them. No event loop, thread or connection exists by then: the application's lifespan opens those, in
each worker. When the workers are started this process becomes the watch over them
(app.commands.watch). One that is started later, in place of one that died, loads the application
for itself.

Loaded only where `WEB_CONCURRENCY` is more than one. Linux only.
"""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from typing import Final, NoReturn

import uvicorn

from app.commands import watch
from app.commands.serve import WATCHED
from app.commands.server import UVICORN, host_of
from app.core import contents, key_normalizer
from app.runtime.process import freeze_garbage_collector, hold_garbage_collector
from app.settings.model import Settings
from app.store.client import load_clients, load_web

# Of prometheus_client, which reads it when it is imported.
_METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
# uvicorn tells that its loop moves once a second if so many seconds have passed by the clock on the
# wall, which may be set back.
_ALWAYS: Final = -(10**12)
# Terminals send these to the workers too, whom the watch ends by SIGTERM.
_UNHEEDED: Final = {*watch.ENDING} - {signal.SIGTERM}


def serve_with_workers(settings: Settings) -> NoReturn:
    """Serve with as many workers as the settings say, until SIGTERM or SIGINT.

    Ends the process. Logging is set up by the caller.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, watch.SIGNALS)
    # Where it is ignored the kernel tells of no child that ends.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder, watch_id = None, os.getpid()
    if _METRICS_FOLDER not in os.environ:
        folder = os.environ[_METRICS_FOLDER] = tempfile.mkdtemp(prefix="claimcheck-metrics-")
    try:
        _start(settings, folder, watch_id)
    finally:
        # It could not start; workers leave through here, too.
        if folder is not None and os.getpid() == watch_id:
            shutil.rmtree(folder, ignore_errors=True)


def _start(settings: Settings, folder: str | None, watch_id: int) -> NoReturn:
    """Start the workers, and become their watch."""
    config = _load(settings)
    listens = config.bind_socket()
    # From here on nobody is refused while no worker is ready.
    listens.listen(config.backlog)
    reads, writes = os.pipe()
    workers = []
    for _ in range(settings.web_concurrency):
        if (worker := os.fork()) == 0:
            os.close(reads)
            _work(config, listens, writes, watch_id)
        workers.append(worker)
    given = {
        "workers": workers,
        "reads": reads,
        "writes": writes,
        "listens": listens.fileno(),
        "variable": WATCHED,
        "command": [sys.executable, *sys.orig_argv[1:]],
        "folder": folder,
    }
    os.environ[WATCHED] = json.dumps(given)
    for descriptor in (reads, writes, listens.fileno()):
        os.set_inheritable(descriptor, True)
    # Without the packages of the environment, whose own start-up files would be run.
    python = [sys.executable, "-s", "-S", "-P", watch.__file__, WATCHED]
    os.execv(sys.executable, [*python, *sys.orig_argv[1:]])  # noqa: S606 (it is this Python)


def serve_for_watch(settings: Settings, given: str) -> NoReturn:
    """Serve as one worker of the watch that has started this process, with what it has given."""
    told = json.loads(given)
    listens = socket.socket(fileno=told["listens"])
    _work(_load(settings), listens, told["writes"], told["watch"])


def _load(settings: Settings) -> uvicorn.Config:
    """Load the application, and all that one process loads when it first needs it, or opens."""
    hold_garbage_collector()
    # Imported here, for prometheus_client comes with it.
    from app.main import create_app

    app = create_app(settings)
    host, port = host_of(settings), settings.port
    config = uvicorn.Config(app, host=host, port=port, **UVICORN, timeout_notify=_ALWAYS)
    # Loads the protocols and the event loop's library, which each worker would do otherwise.
    config.load()
    config.get_loop_factory()
    _load_what_comes_late(settings)
    app.prepare()
    freeze_garbage_collector()
    return config


def _load_what_comes_late(settings: Settings) -> None:
    """All that comes late is here, as far as the settings use it; but not the doctor, which few
    ask, and which would make every start a tenth of a second longer.
    """
    # These bring prometheus_client with them.
    from app.uploads.objections import asks_for_examination
    from app.uploads.verify import load_examine

    contents.rules()
    key_normalizer.load_tables()
    load_web()
    load_clients()
    if settings.jwt is not None:
        import app.jwt.tokens
    if settings.rate_limit_storage_url is not None:
        import app.runtime.shared_counts
    if settings.quota:
        import app.db.reserve
        import app.usage.levels  # noqa: F401
    if any(map(asks_for_examination, settings.destinations.values())):
        load_examine()
    if settings.admin:
        import argon2.exceptions  # noqa: F401


def _work(config: uvicorn.Config, listens: socket.socket, writes: int, watch_id: int) -> NoReturn:
    """Serve on this socket, and say every second that the event loop moves; until SIGTERM, or until
    the watch, the parent of this process, is no more.
    """
    me = os.getpid().to_bytes(watch.WORD, "little")

    async def notify() -> None:
        if os.getppid() != watch_id:
            signal.raise_signal(signal.SIGTERM)
        # The pipe may be full while the watch stands still, or have no reader any more.
        with suppress(OSError):
            os.write(writes, me)

    os.set_blocking(writes, False)
    config.callback_notify = notify
    signal.pthread_sigmask(signal.SIG_SETMASK, _UNHEEDED)
    server = uvicorn.Server(config)
    server.run(sockets=[listens])
    sys.exit(0 if server.started else uvicorn.config.STARTUP_FAILURE)
