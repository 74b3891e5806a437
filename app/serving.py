"""Run the web process."""

import uvicorn

from app.main import create_app
from app.process import configure_logging, freeze_garbage_collector
from app.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way, for 20 seconds at most.

    Heroku kills 30 seconds after SIGTERM. With `auth = none` the address is loopback, whatever
    CLAIMCHECK_HOST says.
    """
    configure_logging()
    host = "127.0.0.1" if settings.open_here else settings.host or "0.0.0.0"  # noqa: S104
    app = create_app(settings)
    freeze_garbage_collector()
    uvicorn.run(
        app,
        host=host,
        port=settings.port,
        # One process, whatever WEB_CONCURRENCY says: more of them are uvicorn's to start.
        workers=1,
        # Nobody in between is believed about who asks.
        proxy_headers=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=20,
        server_header=False,
    )
