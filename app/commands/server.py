"""The web server in this process, and the options that it has in every worker too."""

import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from app.errors import ConfigurationError
from app.runtime.process import freeze_garbage_collector, hold_garbage_collector
from app.settings.model import Settings

UVICORN: Final[dict[str, Any]] = {
    # No proxy is believed about the client's address: app.core.client_address decides that.
    "proxy_headers": False,
    "access_log": False,
    "log_config": None,
    "server_header": False,
    # Seconds for requests under way. Heroku kills 30 seconds after SIGTERM.
    "timeout_graceful_shutdown": 20,
}


def serve_alone(settings: Settings) -> None:
    """Serve in this process until SIGTERM or SIGINT, then answer the requests under way.

    Logging is set up by the caller.
    """
    hold_garbage_collector()
    with _signals_held():
        # Imported here, as in app.commands.supervisor, which has to prepare the metrics first.
        import uvicorn

        from app.main import create_app

        app = create_app(settings)
        freeze_garbage_collector()
    uvicorn.run(app, host=host_of(settings), port=settings.port, workers=1, **UVICORN)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Signals wait for the end of this. The collector runs callbacks of weak references, and Python
    drops the exception of a signal that is raised in one: nothing would ever end the service.
    """
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: came.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def refuse_busy_address(host: str, port: int) -> None:
    """Raises ConfigurationError where nothing can listen at that address, before anything else is
    started for nothing, and in words: the server's own name neither setting.
    """
    try:
        for family, kind, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise ConfigurationError(
                f"CLAIMCHECK_HOST: {host!r} is no address of this machine ({error.strerror}); "
                "leave it out to listen on all of them."
            ) from None
        raise ConfigurationError(
            f"PORT: {port} cannot be used on {host} ({error.strerror}); "
            f"try PORT={port % 65535 + 1}."
        ) from None


def host_of(settings: Settings) -> str:
    """The address to listen on; with `auth = none` loopback, whatever CLAIMCHECK_HOST says."""
    return "127.0.0.1" if settings.open_here else settings.host or "0.0.0.0"  # noqa: S104
