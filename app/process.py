"""What a process sets up once: where its log lines go, and when it collects garbage."""

import gc
import logging
import logging.config
from typing import Any, Final

_LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "claimcheck": {"level": "INFO"},
        "uvicorn.error": {"level": "INFO"},
        # Its access log has query strings in it; ours (app.routers.middleware) has not.
        "uvicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
    "root": {"level": "WARNING", "handlers": ["console"]},
}


def configure_logging() -> None:
    """Log to standard error, one line each. The tests' loggers are left to pytest."""
    # No line shows them, and finding them out is a fifth of its cost (Python's logging HOWTO,
    # "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.config.dictConfig(_LOGGING)


def spare_the_collector() -> None:
    """Keep garbage collection out of requests; call it when the application is built.

    What was imported stays for good, and going through it again and again stopped the event loop
    for up to 0.2 s at a time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
