"""`claimcheck serve`: the web process, or as many as `WEB_CONCURRENCY` says on one port."""

import argparse
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from app.logs.log import get_logger
from app.runtime.process import configure_logging, freeze_garbage_collector
from app.settings.model import Settings, load_settings, require_deployed

if TYPE_CHECKING:
    from argparse import _SubParsersAction

# What uvicorn is told, for one process and for several.
UVICORN: Final[dict[str, Any]] = {
    # Nobody in between is believed about who asks: app.core.client_address decides that.
    "proxy_headers": False,
    "access_log": False,
    "log_config": None,
    "server_header": False,
    # Seconds for requests under way. Heroku kills 30 seconds after SIGTERM.
    "timeout_graceful_shutdown": 20,
}
_log: Final = get_logger("serve")


def add(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command."""
    what = "start the service with the database and the buckets that are set"
    commands.add_parser("serve", help=what, description=what).set_defaults(run=_serve)


def _serve(_: argparse.Namespace) -> None:
    # uvicorn raises the signal again after its shutdown: the status is 0 then. Until uvicorn
    # listens for it this handler does, as the kernel keeps a signal without one from process 1 of
    # a container (pid_namespaces(7)).
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = load_settings()
    require_deployed(settings)
    configure_logging()
    if settings.web_concurrency == 1:
        serve_alone(settings)
    elif sys.platform != "linux":
        # Forking a process that has loaded the system's frameworks is not safe on macOS, and
        # Windows has no fork.
        _log.warning("one_process", asked=settings.web_concurrency, platform=sys.platform)
        serve_alone(settings)
    else:
        # Imported here: one process needs no supervisor.
        from app.commands.supervisor import serve_with_workers

        serve_with_workers(settings)


def serve_alone(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT, then answer what is under way.

    Logging is set up by the caller.
    """
    # Imported here, as in app.commands.supervisor, which has to prepare the metrics first.
    import uvicorn

    from app.main import create_app

    app = create_app(settings)
    freeze_garbage_collector()
    uvicorn.run(app, host=host_of(settings), port=settings.port, workers=1, **UVICORN)


def host_of(settings: Settings) -> str:
    """The address to listen on; with `auth = none` loopback, whatever CLAIMCHECK_HOST says."""
    return "127.0.0.1" if settings.open_here else settings.host or "0.0.0.0"  # noqa: S104
