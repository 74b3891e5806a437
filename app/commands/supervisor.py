"""Several web processes on one port: workers of gunicorn, forked from a loaded application.

gunicorn binds the port, starts each worker, replaces one that dies, kills one whose event loop has
not moved for a minute, and ends them. Each worker runs uvicorn. The application is loaded once,
before the first fork, so that workers share its pages until they write to them. No event loop,
thread or connection exists by then: the application's lifespan opens those, in each worker.

Loaded only where `WEB_CONCURRENCY` is more than one. Linux only.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from gunicorn.app.base import BaseApplication
from gunicorn.errors import HaltServer
from uvicorn_worker import UvicornWorker

from app.commands.server import UVICORN, host_of
from app.core import contents, key_normalizer
from app.runtime.process import LOGGING, freeze_garbage_collector, hold_garbage_collector
from app.settings.model import Settings
from app.store.client import load_clients, load_web

# Of prometheus_client, which reads it when it is imported.
_METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
# Requests may take 20 seconds after SIGTERM and closing five more; Heroku kills after 30.
_STOP_SECONDS: Final = 28
_HUNG_SECONDS: Final = 60
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (gunicorn makes its files there safely)


def serve_with_workers(settings: Settings) -> None:
    """Serve with as many workers as the settings say, until SIGTERM or SIGINT.

    Ends the process. Logging is set up by the caller.
    """
    hold_garbage_collector()
    supervisor, metrics = os.getpid(), None
    if _METRICS_FOLDER not in os.environ:
        metrics = tempfile.mkdtemp(prefix="claimcheck-metrics-")
        os.environ[_METRICS_FOLDER] = metrics
    # Imported here, for prometheus_client comes with it.
    from app.main import create_app

    app = create_app(settings)
    # Loads the protocols and the event loop's library, which each worker would do otherwise.
    config = uvicorn.Config(app, **UVICORN)
    config.load()
    config.get_loop_factory()
    _load_what_comes_late(settings)
    app.prepare()
    freeze_garbage_collector()
    try:
        _Supervisor(app, settings).run()
    finally:
        # A worker leaves through here too.
        if metrics is not None and os.getpid() == supervisor:
            shutil.rmtree(metrics, ignore_errors=True)


def _load_what_comes_late(settings: Settings) -> None:
    """Load what one process loads when it first needs it, or opens: workers share it this way.

    All that comes late is here, as far as the settings use it; but not the doctor, which few ask,
    and which would make every start a tenth of a second longer.
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


class _Worker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS: Final = {
        **UVICORN,
        "timeout_keep_alive": 5,  # uvicorn's own default, in place of gunicorn's 2
        "timeout_notify": 1,
    }

    def handle_exit(self, _signal: int, _frame: FrameType | None) -> None:
        """On SIGQUIT, which gunicorn sends when it gets SIGINT: end as on SIGTERM."""
        signal.raise_signal(signal.SIGTERM)

    async def callback_notify(self) -> None:
        """Every second: say that the event loop moves, and end after a supervisor was killed."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            signal.raise_signal(signal.SIGTERM)


class _Supervisor(BaseApplication):  # type: ignore[misc]
    def __init__(self, app: Any, settings: Settings) -> None:
        self._app, self._settings = app, settings
        super().__init__()

    def load_config(self) -> None:
        host, port = host_of(self._settings), self._settings.port
        for name, value in {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": self._settings.web_concurrency,
            "worker_class": _Worker,
            "preload_app": True,
            "timeout": _HUNG_SECONDS,
            "graceful_timeout": _STOP_SECONDS,
            # The workers' signs of life are files: on a slow disk they would come late.
            "worker_tmp_dir": str(_SHARED_MEMORY) if os.access(_SHARED_MEMORY, os.W_OK) else None,
            "logconfig_dict": LOGGING,
            # It is not used, and its thread must not be there at a fork.
            "control_socket_disable": True,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._app

    def run(self) -> None:
        try:
            super().run()
        except HaltServer as halted:
            # The first worker that cannot start ends gunicorn; a second one, while gunicorn waits
            # for the others, would end it with a traceback and another status (gunicorn 27.0.1).
            sys.exit(halted.exit_status)
